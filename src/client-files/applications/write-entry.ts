import type { JsonObject } from '../../core/exchange.ts'
import type { OwnEntry } from './application.ts'

/** The forms in which clients write the entry of the gateway. */

/** `command`, `args` and `env`, or a URL and headers under keys of their own, with what stands beside each. */
export function writeAs(
  beside: { readonly program?: JsonObject; readonly address?: JsonObject } = {},
  urlKey = 'url',
  headersKey = 'headers',
): (gateway: OwnEntry) => JsonObject {
  return gateway =>
    'url' in gateway
      ? {
          ...beside.address,
          [urlKey]: gateway.url,
          ...(gateway.headers && { [headersKey]: { ...gateway.headers } }),
        }
      : { ...beside.program, ...programOf(gateway) }
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
