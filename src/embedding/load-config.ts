import { loadValue, loadWithSource } from '../config/load/load.ts'
import type { Config } from '../config/types.ts'
import { GatewayError } from '../core/errors.ts'
import { isJsonObject } from '../core/json-object.ts'

/** A configuration in the form of `servers.json`. */
export type ConfigObject = Readonly<Record<string, unknown>>

/** Where a configuration comes from: an object in the form of the file, the path of a file, or what `loadConfig` has made of one. */
export type ConfigSource = ConfigObject | Config | string

export interface LoadOptions {
  /** For `${VAR}` in the configuration; default: the environment of the process. */
  readonly env?: Readonly<Record<string, string | undefined>>
}

/**
 * Reads, checks and completes a configuration. The state is kept in memory unless the configuration says otherwise.
 *
 * A mistake in an object is the program's own: each is refused. In a file, a mistake in the entry of one server leaves out that server, as the commands do;
 * `Gateway.status()` and the log say why.
 * @throws GatewayError `config` with a line for each problem: its place and its fix, without secrets
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

/** A configuration that can be used, whatever it was given as. */
export async function configOf(source: ConfigSource, options: LoadOptions): Promise<Config> {
  return isConfig(source) ? source : await loadConfig(source, options)
}

/** In a file, both would be something else. */
function isConfig(source: ConfigSource): source is Config {
  return typeof source !== 'string' && Array.isArray(source['servers']) && Array.isArray(source['warnings'])
}

function namesState(raw: unknown): boolean {
  return isJsonObject(raw) && isJsonObject(raw['gateway']) && raw['gateway']['state'] !== undefined
}
