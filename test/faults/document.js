// @ts-check
import { readFile, writeFile } from 'node:fs/promises'
import { fileURLToPath } from 'node:url'
import { format, resolveConfig } from 'prettier'
import { FAULTS } from './faults.js'
import { KINDS } from './matrix.js'

const FILE = new URL('../../docs/faults.md', import.meta.url)

/** @typedef {import('./matrix.js').CellOutcome} CellOutcome */

/**
 * Replaces what is between `<!-- name -->` and `<!-- /name -->` in docs/faults.md.
 *
 * @param {string} name
 * @param {readonly string[]} lines
 */
export async function writeSection(name, lines) {
  const text = await readFile(FILE, 'utf8')
  const [begin, end] = [`<!-- ${name} -->`, `<!-- /${name} -->`]
  const [before, rest] = text.split(begin)
  const after = rest?.split(end)[1]
  if (before === undefined || after === undefined) throw new Error(`docs/faults.md lacks ${begin} or ${end}`)
  const filepath = fileURLToPath(FILE)
  const whole = `${before}${begin}\n\n${lines.join('\n')}\n\n${end}${after}`
  await writeFile(FILE, await format(whole, { ...(await resolveConfig(filepath)), filepath }))
}

const COLUMNS = /** @type {const} */ ([2, 1]).flatMap(replicas => KINDS.map(kind => ({ kind, replicas })))
const TRANSPORTS = /** @type {const} */ (['http', 'stdio'])
const ERAS = /** @type {const} */ (['legacy', 'modern'])
const NAMES = { http: 'HTTP', stdio: 'stdio' }

/** A table for each transport and era. @param {readonly CellOutcome[]} outcomes @returns {string[]} */
export function matrixLines(outcomes) {
  const right = outcomes.filter(({ wrong }) => wrong.length === 0).length
  const lines = [`${outcomes.length} cells, of which ${outcomes.length - right} are not as they must be.`]
  for (const transport of TRANSPORTS) {
    for (const era of ERAS) {
      const here = outcomes.filter(({ group }) => group.transport === transport && group.era === era)
      if (here.length === 0) continue
      const head = COLUMNS.map(({ kind, replicas }) => `${kind}, ${replicas === 2 ? '2 replicas' : 'alone'}`)
      lines.push(
        '',
        `### ${NAMES[transport]}, ${era} servers`,
        '',
        row(['fault', ...head]),
        row(['---', ...head.map(() => '---')]),
      )
      for (const fault of FAULTS) {
        if (fault[transport] !== true) continue
        const cells = COLUMNS.map(({ kind, replicas }) =>
          shown(
            here.filter(
              ({ cell }) => cell.fault === fault.name && cell.kind === kind && cell.replicas === replicas,
            ),
          ),
        )
        lines.push(row([era === 'legacy' ? (fault.legacy ?? fault.title) : fault.title, ...cells]))
      }
    }
    const left = FAULTS.filter(fault => fault[transport] !== true)
    lines.push('', `Left out over ${NAMES[transport]}:`, '')
    for (const fault of left) lines.push(`- ${fault.title}: ${fault[transport]}`)
  }
  return lines
}

/** What clients of both eras saw. @param {readonly CellOutcome[]} outcomes */
function shown(outcomes) {
  const texts = outcomes.map(
    ({ outcome, runs, wrong }) =>
      `${wrong.length > 0 ? '**✗** ' : ''}${outcome === 'result' ? outcome : `\`${outcome}\``} ${runs}`,
  )
  return texts.length === 0 ? '-' : [...new Set(texts)].join('; ')
}

/** @param {readonly string[]} cells */
function row(cells) {
  return `| ${cells.join(' | ')} |`
}
