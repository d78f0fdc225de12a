import { findConfigFile, loadWithSource } from '../config/load/load.ts'
import { GatewayError } from '../core/errors.ts'
import { isJsonObject } from '../core/json-object.ts'
import { notThere } from './not-there.ts'
import type { CommonOptions } from './common-options.ts'
import type { JsonObject } from '../core/exchange.ts'

/** The entry of a server as it is written. */
export interface WrittenEntry {
  readonly file: string
  readonly entry: JsonObject
}

/** @throws GatewayError `config` when the file that commands read has no such server of its own */
export async function entryToEdit(server: string, { config }: CommonOptions): Promise<WrittenEntry> {
  const file = await findConfigFile({ file: config })
  const { entries, includedFrom } = await written(file)
  const from = includedFrom.get(`mcpServers.${server}`) ?? includedFrom.get(`servers.${server}`)
  if (from !== undefined)
    throw new GatewayError(
      'config',
      `The server "${server}" is in the included file ${from}. Change it there.`,
    )
  const entry = entries.get(server)
  if (entry) return { file, entry }
  const none = 'There are none. Add one with: mcp-manifold add <name> -- <command>'
  throw notThere(quoted => `There is no server ${quoted} in ${file}`, server, [...entries.keys()], none)
}

/** Names of all servers that are written in a file, also of those that are disabled. */
export async function entryNames(file: string): Promise<string[]> {
  return [...(await written(file)).entries.keys()]
}

async function written(file: string): Promise<{
  readonly entries: ReadonlyMap<string, JsonObject>
  readonly includedFrom: ReadonlyMap<string, string>
}> {
  const { raw, includedFrom } = await loadWithSource({ file, looksForSecrets: false })
  const { mcpServers, servers } = isJsonObject(raw) ? raw : {}
  const both = { ...(isJsonObject(mcpServers) && mcpServers), ...(isJsonObject(servers) && servers) }
  const entries = Object.entries(both).map(
    ([name, entry]) => [name, isJsonObject(entry) ? entry : {}] as const,
  )
  return { entries: new Map(entries), includedFrom }
}
