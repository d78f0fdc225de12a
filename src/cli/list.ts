import { keptLists } from './kept-lists.ts'
import { loadForCommand } from './reach.ts'
import { runningGateways } from './running-gateways.ts'
import { stateCell } from './server-state.ts'
import { tableLines } from './table.ts'
import { estimatedTokens } from '../core/estimated-tokens.ts'
import { isJsonObject } from '../core/json-object.ts'
import { whileWaiting } from './waiting.ts'
import type { CommonOptions } from './common-options.ts'
import type { Loaded } from '../config/load/load.ts'

export interface ListOptions extends CommonOptions {
  readonly json?: boolean
}

interface ListedServer {
  readonly name: string
  readonly state: string
  readonly transport: string
  /** As last known; `undefined`: it was never listed. */
  readonly tools: number | undefined
  /** Estimated tokens of the definitions of these tools. */
  readonly tokens: number | undefined
}

/**
 * `list`: the servers of the configuration, also those that are disabled, with their state in the youngest running
 * gateway, and how many tools each had when it was last listed, with what they cost a model. Starts nothing.
 * @throws GatewayError `config`
 */
export async function runList(options: ListOptions): Promise<void> {
  const loaded = await loadForCommand(options)
  const { file = '' } = loaded.config
  const servers = await whileWaiting('Asking the running gateways', listed(loaded))
  if (options.json) return void process.stdout.write(`${JSON.stringify(servers, undefined, 2)}\n`)
  if (servers.length === 0)
    return void process.stderr.write(
      `There are no servers in ${file}. Add one: mcp-manifold add <name> -- <command>\n`,
    )
  const rows = servers.map(({ name, state, transport, tools, tokens }) => [
    name,
    stateCell(state),
    transport,
    tools === undefined ? '?' : String(tools),
    tokens === undefined ? '?' : String(tokens),
  ])
  process.stdout.write(
    `${tableLines([['name', 'state', 'transport', 'tools', '~tokens'], ...rows]).join('\n')}\n`,
  )
}

async function listed({ config, raw }: Loaded): Promise<readonly ListedServer[]> {
  const [{ answering }, kept] = await Promise.all([runningGateways(config.file ?? ''), keptLists(config)])
  const [youngest] = answering
  const running = new Map(youngest?.status.servers.map(server => [server.name, server]))
  const known = new Map(config.servers.map(server => [server.name, server]))
  const { mcpServers, servers } = isJsonObject(raw) ? raw : {}
  const written = Object.entries({
    ...(isJsonObject(mcpServers) && mcpServers),
    ...(isJsonObject(servers) && servers),
  })
  return written.map(([name, entry]) => {
    const server = known.get(name)
    if (!server) {
      const isDisabled = isJsonObject(entry) && entry['disabled'] === true
      return {
        name,
        state: isDisabled ? 'disabled' : 'left out',
        transport: '',
        tools: undefined,
        tokens: undefined,
      }
    }
    const now = running.get(name)
    const transport = now?.transport ?? server.replicas[0]?.endpoint.kind ?? ''
    const state = now?.state ?? (server.problem === undefined ? 'not running' : 'left out')
    const lists = kept.get(name)
    const tools = now?.listed ? now.tools : lists?.tools.length
    const tokens =
      lists && estimatedTokens(lists.tools.reduce((sum, tool) => sum + tool.definition.length, 0))
    return { name, state, transport, tools, tokens }
  })
}
