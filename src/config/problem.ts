/** What is wrong in a configuration, how it is shown, and what of it may be shown. */

export type Path = readonly (string | number)[]

/** One thing to mend. The text never holds a value: `renderProblems` adds it, masked. */
export interface Problem {
  readonly path: Path
  /** Follows the place and the value, as in `mcpServers.search.timeout is "60x": expected a duration`. */
  readonly cause: string
  /** A full sentence: what to write instead. */
  readonly fix?: string
  /** What is wrong there: the value, which is shown, or the key, whose value would only distract. Default: value. */
  readonly about?: 'value' | 'key' | 'hidden value'
  /** Without this, a problem inside the entry of a server concerns that server alone (`scope.ts`). */
  readonly ofFile?: true
}

/** A problem with what is known of where it stands. */
export interface Located {
  readonly problem: Problem
  /** The whole value as written, before variables were expanded, so that nothing that came from the environment is ever shown. */
  readonly raw: unknown
  readonly position?: { readonly line: number; readonly column: number } | undefined
  /** The file that is included and holds it; `undefined` in the one that the title names. */
  readonly file?: string | undefined
}

const SECRET = /token|secret|key|password|passwd|authorization|credential|cookie/i
const LONGEST_SHOWN = 80
/** Nobody mends more at once, and one mistake may be made in a thousand places. */
const MOST_SHOWN = 20

/** `mcpServers.search.args[2]`, `mcpServers["my files"].command`. */
export function formatPath(path: Path): string {
  let text = ''
  for (const part of path) {
    if (typeof part === 'number') text += `[${part}]`
    else if (/^[A-Za-z_$][\w$-]*$/.test(part)) text += text === '' ? part : `.${part}`
    else text += `[${JSON.stringify(part)}]`
  }
  return text === '' ? 'the file' : text
}

/** Hides credentials inside an otherwise harmless text: user and password of a URL, its query's values, `--token=…`, `Bearer …`. */
export function maskText(text: string): string {
  return text
    .replace(/\/\/[^/@\s]+@/g, '//***@')
    .replace(/([?&][^=?&\s]+=)[^&\s]+/g, '$1***')
    .replace(/\b(bearer|basic)\s+\S+/gi, '$1 ***')
    .replace(/^([\w.-]+[=:]).+$/, (whole, name: string) =>
      /token|secret|key|password/i.test(name) ? `${name}***` : whole,
    )
}

/** Arguments of a command, fit to be shown: what follows a flag such as `--api-key` is hidden too. */
export function maskArgs(args: readonly string[]): string[] {
  return args.map((arg, at) => {
    const before = args[at - 1]
    return before?.startsWith('-') && !before.includes('=') && SECRET.test(before) ? '***' : maskText(arg)
  })
}

/** A value as a message may show it. Values of headers and of the environment, and whatever is named like a secret, become `***`. */
export function formatValue(path: Path, value: unknown, siblings?: unknown): string {
  if (value === null) return 'null'
  if (value === undefined) return 'missing'
  if (Array.isArray(value)) return 'a list'
  if (typeof value === 'object') return 'an object'
  if (path.some(part => part === 'headers' || part === 'env' || SECRET.test(String(part)))) return '***'
  const at = path.at(-1)
  const shown =
    typeof at === 'number' && Array.isArray(siblings)
      ? (maskArgs(siblings.map(String))[at] ?? '***')
      : maskText(String(value))
  if (typeof value !== 'string') return shown
  return JSON.stringify(shown.length > LONGEST_SHOWN ? `${shown.slice(0, LONGEST_SHOWN)}…` : shown)
}

/** The value at `path`, `undefined` where there is none. */
export function valueAt(root: unknown, path: Path): unknown {
  let at = root
  for (const part of path) {
    if (typeof at !== 'object' || at === null || !Object.hasOwn(at, part)) return undefined
    at = (at as Record<string | number, unknown>)[part]
  }
  return at
}

/** The problems as one text, a line each, in the order of the files: the first twenty, and how many more there are. */
export function renderProblems(title: string, problems: readonly Located[]): string {
  const files = [...new Set([undefined, ...problems.map(({ file }) => file)])]
  const rank = ({ file, position }: Located): number =>
    files.indexOf(file) * 1e13 + (position ? position.line * 1e6 + position.column : 0)
  const inOrder = [...problems].sort((a, b) => rank(a) - rank(b))
  // One more takes no more room than to say so.
  const shownCount = inOrder.length > MOST_SHOWN + 1 ? MOST_SHOWN : inOrder.length
  const lines = inOrder.slice(0, shownCount).map(problem => `- ${renderProblem(problem)}`)
  if (inOrder.length > shownCount) lines.push(`- and ${inOrder.length - shownCount} more.`)
  return `${title} has ${problems.length === 1 ? 'a problem' : `${problems.length} problems`}:\n${lines.join('\n')}`
}

/** Warnings below what else is said of a file; no lines when there are none. */
export function renderWarnings(warnings: readonly string[]): string[] {
  return warnings.length > 0 ? ['', 'Warnings', ...warnings.map(warning => `  ${warning}`)] : []
}

/** One problem as one line. */
export function renderProblem({ problem, raw, position, file }: Located): string {
  const { path, cause, fix, about = 'value' } = problem
  const at = [
    ...(file === undefined ? [] : [file]),
    ...(position ? [`line ${position.line}, column ${position.column}`] : []),
  ]
  const place = formatPath(path) + (at.length > 0 ? ` (${at.join(', ')})` : '')
  const value = valueAt(raw, path)
  const shown =
    about === 'value' && value !== undefined
      ? `is ${formatValue(path, value, valueAt(raw, path.slice(0, -1)))}: `
      : ''
  return `${place} ${shown}${cause}.${fix ? ` ${fix}` : ''}`
}
