import { createHash } from 'node:crypto'
import { access } from 'node:fs/promises'
import { homedir } from 'node:os'
import { dirname, resolve } from 'node:path'
import { GatewayError } from '../../core/errors.ts'
import { SECRETS } from '../options/gateway.ts'
import { withAbsolutePaths } from './absolute-paths.ts'
import { commandProblems, commandWarnings } from './command-hints.ts'
import { duplicateKeys } from './duplicates.ts'
import { readEnvFiles } from './env-files.ts'
import { FilesRead } from './files-read.ts'
import { includedParts, includeProblems } from './include.ts'
import { partOf, Parts, type Part } from './parts.ts'
import { PrintedHeaders } from './printed-headers.ts'
import { parse, readMainText } from './read-text.ts'
import { renderer } from './render.ts'
import { secretsOf } from './secrets.ts'
import { expand, type Expanded } from './variables.ts'
import { patternWarnings } from '../validate/pattern-warnings.ts'
import { absolutePath, candidateFiles, projectFolder, stateFolder } from '../paths.ts'
import { renderWarnings, valueAt } from '../problem.ts'
import { resolveConfig } from '../resolve/config.ts'
import { VERSION } from '../../version.ts'
import { serverNames, serverOfProblem, withoutEntries } from '../validate/scope.ts'
import { utf8Of } from './utf8.ts'
import type { FoundProblem, Problem } from '../problem.ts'
import type { Overrides } from '../resolve/environment.ts'
import type { ServersFile } from '../options/file.ts'
import type { Config, GatewayConfig } from '../types.ts'

export interface LoadFileOptions {
  /** Path of the file; without it, the default locations are searched. */
  readonly file?: string | undefined
  /** Values of the command line; they override the file. */
  readonly overrides?: Overrides
  /** Default: that of the process. */
  readonly cwd?: string
  /** Default: that of the process. */
  readonly env?: Readonly<Record<string, string | undefined>>
  /** Default: that of the user. */
  readonly home?: string
  /**
   * Whether a configuration has been found valid before. Validation loads a library that takes longer than everything
   * else here; with this function a gateway pays for it only once. `hash` covers the version of this package and the
   * whole expanded file.
   */
  readonly isKnownValid?: (hash: string) => Promise<boolean>
  readonly rememberValid?: (hash: string) => Promise<void>
  /** Whether the warnings include commands that are not found. A start detects these by itself. Default: false. */
  readonly looksForCommands?: boolean
  /** Whether `${exec:…}` and `${keyring:…}` get their values. Default: true. */
  readonly looksForSecrets?: boolean
  /** Collects every file that is read or searched, even when loading fails. */
  readonly files?: FilesRead
  /** Collects each problem by itself, even when loading fails. */
  readonly found?: FoundProblem[]
  /** Whether the process has read the file before: standard input and other pipes are gone then. Default: false. */
  readonly isReadAgain?: boolean
}

interface Source {
  readonly file: string | undefined
  readonly text: string | undefined
  readonly options: LoadFileOptions
}

export interface Loaded {
  readonly config: Config
  /**
   * The file as written, with its includes, in the gateway's own form and with variables not expanded: the form that
   * may be shown.
   */
  readonly raw: unknown
  /** The text of the file; `undefined` when the configuration was given as an object. */
  readonly text: string | undefined
  /** Entries of included files, as `mcpServers.search`, each with the absolute path of its file. */
  readonly includedFrom: ReadonlyMap<string, string>
  /** Problems of the entries of single servers, one per line. `undefined` when there are none. */
  readonly problems: string | undefined
}

/**
 * Finds, reads, expands, validates and resolves a configuration file. A problem in the entry of a server affects only
 * that server (`ServerConfig.problem`).
 * @throws GatewayError `config` for any other problem; its text lists all problems, each with its location and fix,
 * without secrets
 */
export async function loadConfigFile(options: LoadFileOptions = {}): Promise<Config> {
  return (await loadWithSource(options)).config
}

/** As `loadConfigFile`, including the file as written. */
export async function loadWithSource(options: LoadFileOptions = {}): Promise<Loaded> {
  const file = await findConfigFile(options)
  const files = options.files ?? new FilesRead()
  const text = await readMainText(file, files, options.isReadAgain ?? false)
  return await loadText(text, { ...options, files, file })
}

