import { basename, sep } from 'node:path'
import { CLIENT_VALUE_NAME } from '../../core/client-placeholders.ts'
import { fixOf } from './utf8.ts'
import { whyUnreadable } from '../../regular-file.ts'
import { IGNORED_ROOT_KEYS, IGNORED_SERVER_KEYS } from '../options/foreign-keys.ts'
import type { Path, Problem } from '../problem.ts'
import type { PrintedText } from './printed-headers.ts'
import type { Secret } from './secrets.ts'

/** The sources of variables. */
export interface Variables {
  readonly env: Readonly<Record<string, string | undefined>>
  /** `${workspaceFolder}`: the folder of the project that the file belongs to. */
  readonly workspaceFolder: string
  /** `${userHome}` */
  readonly userHome: string
  /** `${file:path}`: text of a file, without its final line break. May throw. */
  readFile(path: string): string
  /** `${exec:…}`, `${keyring:…}`: the secret, or why there is none. `undefined`: it is not looked for. */
  secret(variable: string): Secret | undefined
}

export interface Expanded {
  readonly value: unknown
  readonly problems: readonly Problem[]
  /** Headers with `${exec:…}`. */
  readonly printed: readonly PrintedText[]
}

/**
 * Expands the variables in all strings of a parsed file: `${VAR}`, `${VAR:-default}`, `${env:VAR}`, `${input:id}`,
 * `${file:path}`, `${exec:program}`, `${keyring:service/account}`, `${workspaceFolder}`, `${workspaceFolderBasename}`,
 * `${userHome}`, `${pathSeparator}`; `$${` stands for `${`. `${client.NAME}` stays where it may stand: each link gets
 * the value of its client. Disabled servers are left out, so that their variables and files need not exist.
 */
export function expand(file: unknown, variables: Variables): Expanded {
  const problems: Problem[] = []
  const printed: PrintedText[] = []
  const inputs = defaultsOfInputs(file)

  const visit = (value: unknown, path: Path): unknown => {
    if (typeof value === 'string') return isHeader(path) ? expandHeader(value, path) : expandText(value, path)
    if (Array.isArray(value)) return value.map((item, at) => visit(item, [...path, at]))
    if (typeof value !== 'object' || value === null) return value
    const copy: Record<string, unknown> = {}
    for (const [key, child] of Object.entries(value)) {
      const at = [...path, key]
      if (key === '__proto__')
        problems.push({ path: at, about: 'key', cause: 'is a name that cannot be used', ofFile: true })
      else if (isIgnored(at)) copy[key] = child
      else if (!isDisabledServer(at, child)) copy[key] = visit(child, at)
    }
    return copy
  }

  const expandHeader = (text: string, path: Path): string => {
    const written = text.split(EXEC)
    const pieces = written.map((piece, at) => expandText(at % 2 === 1 ? `\${exec:${piece}}` : piece, path))
    const value = pieces.join('')
    if (pieces.length > 1)
      printed.push({
        path,
        value,
        pieces: pieces.map((piece, at) => (at % 2 === 1 ? (written[at] as string) : piece)),
      })
    return value
  }

  const expandText = (text: string, path: Path): string => {
    if (!text.includes('${')) return text
    return text.replace(
      /(\$?)\$\{([^}]*)(\}?)/g,
      (whole: string, escaped: string, body: string, end: string) => {
        const ofClient = end !== '' && body.startsWith('client.') && isFilled(path)
        if (ofClient && escaped === '' && CLIENT_VALUE_NAME.test(body.slice('client.'.length))) return whole
        if (escaped !== '' && !ofClient) return whole.slice(1)
        const found = end === '' ? undefined : lookUp(body, path)
        if (found === undefined) {
          const cause = `has ${end === '' ? 'a "${" without "}"' : `\${${body}}, which is no variable`}`
          const fix = body.startsWith('client.')
            ? 'A value of the client is possible in "headers", "env", "args" and "url" of a server, as in ${client.token}.'
            : 'Use ${NAME} or ${NAME:-default}, or write "$${" for the characters themselves.'
          problems.push({ path, about: 'hidden value', cause, fix })
        }
        return found ?? ''
      },
    )
  }

  /**
   * Value of the variable, `undefined` when the text is not a variable. An unset variable is reported and yields an
   * empty text.
   */
  const lookUp = (body: string, path: Path): string | undefined => {
    if (body === 'workspaceFolder') return variables.workspaceFolder
    if (body === 'workspaceFolderBasename') return basename(variables.workspaceFolder)
    if (body === 'userHome') return variables.userHome
    if (body === 'pathSeparator' || body === '/') return sep
    const missing = (cause: string, fix: string, shown = body): string => {
      problems.push({
        path,
        about: 'hidden value',
        cause: `uses \${${shown}}, but ${cause}`,
        fix,
        kind: 'variable',
      })
      return ''
    }
    const variable = /^(?:env:)?([A-Za-z_]\w*)(?::-([^$]*))?$/s.exec(body)
    if (variable) {
      const [, name = '', fallback] = variable
      const value = variables.env[name]
      // As in a shell, the default also replaces an empty value.
      if (fallback !== undefined) return value || fallback
      return (
        value ??
        missing(
          `the environment variable ${name} is not set`,
          `Set it, or give it a default: \${${name}:-value}.`,
        )
      )
    }
    if (body.startsWith('input:')) {
      const id = body.slice('input:'.length)
      const name = inputVariable(id)
      const value = variables.env[name] ?? inputs.get(id)
      return (
        value ??
        missing(`the gateway cannot prompt for the input "${id}"`, `Set the environment variable ${name}.`)
      )
    }
    if (body.startsWith('file:')) {
      const path = body.slice('file:'.length)
      try {
        return variables.readFile(path).replace(/\r?\n$/, '')
      } catch (error) {
        return missing(whyUnreadable(error), fixOf(error, 'Check the path and its permissions.'))
      }
    }
    if (body.startsWith('exec:') || body.startsWith('keyring:')) {
      const secret = variables.secret(body)
      if (secret === undefined) return NOT_LOOKED_FOR
      // Arguments of a program may be secrets.
      const shown = body.startsWith('exec:') ? 'exec:…' : body
      return 'value' in secret ? secret.value : missing(secret.cause, secret.fix, shown)
    }
    return undefined
  }

  return { value: visit(file, []), problems, printed }
}

