/** Problems of a configuration: their form, their display and the masking of secrets. */

export type Path = readonly (string | number)[]

/** One problem of a configuration. The text never contains a value: `renderProblems` adds it, masked. */
export interface Problem {
  readonly path: Path
  /** Follows the location and the value, as in `mcpServers.search.timeout is "60x": expected a duration`. */
  readonly cause: string
  /** A full sentence: what to write instead. */
  readonly fix?: string
  /** The subject of the problem: the value, which is shown, or the key, whose value is irrelevant. Default: value. */
  readonly about?: 'value' | 'key' | 'hidden value'
  /**
   * Set when a problem inside the entry of a server affects the whole file; otherwise it affects only that server
   * (`scope.ts`).
   */
  readonly ofFile?: true
  /** What kind of problem it is, where a program tells kinds apart. */
  readonly kind?: 'unknown key' | 'variable' | 'arguments'
}

/** One problem by itself, as a program reads it. */
export interface FoundProblem {
  readonly kind: Problem['kind']
  /** Location as written in the file, as in `mcpServers.search.timeout`. */
  readonly key: string
  /** The server whose entry contains it; `undefined` when it affects the whole file. */
  readonly server: string | undefined
  /** The whole problem as one line, with its position and its fix. */
  readonly text: string
  readonly fix: string | undefined
}

/** A problem with its location, as far as known. */
export interface Located {
  readonly problem: Problem
  /**
   * The whole value as written, before the expansion of variables, so that no value of the environment is ever shown.
   */
  readonly raw: unknown
  readonly position?: { readonly line: number; readonly column: number } | undefined
  /** The included file that contains it; `undefined` for the file named in the title. */
  readonly file?: string | undefined
}

const SECRET = /token|secret|key|password|passwd|authorization|credential|cookie/i
const LONGEST_SHOWN = 80
/** More problems are rarely fixed at once, and one error may be repeated in a thousand locations. */
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

/** Masks credentials in a text: user and password of a URL, its query values, `--token=…`, `Bearer …`. */
export function maskText(text: string): string {
  return text
    .replace(/\/\/[^/@\s]+@/g, '//***@')
    .replace(/([?&][^=?&\s]+=)[^&\s]+/g, '$1***')
    .replace(/\b(bearer|basic)\s+\S+/gi, '$1 ***')
    .replace(/^([\w.-]+[=:]).+$/, (whole, name: string) =>
      /token|secret|key|password/i.test(name) ? `${name}***` : whole,
    )
}

/** Arguments of a command for display: values after a flag such as `--api-key` are masked as well. */
export function maskArgs(args: readonly string[]): string[] {
  return args.map((arg, at) => {
    const before = args[at - 1]
    return before?.startsWith('-') && !before.includes('=') && SECRET.test(before) ? '***' : maskText(arg)
  })
}

/** A value for display in a message. Header values, environment values and values with secret names become `***`. */
function formatValue(path: Path, value: unknown, siblings?: unknown): string {
  if (value === null) return 'null'
  if (value === undefined) return 'undefined'
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

/** The value at `path`, `undefined` when there is none. */
export function valueAt(root: unknown, path: Path): unknown {
  let at = root
  for (const part of path) {
    if (typeof at !== 'object' || at === null || !Object.hasOwn(at, part)) return undefined
    at = (at as Record<string | number, unknown>)[part]
  }
  return at
}

/** Also one without a value, as the objects of a program may have. */
function hasMember(holder: unknown, key: string | number | undefined): boolean {
  return typeof holder === 'object' && holder !== null && key !== undefined && Object.hasOwn(holder, key)
}

/** The problems as one text, a line each, in the order of the files: the first twenty, and the number of the others. */
export function renderProblems(title: string, problems: readonly Located[]): string {
  const files = [...new Set([undefined, ...problems.map(({ file }) => file)])]
  const rank = ({ file, position }: Located): number =>
    files.indexOf(file) * 1e13 + (position ? position.line * 1e6 + position.column : 0)
  const inOrder = [...problems].sort((a, b) => rank(a) - rank(b))
  // A single further problem takes no more room than the line that would replace it.
  const shownCount = inOrder.length > MOST_SHOWN + 1 ? MOST_SHOWN : inOrder.length
  const lines = inOrder.slice(0, shownCount).map(problem => `- ${renderProblem(problem)}`)
  if (inOrder.length > shownCount) lines.push(`- and ${inOrder.length - shownCount} more.`)
  return `${title} has ${problems.length === 1 ? 'a problem' : `${problems.length} problems`}:\n${lines.join('\n')}`
}

/** Problems of servers for a log: the first twenty, and the number of the others. */
export function toldProblems(problems: readonly string[]): readonly string[] {
  if (problems.length <= MOST_SHOWN + 1) return problems
  const more = problems.length - MOST_SHOWN
  return [...problems.slice(0, MOST_SHOWN), `${more} more servers have a problem in their entries.`]
}

/** Warnings as lines below other output; empty when there are none. */
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
  const location = formatPath(path) + (at.length > 0 ? ` (${at.join(', ')})` : '')
  const [value, holder] = [valueAt(raw, path), valueAt(raw, path.slice(0, -1))]
  const isThere = value !== undefined || hasMember(holder, path.at(-1))
  const shown = about === 'value' && isThere ? `is ${formatValue(path, value, holder)}: ` : ''
  return `${location} ${shown}${cause}.${fix ? ` ${fix}` : ''}`
}
