import { createHash } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { access, readFile, stat } from 'node:fs/promises'
import { homedir } from 'node:os'
import { dirname, resolve } from 'node:path'
import { GatewayError } from '../../core/errors.ts'
import { adopt } from './adopt.ts'
import { commandProblems, commandWarnings } from './command-hints.ts'
import { duplicateKeys } from './duplicates.ts'
import { readEnvFiles } from './env-files.ts'
import { expand } from './variables.ts'
import { withPresentNames, type PresentNames } from './old-names.ts'
import { isNestedTooDeep, MAX_DEPTH } from './nesting.ts'
import { patternWarnings } from '../validate/pattern-warnings.ts'
import { absolutePath, candidateFiles, projectFolder, stateFolder } from '../paths.ts'
import { renderProblem, renderProblems, renderWarnings } from '../problem.ts'
import { resolveConfig } from '../resolve/config.ts'
import { VERSION } from '../../version.ts'
import { serverNames, serverOf, withoutEntries } from '../validate/scope.ts'
import type { Problem, Where } from '../problem.ts'
import type { Overrides } from '../resolve/environment.ts'
import type { ServersFile } from '../options/file.ts'
import type { Config } from '../types.ts'

/** Largest file that is read: thousands of servers fit in. */
const MAX_FILE_BYTES = 16 * 1024 * 1024

/** The rest is shown by `check`. */
const MOST_SHOWN_OF_SERVER = 3

export interface LoadOptions {
  /** Path of the file; without it the usual places are searched. */
  readonly file?: string | undefined
  /** What the command line says; wins over the file. */
  readonly overrides?: Overrides
  /** Default: of the process. */
  readonly cwd?: string
  /** Default: of the process. */
  readonly env?: Readonly<Record<string, string | undefined>>
  /** Default: of the user. */
  readonly home?: string
  /**
   * Whether a configuration has been found valid before. Checking loads a library that takes longer than everything else
   * here; with this pair a gateway pays for it once. `hash` covers this package's version and the whole expanded file.
   */
  readonly isKnownValid?: (hash: string) => Promise<boolean>
  readonly rememberValid?: (hash: string) => Promise<void>
  /** Whether the warnings name commands that are not found. A start finds out by itself. Default: false. */
  readonly looksForCommands?: boolean
}

export interface Loaded {
  readonly config: Config
  /** The file as written, in the gateway's own form and with variables not expanded: what may be shown of it. */
  readonly raw: unknown
  /** The text of the file; `undefined` when the configuration was given as an object. */
  readonly text: string | undefined
  /** The problems of single servers, which are left out, as a text with a line for each; `undefined` when there are none. */
  readonly problems: string | undefined
}

/**
 * Finds, reads, expands, checks and resolves a configuration file. A problem in the entry of a server is that server's alone (`ServerConfig.problem`).
 * @throws GatewayError `config` for any other problem, with a text that lists all of them, each with its place and its fix, no secret in it.
 */
export async function loadConfig(options: LoadOptions = {}): Promise<Config> {
  return (await loadWithSource(options)).config
}

/** As `loadConfig`, with the file as it was written. */
export async function loadWithSource(options: LoadOptions = {}): Promise<Loaded> {
  const file = await findConfigFile(options)
  return await loadText(await readText(file), { ...options, file })
}

/** As `loadWithSource`, for the text of the file, without a byte order mark. `options.file` is absolute. */
export async function loadText(
  text: string,
  options: LoadOptions & { readonly file: string },
): Promise<Loaded> {
  const { file } = options
  return await build(await parse(text, file), { file, text, options })
}

/**
 * A text as `Loaded.raw` has it, not checked.
 * @throws GatewayError `config` when it is not JSON
 */
export async function rawOf(text: string, file: string, cwd: string = process.cwd()): Promise<unknown> {
  return withPresentNames(adopt(await parse(text, file), cwd), file).value
}

/**
 * As `loadConfig`, for a value in the form of a file. Relative paths start at the working directory.
 * @throws GatewayError `config`
 */
export async function configFrom(value: unknown, options: Omit<LoadOptions, 'file'> = {}): Promise<Config> {
  return (await loadValue(value, options)).config
}

/** As `configFrom`, with the value in the gateway's own form. */
export async function loadValue(value: unknown, options: Omit<LoadOptions, 'file'> = {}): Promise<Loaded> {
  return await build(value, { file: undefined, text: undefined, options })
}

