import { alignColumns } from './table.ts'
import { seenText } from '../core/seen-text.ts'
import { painted, terminalWidth, type Colour } from './terminal.ts'
import type { Finding } from '../doctor/finding.ts'
import type { Report, ServerFacts } from '../doctor/doctor.ts'

const MARKS = { error: '✗', warning: '!' } as const
const COLOURS = { error: 'red', warning: 'yellow' } as const satisfies Record<Finding['severity'], Colour>
const WIDEST = 120
const NARROWEST = 40

/** The report for a person, grouped by layer. */
export function render(report: Report): string {
  const { findings, skipped, mended, servers, file } = report
  const width = Math.max(NARROWEST, Math.min(terminalWidth() ?? WIDEST, WIDEST))
  const lines: string[] = []
  const layers = [...new Set(findings.map(({ layer }) => layer))]
  for (const layer of layers) {
    lines.push(layer)
    for (const found of findings.filter(one => one.layer === layer)) lines.push(...linesOf(found, width), '')
  }
  if (mended.length > 0) {
    lines.push('mended')
    for (const { code, done, failed } of mended)
      lines.push(...wrapped(`${code}: ${done ?? `could not be mended: ${failed}.`}`, '  ', width))
    lines.push('')
  }
  if (servers.length > 0) lines.push('servers', ...alignColumns(servers.map(rowOf)), '')
  for (const { layer, server, because } of skipped) {
    const what = server === undefined ? layer : `${layer} of ${JSON.stringify(server)}`
    lines.push(
      ...wrapped(`Skipped: ${what}, because ${because}.`, '', width).map(line => painted(line, 'dim')),
    )
  }
  lines.push(
    ...conclusion(findings, file).map(line => (findings.length === 0 ? painted(line, 'green') : line)),
  )
  return `${lines.join('\n')}\n`
}

function linesOf(
  { severity, server, code, cause, fix, command, set, said, mend }: Finding,
  width: number,
): string[] {
  const about = server === undefined ? '' : `${server}: `
  // One with letters that cannot be seen would be another command without them.
  const typed = command !== undefined && seenText(command) === command ? command : undefined
  const [first = '', ...rest] = wrapped(`${about}${cause}`, '    ', width)
  const key = set && (set.value === undefined ? set.key : `${set.key}: ${JSON.stringify(set.value)}`)
  return [
    `  ${painted(MARKS[severity], COLOURS[severity])} ${first.trimStart()}`,
    ...rest,
    ...said.map(line => painted(`      ${seenText(line)}`, 'dim')),
    ...wrapped(`Fix: ${fix}`, '    ', width),
    ...(key === undefined ? [] : [`      ${seenText(key)}`]),
    ...(typed === undefined ? [] : [`      $ ${typed}`]),
    ...(mend ? ['    --fix does that.'] : []),
    painted(`    mcp-manifold help ${code}`, 'dim'),
  ]
}

function rowOf({
  server,
  transport,
  era,
  revision,
  startMs,
  tools,
  resources,
  prompts,
  tokens,
}: ServerFacts): string[] {
  const lists = `${tools} tools (about ${tokens} tokens), ${resources} resources, ${prompts} prompts`
  return [seenText(server), transport, `${era} ${revision}`, `${(startMs / 1000).toFixed(1)} s`, lists]
}

function conclusion(findings: readonly Finding[], file: string | undefined): string[] {
  const errors = findings.filter(({ severity }) => severity === 'error').length
  const warnings = findings.length - errors
  const at = file === undefined ? '' : ` with ${file}`
  if (findings.length === 0) return [`Nothing is wrong${at}.`]
  return [`${counted(errors, 'error')}, ${counted(warnings, 'warning')}${at}.`]
}

function counted(count: number, what: string): string {
  return `${count} ${what}${count === 1 ? '' : 's'}`
}

/** Lines of at most `width` characters that can be seen; line breaks of the text stay. */
function wrapped(text: string, indent: string, width: number): string[] {
  return seenText(text)
    .split('\n')
    .flatMap(paragraph => {
      const lines: string[] = []
      let line = indent
      for (const word of paragraph.split(' ')) {
        const isFirst = line === indent
        if (!isFirst && line.length + 1 + word.length > width) {
          lines.push(line)
          line = indent + word
        } else line += isFirst ? word : ` ${word}`
      }
      return [...lines, line]
    })
}
