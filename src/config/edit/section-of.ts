import { isJsonObject } from '../../core/json-object.ts'
import type { JsonObject } from '../../core/exchange.ts'

/** The section that contains a server, or will contain it. */
export function sectionOf({ mcpServers, servers }: JsonObject, name: string): 'mcpServers' | 'servers' {
  if (isJsonObject(servers) && Object.hasOwn(servers, name)) return 'servers'
  return mcpServers === undefined && isJsonObject(servers) ? 'servers' : 'mcpServers'
}