/**
 * Absolute path of the file to load.
 * @throws GatewayError `config` when there is none, saying where it looked and what a file looks like.
 */
export async function findConfigFile(options: LoadOptions = {}): Promise<string> {
  const { cwd = process.cwd(), env = process.env, home = homedir() } = options
  if (options.file !== undefined) return absolutePath(options.file, cwd, home)
  const candidates = candidateFiles(cwd, home, env)
  for (const candidate of candidates) {
    const found = await access(candidate).then(
      () => true,
      () => false,
    )
    if (found) return candidate
  }
  throw new GatewayError('config', await noFileMessage(candidates))
}

interface Source {
  readonly file: string | undefined
  readonly text: string | undefined
  readonly options: LoadOptions
}

async function build(written: unknown, source: Source): Promise<Loaded> {
  const { file, options } = source
  const { cwd = process.cwd(), env = process.env, home = homedir() } = options
  const folder = file === undefined ? cwd : dirname(file)
  const isUserWide = file !== undefined && file === candidateFiles(cwd, home, env).at(-1)
  const adopted = withPresentNames(adopt(written, cwd), file)
  const raw = adopted.value
  const { value, problems } = expand(raw, {
    env,
    userHome: home,
    workspaceFolder: file === undefined || isUserWide ? cwd : projectFolder(file),
    readFile: path => readFileSync(absolutePath(path, folder, home), 'utf8'),
  })
  const commandPlaces = { cwd: resolve(cwd), env, folder, home }
  const checked = await check(value, problems, adopted, source)
  const named = new Set(checked.map(({ path }) => path.join('\0')))
  const lines = commandProblems(raw, value, commandPlaces).filter(({ path }) => !named.has(path.join('\0')))
  const found = [...checked, ...lines]
  const hints = (isUsed: (server: string) => boolean): string[] => [
    ...adopted.hints,
    ...(options.looksForCommands ? commandWarnings(raw, value, commandPlaces, isUsed) : []),
  ]
  if (found.some(problem => serverOf(problem) === undefined)) {
    const all = (await renderer(written, adopted, source)).all(found)
    const warnings = [...patternWarnings(value), ...hints(() => true)]
    throw new GatewayError('config', [all, ...renderWarnings(warnings)].join('\n'))
  }

  const envFiles = await readEnvFiles(withoutEntries(value, ownersOf(found)) as ServersFile, folder, home)
  found.push(...envFiles.problems)
  const render = found.length === 0 ? undefined : await renderer(written, adopted, source)
  const config = resolveConfig(withoutEntries(value, ownersOf(found)) as ServersFile, {
    file,
    folder,
    cwd: resolve(cwd),
    home,
    stateFolder: stateFolder(home, env, process.platform),
    envFiles: envFiles.values,
    overrides: options.overrides ?? {},
    problems: render?.byServer(found) ?? new Map(),
  })
  const used = new Set(config.servers.map(({ name }) => name))
  const warnings = [...config.warnings, ...hints(name => used.has(name))]
  return { raw, text: source.text, config: { ...config, warnings }, problems: render?.all(found) }
}

function ownersOf(problems: readonly Problem[]): Set<string> {
  return new Set(problems.map(serverOf).filter(name => name !== undefined))
}

/** Everything that is wrong in a file, whosever it is. */
async function check(
  value: unknown,
  unexpanded: readonly Problem[],
  { owner, problems: twiceNamed }: PresentNames,
  source: Source,
): Promise<Problem[]> {
  const { isKnownValid, rememberValid } = source.options
  const known = new Set(serverNames(value))
  const duplicates = (source.text === undefined ? [] : duplicateKeys(source.text)).flatMap(problem => {
    const path = owner(problem.path)
    if (!path) return []
    // What stands inside an entry that is disabled does not matter; which of two entries was meant does.
    const name = serverOf({ ...problem, path })
    return name !== undefined && path.length > 2 && !known.has(name) ? [] : { ...problem, path }
  })
  const hash = createHash('sha256')
    .update(`${VERSION}\n${JSON.stringify(value)}`)
    .digest('hex')
  const conflicts = twiceNamed.filter(
    problem => known.has(serverOf(problem) ?? '') || serverOf(problem) === undefined,
  )
  const unchecked = [...unexpanded, ...conflicts, ...duplicates]
  if (unchecked.length === 0 && (await isKnownValid?.(hash))) return []

  const { validate } = await import('../validate/validate.ts')
  const places = new Set(unexpanded.map(({ path }) => path.join('\0')))
  // A text with a variable that has no value is wrong for that reason alone.
  const invalid = (await validate(value)).filter(({ path }) => !places.has(path.join('\0')))
  const problems = [...unexpanded, ...conflicts, ...invalid, ...duplicates]
  if (problems.length === 0) await rememberValid?.(hash)
  return problems
}

