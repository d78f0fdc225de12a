import { absolutePath } from '../paths.ts'
import { maskArgs, maskText, valueAt, type Path, type Problem } from '../problem.ts'
import { findProgram, isFolder, isPath, type ProgramContext } from './programs.ts'
import { isJsonObject } from '../../core/json-object.ts'
import { SERVER_SECTIONS } from '../validate/scope.ts'
import type { JsonObject } from '../../core/exchange.ts'

/** Base folders for relative paths and programs, unless an entry overrides them. All paths are absolute. */
export interface CommandContext extends ProgramContext {
  /** Folder of the configuration file. */
  readonly folder: string
  readonly home: string
}

/** Programs that are installed with another one. */
const COMES_WITH: Readonly<Record<string, string>> = {
  npx: 'Node.js',
  npm: 'Node.js',
  node: 'Node.js',
  uvx: 'uv',
  bunx: 'Bun',
}

/**
 * Finds commands that contain their own arguments, as for a shell. A program whose name or path contains a space is not
 * reported.
 * @param value the file with its variables expanded; `raw` is the file as written, which may be shown
 */
export function commandProblems(raw: unknown, value: unknown, context: CommandContext): Problem[] {
  return commandsOf(value, context).flatMap((command): Problem[] => {
    const { path, text } = command
    const written = valueAt(raw, path)
    const [program = '', ...first] = words(typeof written === 'string' ? written : '')
    if (first.length === 0 || !isCommandLine(text, command)) return []
    const args = [...first, ...command.argsIn(raw)]
    const shown = `"args": ${JSON.stringify(maskArgs(args)).replaceAll('","', '", "')}`
    return [
      {
        path,
        about: 'hidden value',
        cause: 'holds arguments, so that no program of this name is found',
        kind: 'arguments',
        fix: `Write "command": ${JSON.stringify(maskText(program))}, ${shown}.`,
      },
    ]
  })
}

/**
 * A warning for each command that is not found. These are not errors, because a client that starts the gateway may have
 * another `PATH`.
 * @param isUsed whether a server is started at all
 */
export function commandWarnings(
  raw: unknown,
  value: unknown,
  context: CommandContext,
  isUsed: (server: string) => boolean,
): string[] {
  return commandsOf(value, context).flatMap(command => {
    const { path, text } = command
    if (!isUsed(String(path[1]))) return []
    const found = findProgram(text, command)
    if (found === 'found' || isCommandLine(text, command)) return []
    const [, server, , at] = path
    const replica = typeof at === 'number' ? `, replica ${at + 1}` : ''
    const shown = JSON.stringify(maskText(String(valueAt(raw, path))))
    return `The server "${server}"${replica}: its command ${shown} ${reason(found, command)}`
  })
}

function reason(found: 'absent' | 'not executable', command: Command): string {
  const { text } = command
  if (found === 'not executable')
    return 'is not executable. Make it so (chmod +x), or write the program that runs it as "command" and the file in "args".'
  const trimmed = text.trim()
  if (trimmed !== text && findProgram(trimmed, command) === 'found')
    return 'is not found with the space around it. Remove the space.'
  if (isPath(text) && isFolder(text, command)) return 'is a folder. Write the program in it.'
  if (isPath(text)) return 'does not exist. Correct the path.'
  const another = text === 'python' && findProgram('python3', command) === 'found' ? 'python3' : undefined
  if (another !== undefined) return `is not on PATH here. Write "${another}", which is.`
  const brings = Object.hasOwn(COMES_WITH, text) ? `${COMES_WITH[text]}, which brings it` : 'it'
  return `is not on PATH here. Install ${brings}, or write its absolute path.`
}

/** One `command` of a file, and where its program is searched. */
interface Command extends ProgramContext {
  readonly path: Path
  /** With variables expanded. */
  readonly text: string
  /** Its arguments in a file, including inherited ones. */
  argsIn(file: unknown): string[]
}

function commandsOf(value: unknown, context: CommandContext): Command[] {
  return endpoints(value).flatMap((path): Command[] => {
    const server = objectAt(value, path.slice(0, 2))
    const endpoint = objectAt(value, path)
    const text = endpoint['command']
    if (typeof text !== 'string' || text.trim() === '') return []
    const { cwd = server['cwd'] } = endpoint
    return [
      {
        path: [...path, 'command'],
        text,
        cwd: typeof cwd === 'string' ? absolutePath(cwd, context.folder, context.home) : context.cwd,
        // A getter, because copying the environment takes longer than everything else here, and few commands need it.
        get env() {
          return { ...context.env, ...texts(server['env']), ...texts(endpoint['env']) }
        },
        argsIn: file => {
          const args = valueAt(file, [...path, 'args']) ?? valueAt(file, [...path.slice(0, 2), 'args'])
          return Array.isArray(args) ? args.filter(arg => typeof arg === 'string') : []
        },
      },
    ]
  })
}

/** Paths of all values that may have a command: servers, and their replicas. */
function endpoints(value: unknown): Path[] {
  return SERVER_SECTIONS.flatMap(section =>
    Object.entries(objectAt(value, [section])).flatMap(([name, entry]): Path[] => {
      const path = [section, name]
      const replicas = isJsonObject(entry) && Array.isArray(entry['replicas']) ? entry['replicas'] : []
      return [path, ...replicas.map((_, at) => [...path, 'replicas', at])]
    }),
  )
}

function objectAt(value: unknown, path: Path): JsonObject {
  const found = valueAt(value, path)
  return isJsonObject(found) ? found : {}
}

function texts(value: unknown): Record<string, string> {
  const entries = Object.entries(isJsonObject(value) ? value : {})
  return Object.fromEntries(
    entries.filter((entry): entry is [string, string] => typeof entry[1] === 'string'),
  )
}

/** Whether there is no program of this name, but its first word is a program or cannot be part of a path. */
function isCommandLine(text: string, context: ProgramContext): boolean {
  const [program = '', ...args] = words(text)
  if (args.length === 0 || findProgram(text, context) !== 'absent') return false
  return !/[\\/]/.test(program) || /^\s*["']/.test(text) || findProgram(program, context) !== 'absent'
}

/** Splits a line as a shell does, including quotes. */
function words(line: string): string[] {
  return [...line.matchAll(/"([^"]*)"|'([^']*)'|(\S+)/g)].map(
    ([, double, single, plain]) => double ?? single ?? plain ?? '',
  )
}
