import { loadValue, loadWithSource } from '../config/load/load.ts'
import type { Config } from '../config/types.ts'
import { GatewayError } from '../core/errors.ts'
import { isJsonObject } from '../core/json-object.ts'

/** A configuration in the form of `servers.json`. */
export type ConfigObject = Readonly<Record<string, unknown>>

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
 * a server disables that server only, as in the commands; `Gateway.status()` and the log report why. @throws
 * GatewayError `config` with a line for each problem: its location and its fix, without secrets
 */
export async function loadConfig(source: ConfigObject | string, options: LoadOptions = {}): Promise<Config> {
  const { env } = options
  const { config, raw, problems } =
    typeof source === 'string'
      ? await loadWithSource({ file: source, ...(env && { env }) })
      : await loadValue(source, env && { env })
  if (typeof source !== 'string' && problems !== undefined) throw new GatewayError('config', problems)
  return namesState(raw) ? config : { ...config, gateway: { ...config.gateway, state: 'memory' } }
}

/** A resolved configuration from any kind of source. */
export async function configOf(source: ConfigSource, options: LoadOptions): Promise<Config> {
  return isConfig(source) ? source : await loadConfig(source, options)
}

/** In a file, both members would have another type. */
function isConfig(source: ConfigSource): source is Config {
  return typeof source !== 'string' && Array.isArray(source['servers']) && Array.isArray(source['warnings'])
}

function namesState(raw: unknown): boolean {
  return isJsonObject(raw) && isJsonObject(raw['gateway']) && raw['gateway']['state'] !== undefined
}
