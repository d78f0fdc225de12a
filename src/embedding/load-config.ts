import { loadValue, loadWithSource } from '../config/load/load.ts'
import type { ServersFile } from '../config/options/file.ts'
import type { Config } from '../config/types.ts'
import { GatewayError } from '../core/errors.ts'
import { isJsonObject } from '../core/json-object.ts'
import { plainCopy } from './plain-value.ts'

/**
 * A configuration in the form of `servers.json`. Where a file has one of a few words, any text is accepted by the type,
 * because an imported JSON file has the type `string` there. `ServersFile` has the words. A value of the type
 * `unknown`, as from a parser, needs a cast. What it holds is checked when it is loaded.
 */
export type ConfigObject = Widened<ServersFile>

type Widened<T> = unknown extends T
  ? T
  : T extends string
    ? T | (string & {})
    : T extends readonly (infer Item)[]
      ? readonly Widened<Item>[]
      : T extends object
        ? { readonly [K in keyof T]: Widened<T[K]> }
        : T

/**
 * The source of a configuration: an object in the form of the file, the path of a file, or a result of `loadConfig`.
 */
export type ConfigSource = ConfigObject | Config | string

export interface LoadOptions {
  /** Values of `${VAR}` in the configuration; default: the environment of the process. */
  readonly env?: Readonly<Record<string, string | undefined>>
}

/**
 * Loads, validates and resolves a configuration. State is kept in memory unless the configuration says otherwise.
 *
 * In an object, every error is refused, because it is an error of the host program. In a file, an error in the entry of
 * a server disables that server only, as in the commands; `Gateway.status()` and the log report why.
 * @throws GatewayError `config` with a line for each problem: its location and its fix, without secrets
 */
export async function loadConfig(source: ConfigObject | string, options: LoadOptions = {}): Promise<Config> {
  return await load(typeof source === 'string' ? { file: source } : { value: plainCopy(source) }, options)
}

/** A source as it was when it was passed. */
export type HeldSource =
  | { readonly config: Config }
  | { readonly file: string }
  | { readonly value: Readonly<Record<string, unknown>> }

/**
 * Reads a source at once, so that later changes of an object do not count. A file is read later.
 * @throws GatewayError `config`
 */
export function takeSource(source: ConfigSource): HeldSource {
  if (typeof source === 'string') return { file: source }
  try {
    return isConfig(source) ? { config: source } : { value: plainCopy(source) }
  } catch (error) {
    if (error instanceof GatewayError) throw error
    throw new GatewayError(
      'config',
      'The configuration cannot be read: the object throws an error when it is asked.',
      {
        cause: error,
      },
    )
  }
}

/** A resolved configuration from any kind of source. */
export async function configOf(source: HeldSource, options: LoadOptions): Promise<Config> {
  return 'config' in source ? source.config : await load(source, options)
}

async function load(
  source: Exclude<HeldSource, { readonly config: Config }>,
  options: LoadOptions,
): Promise<Config> {
  const env = options.env && { env: options.env }
  const isFile = 'file' in source
  const { config, raw, problems } = isFile
    ? await loadWithSource({ file: source.file, ...env })
    : await loadValue(source.value, env)
  if (!isFile && problems !== undefined) throw new GatewayError('config', problems)
  return namesState(raw) ? config : { ...config, gateway: { ...config.gateway, state: 'memory' } }
}

const LISTS = [
  'servers',
  'clients',
  'roles',
  'profiles',
  'warnings',
] as const satisfies readonly (keyof Config)[]
const SECTIONS = [
  'http',
  'catalog',
  'asks',
  'listen',
  'dns',
  'auth',
  'admin',
  'cache',
] as const satisfies readonly (keyof Config['gateway'])[]

/**
 * Whether a source is a `Config`: in a file, `servers` is no list.
 * @throws GatewayError `config` for one that lacks a part
 */
function isConfig(source: unknown): source is Config {
  if (!isJsonObject(source) || !Array.isArray(Object.getOwnPropertyDescriptor(source, 'servers')?.value))
    return false
  const missing = LISTS.filter(name => !Array.isArray(source[name]))
  const { gateway } = source
  const isWhole = isJsonObject(gateway) && SECTIONS.every(name => isJsonObject(gateway[name]))
  const parts = isWhole ? missing : [...missing, 'a part of gateway']
  if (parts.length === 0) return true
  throw new GatewayError(
    'config',
    `The configuration has a list of servers, as what loadConfig returns, but lacks ${parts.join(', ')}. Pass all of what loadConfig has returned, or an object in the form of servers.json.`,
  )
}

function namesState(raw: unknown): boolean {
  return isJsonObject(raw) && isJsonObject(raw['gateway']) && raw['gateway']['state'] !== undefined
}
