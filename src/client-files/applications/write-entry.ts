import type { JsonObject } from '../../core/exchange.ts'
import type { OwnEntry } from './application.ts'

/** The forms in which clients write the entry of the gateway. */

/** `command`, `args` and `env`, or a URL under a key of its own and headers, with what stands beside each. */
export function writeAs(
  beside: { readonly program?: JsonObject; readonly address?: JsonObject } = {},
  urlKey = 'url',
): (gateway: OwnEntry) => JsonObject {
  return gateway =>
    'url' in gateway
      ? { ...beside.address, [urlKey]: gateway.url, ...headersOf(gateway) }
      : { ...beside.program, ...programOf(gateway) }
}

/** Codex clears the environment of a program, apart from a few variables and those that are named. */
export function writeCodex(gateway: OwnEntry): JsonObject {
  if ('url' in gateway)
    return { url: gateway.url, ...(gateway.headers && { http_headers: { ...gateway.headers } }) }
  const { variables = [] } = gateway
  return { ...programOf(gateway), ...(variables.length > 0 && { env_vars: [...variables] }) }
}

/** The command and its arguments in one list, as OpenCode has it. */
export function writeOpenCode(gateway: OwnEntry): JsonObject {
  if ('url' in gateway) return { type: 'remote', url: gateway.url, ...headersOf(gateway), enabled: true }
  const { command, args, env } = gateway
  return {
    type: 'local',
    command: [command, ...args],
    ...(env && { environment: { ...env } }),
    enabled: true,
  }
}

export function writeGoose(gateway: OwnEntry, name: string): JsonObject {
  const common = { name, description: 'All MCP servers, through one entry', enabled: true }
  if ('url' in gateway)
    return { ...common, type: 'streamable_http', uri: gateway.url, ...headersOf(gateway), timeout: 300 }
  const { command, args, env } = gateway
  return { ...common, type: 'stdio', cmd: command, args: [...args], envs: { ...env }, timeout: 300 }
}

function headersOf({ headers }: Extract<OwnEntry, { url: string }>): JsonObject {
  return headers ? { headers: { ...headers } } : {}
}

function programOf({ command, args, env }: Exclude<OwnEntry, { url: string }>): JsonObject {
  return { command, args: [...args], ...(env && { env: { ...env } }) }
}
