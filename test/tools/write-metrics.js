// @ts-check
/**
 * Writes the table of docs/metrics.md from the descriptions in src/observe/metrics, as built. With `--check` it writes
 * nothing and fails when the table is out of date.
 */
import { readFile, writeFile } from 'node:fs/promises'
import { format, resolveConfig } from 'prettier'
import { METRICS } from '../../dist/observe/metrics/descriptions.js'
import { FOLDED, RESULT_TOKENS } from '../../dist/observe/metrics/metrics.js'
import { STATE_METRICS } from '../../dist/observe/metrics/state-metrics.js'

const PAGE = new URL('../../docs/metrics.md', import.meta.url)
const BEGIN = '<!-- metrics, written by npm run docs: begin -->'
const END = '<!-- metrics, written by npm run docs: end -->'

const rows = [...Object.values(METRICS), RESULT_TOKENS, FOLDED, ...STATE_METRICS].map(
  ({ name, kind, labels, help }) => {
    const shown = kind === 'counter' ? `${name}_total` : name
    return `| \`${shown}\` | ${kind} | ${labels.map(label => `\`${label.name}\``).join(', ')} | ${help} |`
  },
)
const table = ['| metric | kind | labels | what |', '| --- | --- | --- | --- |', ...rows].join('\n')
const page = await readFile(PAGE, 'utf8')
const [before, rest] = page.split(BEGIN)
const after = rest?.split(END)[1]
if (before === undefined || after === undefined) throw new Error('docs/metrics.md has no marks for its table')
const options = await resolveConfig(PAGE)
const written = await format(`${before}${BEGIN}\n\n${table}\n\n${END}${after}`, {
  ...options,
  parser: 'markdown',
})
if (!process.argv.includes('--check')) await writeFile(PAGE, written)
else if (written !== page) {
  console.error('The table of docs/metrics.md is out of date. Run: npm run docs')
  process.exitCode = 1
}
