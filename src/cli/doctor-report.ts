import { alignColumns } from './columns.ts'
import type { Finding } from '../doctor/finding.ts'
import type { Report, ServerFacts } from '../doctor/doctor.ts'

export interface Screen {
  readonly colours: boolean
  /** Characters of a line. */
  readonly width: number
}

const MARKS = { error: '✗', warning: '!' } as const
const COLOURS = { error: 31, warning: 33, dim: 2, bold: 1, good: 32 } as const

/** The report for a person, grouped by layer. */
export function render(report: Report, screen: Screen): string {
  const { findings, skipped, mended, servers, file } = report
  const paint = (text: string, colour: keyof typeof COLOURS): string =>
    screen.colours ? `\u001B[${COLOURS[colour]}m${text}\u001B[0m` : text
  const lines: string[] = []
  const layers = [...new Set(findings.map(({ layer }) => layer))]
  for (const layer of layers) {
    lines.push(paint(layer, 'bold'))
    for (const found of findings.filter(one => one.layer === layer))
      lines.push(...linesOf(found, screen, paint), '')
  }
  if (mended.length > 0) {
    lines.push(paint('mended', 'bold'))
    for (const { code, done, failed } of mended)
      lines.push(...wrapped(`${code}: ${done ?? `could not be mended: ${failed}.`}`, '  ', screen.width))
    lines.push('')
  }
  if (servers.length > 0) lines.push(paint('servers', 'bold'), ...alignColumns(servers.map(rowOf)), '')
  for (const { layer, server, because } of skipped) {
    const what = server === undefined ? layer : `${layer} of ${JSON.stringify(server)}`
    lines.push(
      ...wrapped(`Skipped: ${what}, because ${because}.`, '', screen.width).map(line => paint(line, 'dim')),
    )
  }
  lines.push(...conclusion(findings, file).map(line => (findings.length === 0 ? paint(line, 'good') : line)))
  return `${lines.join('\n')}\n`
}

function linesOf(
  { severity, server, code, cause, fix, command, set, said, mend }: Finding,
  { width }: Screen,
  paint: (text: string, colour: keyof typeof COLOURS) => string,
): string[] {
  const about = server === undefined ? '' : `${server}: `
  const [first = '', ...rest] = wrapped(`${about}${cause}`, '    ', width)
  const key = set && (set.value === undefined ? set.key : `${set.key}: ${JSON.stringify(set.value)}`)
  return [
    `  ${paint(MARKS[severity], severity)} ${first.trimStart()}`,
    ...rest,
    ...said.map(line => paint(`      ${line}`, 'dim')),
    ...wrapped(`Fix: ${fix}`, '    ', width),
    ...(key === undefined ? [] : [`      ${key}`]),
    ...(command === undefined ? [] : [`      $ ${command}`]),
    ...(mend ? ['    --fix does that.'] : []),
    paint(`    mcp-manifold help ${code}`, 'dim'),
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
  return [server, transport, `${era} ${revision}`, `${(startMs / 1000).toFixed(1)} s`, lists]
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

/** Lines of at most `width` characters; line breaks of the text stay. */
function wrapped(text: string, indent: string, width: number): string[] {
  return text.split('\n').flatMap(paragraph => {
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