/** `${exec:…}`, but not where `$${` stands for the characters themselves. */
const EXEC = /(?<!\$)\$\{exec:([^}]*)\}/

/** In place of a secret while it is not known. */
const NOT_LOOKED_FOR = 'not-looked-for'

/** Environment variable for an input of VS Code: `api-key` → `MCP_INPUT_API_KEY`. */
export function inputVariable(id: string): string {
  return `MCP_INPUT_${id.toUpperCase().replace(/[^A-Z0-9]/g, '_')}`
}

function isServer(path: Path): boolean {
  return path.length === 2 && (path[0] === 'mcpServers' || path[0] === 'servers')
}

function isDisabledServer(path: Path, value: unknown): boolean {
  return (
    isServer(path) &&
    typeof value === 'object' &&
    value !== null &&
    (value as { disabled?: unknown }).disabled === true
  )
}

/** Whether `${client.NAME}` may stand here: in `headers`, `env`, `args` or the URL of a server or a replica. */
function isFilled(path: Path): boolean {
  if (!isServer(path.slice(0, 2))) return false
  const [key, ...rest] = path[2] === 'replicas' ? path.slice(4) : path.slice(2)
  if (key === 'url' || key === 'serverUrl') return rest.length === 0
  return (key === 'headers' || key === 'env' || key === 'args') && rest.length === 1
}

/** Whether it is a header of a server or of a replica. */
function isHeader(path: Path): boolean {
  return path.at(-2) === 'headers' && isFilled(path)
}

/** Texts that do not belong to the gateway are never expanded. */
function isIgnored(path: Path): boolean {
  const key = String(path.at(-1))
  if (path.length === 1) return key === '$schema' || key === 'inputs' || Object.hasOwn(IGNORED_ROOT_KEYS, key)
  return path.length === 3 && isServer(path.slice(0, 2)) && Object.hasOwn(IGNORED_SERVER_KEYS, key)
}

function defaultsOfInputs(file: unknown): Map<string, string> {
  const found = new Map<string, string>()
  const inputs = (file as { inputs?: unknown } | null)?.inputs
  if (!Array.isArray(inputs)) return found
  for (const input of inputs as unknown[]) {
    const { id, default: value } = (input ?? {}) as { id?: unknown; default?: unknown }
    if (typeof id === 'string' && typeof value === 'string') found.set(id, value)
  }
  return found
}