/** Shows the problems of a file. */
interface Renderer {
  /** A title, and a line for each. */
  all(problems: readonly Problem[]): string
  /** For each server that has some, a sentence with the first of them. */
  byServer(problems: readonly Problem[]): Map<string, string>
}

async function renderer(raw: unknown, { origin }: PresentNames, { file, text }: Source): Promise<Renderer> {
  const places = text === undefined ? undefined : new (await import('./source-text.ts')).SourceLocations(text)
  const where: Where = (path, ofKey) => places?.find(path, ofKey)
  const asWritten = (problem: Problem): Problem => ({ ...problem, path: origin(problem.path) })
  return {
    all: problems =>
      renderProblems(
        file === undefined ? 'The configuration' : `The configuration ${file}`,
        problems.map(asWritten),
        raw,
        where,
      ),
    byServer: problems => {
      const texts = new Map<string, string>()
      const byName = new Map<string, Problem[]>()
      for (const problem of problems) {
        const name = serverOf(problem)
        if (name === undefined) continue
        const own = byName.get(name)
        if (own) own.push(problem)
        else byName.set(name, [problem])
      }
      for (const [name, own] of byName) {
        const shown = own
          .slice(0, MOST_SHOWN_OF_SERVER)
          .map(problem => renderProblem(asWritten(problem), raw, where))
        if (own.length > shown.length) shown.push(`And ${own.length - shown.length} more.`)
        texts.set(name, `Server "${name}" is left out until its configuration is mended: ${shown.join(' ')}`)
      }
      return texts
    },
  }
}

async function readText(file: string): Promise<string> {
  try {
    const { size } = await stat(file)
    if (size > MAX_FILE_BYTES)
      throw new GatewayError(
        'config',
        `The configuration ${file} was not loaded: it has ${size} bytes, and ${MAX_FILE_BYTES} is the most. Name a file of servers after --config.`,
      )
    const text = await readFile(file, 'utf8')
    // Editors on Windows put a byte order mark in front.
    return text.startsWith('\uFEFF') ? text.slice(1) : text
  } catch (cause) {
    if (cause instanceof GatewayError) throw cause
    const code = (cause as { code?: unknown }).code
    const why =
      code === 'ENOENT'
        ? 'there is no such file. Check the path after --config.'
        : code === 'EISDIR'
          ? 'it is a directory. Name the file in it.'
          : `it cannot be read (${String(code)}). Check its permissions.`
    throw new GatewayError('config', `The configuration ${file} was not loaded: ${why}`, { cause })
  }
}

async function parse(text: string, file: string): Promise<unknown> {
  if (isNestedTooDeep(text))
    throw new GatewayError(
      'config',
      `The configuration ${file} was not loaded: objects and lists in it are nested more than ${MAX_DEPTH} deep. Remove what is nested so deep.`,
    )
  try {
    return JSON.parse(text)
  } catch {
    const title = `The configuration ${file}`
    const { otherFormat } = await import('./other-formats.ts')
    const other = otherFormat(text, file)
    if (other !== undefined) throw new GatewayError('config', `${title} ${other}`)
    const { parseJsonc } = await import('./source-text.ts')
    const { value, problem } = parseJsonc(text)
    if (problem === undefined) return value
    throw new GatewayError(
      'config',
      renderProblems(title, [problem], undefined, () => undefined),
    )
  }
}

async function noFileMessage(candidates: readonly string[]): Promise<string> {
  const { EXAMPLE } = await import('./other-formats.ts')
  return `There is no configuration file. Looked for:
${candidates.map(candidate => `  ${candidate}`).join('\n')}
Write one, for example servers.json:
${EXAMPLE}
or name one that a client has already: mcp-manifold --config <file>`
}
