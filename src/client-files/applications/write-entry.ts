import type { JsonObject } from '../../core/exchange.ts'
import type { OwnEntry } from './application.ts'

/** The forms in which clients write the entry of the gateway. */

/** `command`, `args` and `env`, or a URL under a key of its own, with what stands beside each. */
export function writeAs(
  beside: { readonly program?: JsonObject; readonly address?: JsonObject } = {},
  urlKey = 'url',
): (gateway: OwnEntry) => JsonObject {
  return gateway =>
    'url' in gateway
      ? { ...beside.address, [urlKey]: gateway.url }
      : { ...beside.program, ...programOf(gateway) }
}

/** Codex clears the environment of a program, apart from a few variables and those that are named. */
export function writeCodex(gateway: OwnEntry): JsonObject {
  if ('url' in gateway) return { url: gateway.url }
  const { variables = [] } = gateway
  return { ...programOf(gateway), ...(variables.length > 0 && { env_vars: [...variables] }) }
}

/** The command and its arguments in one list, as OpenCode has it. */
export function writeOpenCode(gateway: OwnEntry): JsonObject {
  if ('url' in gateway) return { type: 'remote', url: gateway.url, enabled: true }
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
  if ('url' in gateway) return { ...common, type: 'streamable_http', uri: gateway.url, timeout: 300 }
  const { command, args, env } = gateway
  return { ...common, type: 'stdio', cmd: command, args: [...args], envs: { ...env }, timeout: 300 }
}

function programOf({ command, args, env }: Exclude<OwnEntry, { url: string }>): JsonObject {
  return { command, args: [...args], ...(env && { env: { ...env } }) }
}