/** As `loadWithSource`, for the text of the file, without a byte order mark. `options.file` is absolute. */
export async function loadText(
  text: string,
  options: LoadFileOptions & { readonly file: string },
): Promise<Loaded> {
  const { file } = options
  return await build(await parse(text, file), { file, text, options })
}

/**
 * As `loadConfigFile`, for a value in the form of a file. Paths are relative to the working directory.
 * @throws GatewayError `config`
 */
export async function configFrom(
  value: unknown,
  options: Omit<LoadFileOptions, 'file'> = {},
): Promise<Config> {
  return (await loadValue(value, options)).config
}

/** As `configFrom`, including the value in the gateway's own form. */
export async function loadValue(
  value: unknown,
  options: Omit<LoadFileOptions, 'file'> = {},
): Promise<Loaded> {
  return await build(value, { file: undefined, text: undefined, options })
}

/**
 * Absolute path of the file to load.
 * @throws GatewayError `config` when there is none, with the searched locations and an example
 */
export async function findConfigFile(options: LoadFileOptions = {}): Promise<string> {
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

async function build(written: unknown, { file, text, options }: Source): Promise<Loaded> {
  const { cwd = process.cwd(), env = process.env, home = homedir(), files = new FilesRead() } = options
  const main = partOf(written, { file, text, folder: file === undefined ? cwd : dirname(file), cwd })
  const isUserWide = file !== undefined && file === candidateFiles(cwd, home, env).at(-1)
  const hidden = new Set<string>()
  const printed = new PrintedHeaders()
  const expandPart = async (part: Part): Promise<Expanded> => {
    const variables = {
      env,
      userHome: home,
      workspaceFolder: part.file === undefined || isUserWide ? cwd : projectFolder(part.file),
      readFile: (path: string): string => utf8Of(files.readNow(absolutePath(path, part.folder, home))),
    }
    const needed = new Set<string>()
    const first = expand(part.adopted.value, { ...variables, secret: name => void needed.add(name) })
    for (const name of needed) hidden.add(name)
    if (needed.size === 0 || options.looksForSecrets === false) return first
    const keepMs = execCacheOf(valueAt(main.adopted.value, ['gateway', 'secrets', 'execCache']))
    const secrets = await secretsOf(needed, { cwd: part.folder, env, keepMs })
    for (const [name, secret] of secrets) files.note(name, JSON.stringify(secret))
    const expanded = expand(part.adopted.value, { ...variables, secret: name => secrets.get(name) })
    printed.add(expanded.printed, part.folder)
    return expanded
  }
  const expanded = new Map([[main, await expandPart(main)]])
  const included = await includedParts(main, valueAt(expanded.get(main)?.value, ['include']), {
    cwd,
    home,
    files,
  })
  for (const part of included) {
    const { value, ...about } = await expandPart(part)
    expanded.set(part, { ...about, value: withAbsolutePaths(value, part.folder, home) })
  }
  const parts = new Parts(main, included)
  const { raw } = parts
  const value = parts.merge(part => expanded.get(part)?.value)
  const commandContext = { cwd: resolve(cwd), env, folder: main.folder, home }
  const unexpanded = [...expanded].flatMap(([part, { problems }]) => parts.own(part, problems))
  const checked = await check(value, unexpanded, parts, options)
  const named = new Set(checked.map(({ path }) => path.join('\0')))
  const lines = commandProblems(raw, value, commandContext).filter(({ path }) => !named.has(path.join('\0')))
  const found = [...checked, ...lines]
  const hints = (isUsed: (server: string) => boolean): string[] => [
    ...main.adopted.hints,
    ...included.flatMap(hintsOf),
    ...(options.looksForSecrets === false && hidden.size > 0 ? [NOT_RUN] : []),
    ...(options.looksForCommands ? commandWarnings(raw, value, commandContext, isUsed) : []),
  ]
  if (found.some(problem => serverOfProblem(problem) === undefined)) {
    const render = await renderer(parts)
    options.found?.push(...render.each(found))
    const warnings = [...patternWarnings(value), ...hints(() => true)]
    throw new GatewayError('config', [render.all(found), ...renderWarnings(warnings)].join('\n'))
  }

  const sound = withoutEntries(value, ownersOf(found)) as ServersFile
  const envFiles = await readEnvFiles(sound, { files, home, folderOf: path => parts.partAt(path).folder })
  found.push(...envFiles.problems)
  const render = found.length === 0 ? undefined : await renderer(parts)
  if (render) options.found?.push(...render.each(found))
  const config = resolveConfig(withoutEntries(value, ownersOf(found)) as ServersFile, {
    file,
    folder: main.folder,
    folderOf: name => parts.partAt(['mcpServers', name]).folder,
    cwd: resolve(cwd),
    home,
    stateFolder: stateFolder(home, env, process.platform),
    envFiles: envFiles.values,
    overrides: options.overrides ?? {},
    problems: render?.byServer(found) ?? new Map(),
  })
  const used = new Set(config.servers.map(({ name }) => name))
  const warnings = [...config.warnings, ...hints(name => used.has(name))]
  return {
    raw,
    text,
    includedFrom: parts.includedFrom,
    config: {
      ...config,
      servers: printed.in(config),
      gateway: await withContents(config.gateway, files),
      warnings,
    },
    problems: render?.all(found),
  }
}

const NOT_RUN =
  'The values of ${exec:…} and ${keyring:…} were not looked for: their programs run when the gateway starts.'

/** The time as written, which is not checked yet. */
function execCacheOf(written: unknown): number {
  const { execCache } = SECRETS.options
  try {
    return execCache.resolve(written as string | number | undefined)
  } catch {
    return execCache.resolve(undefined)
  }
}

/** Certificates are read where they are used; here only their digest is computed, to detect changes. */
async function withContents(gateway: GatewayConfig, files: FilesRead): Promise<GatewayConfig> {
  const { tls } = gateway.http
  if (!tls) return gateway
  const hash = createHash('sha256')
  for (const file of [tls.cert, tls.key, tls.ca])
    if (file !== undefined) hash.update(`${await files.digestOf(file)}\n`)
  return { ...gateway, http: { ...gateway.http, tls: { ...tls, contentDigest: hash.digest('hex') } } }
}

/** Hints of an included file, each with its name. */
function hintsOf({ file = '', adopted }: Part): string[] {
  return adopted.hints.map(hint => (hint.startsWith(file) ? hint : `${file}: ${hint}`))
}

function ownersOf(problems: readonly Problem[]): Set<string> {
  return new Set(problems.map(serverOfProblem).filter(name => name !== undefined))
}

/** All problems of a configuration, in all of its files. */
async function check(
  value: unknown,
  unexpanded: readonly Problem[],
  parts: Parts,
  { isKnownValid, rememberValid }: LoadFileOptions,
): Promise<Problem[]> {
  const known = new Set(serverNames(value))
  const duplicates = [parts.main, ...parts.included].flatMap(part =>
    parts.own(
      part,
      (part.text === undefined ? [] : duplicateKeys(part.text)).flatMap(problem => {
        const path = part.adopted.owner(problem.path)
        if (!path) return []
        // Problems inside a disabled entry are ignored, except when the entry exists twice.
        const name = serverOfProblem({ ...problem, path })
        return name !== undefined && path.length > 2 && !known.has(name) ? [] : { ...problem, path }
      }),
    ),
  )
  const twiceNamed = [parts.main, ...parts.included]
    .flatMap(part => parts.own(part, part.adopted.problems))
    .filter(problem => known.has(serverOfProblem(problem) ?? '') || serverOfProblem(problem) === undefined)
  const written = [...twiceNamed, ...includeProblems(parts), ...duplicates]
  const hash = createHash('sha256')
    .update(`${VERSION}\n${JSON.stringify(value)}`)
    .digest('hex')
  if (unexpanded.length === 0 && written.length === 0 && (await isKnownValid?.(hash))) return []

  const { validate } = await import('../validate/validate.ts')
  const places = new Set(unexpanded.map(({ path }) => path.join('\0')))
  // A text with an unset variable is invalid for that reason alone.
  const invalid = (await validate(value)).filter(({ path }) => !places.has(path.join('\0')))
  const problems = [...unexpanded, ...invalid, ...written]
  if (problems.length === 0) await rememberValid?.(hash)
  return problems
}

async function noFileMessage(candidates: readonly string[]): Promise<string> {
  const { EXAMPLE } = await import('./other-formats.ts')
  return `There is no configuration file. Looked for:
${candidates.map(candidate => `  ${candidate}`).join('\n')}
Write one, for example servers.json:
${EXAMPLE}
or name one that a client has already: mcp-manifold --config <file>`
}
