import { estimatedTokens } from '../core/estimated-tokens.ts'
import { isJsonObject } from '../core/json-object.ts'
import { QUIETLY } from './hearing.ts'
import { listAll } from './listing.ts'
import { assertServer, loadForCommand, withGateway, type ReachOptions } from './reach.ts'
import { shellWord } from '../core/shell-word.ts'
import { say } from './say.ts'
import { tableLines } from './table.ts'
import { whileWaiting } from './waiting.ts'
import type { JsonObject } from '../core/exchange.ts'

export interface ToolsOptions extends ReachOptions {
  readonly json?: boolean
}

interface ShownTool {
  readonly name: string
  readonly description: string
  readonly annotations: JsonObject
  /** What a model reads of it, estimated. */
  readonly tokens: number
}

/**
 * `tools`: what clients are offered, or what one server offers under its own names, with an estimate of what each costs
 * a model.
 * @throws GatewayError
 */
export async function runTools(server: string | undefined, options: ToolsOptions): Promise<void> {
  const loaded = await loadForCommand(options)
  if (server !== undefined) assertServer(server, loaded)
  const listed = await whileWaiting(
    server === undefined ? 'Listing the tools' : `Listing the tools of "${server}"`,
    withGateway(loaded, options, { server, hearing: QUIETLY }, ({ client, cancelled }) =>
      listAll(client, 'tools', cancelled),
    ),
  )
  const tools = listed.map(shown)
  const tokens = tools.reduce((sum, tool) => sum + tool.tokens, 0)
  if (options.json) {
    process.stdout.write(`${JSON.stringify({ server, tools, tokens }, undefined, 2)}\n`)
    return
  }
  if (tools.length === 0) {
    const about = server === undefined ? '' : ` ${shellWord(server)}`
    say(`There are no tools. See what is wrong: mcp-manifold doctor${about}`)
    process.exitCode = 1
    return
  }
  const rows = tools.map(tool => [tool.name, String(tool.tokens), marks(tool.annotations), tool.description])
  const lines = tableLines([['name', 'tokens', 'hints', 'description'], ...rows])
  process.stdout.write(`${lines.join('\n')}\n${tools.length} tools, about ${tokens} tokens\n`)
}

function shown(tool: JsonObject): ShownTool {
  const { name, description, annotations } = tool
  return {
    name: String(name),
    description: firstLine(typeof description === 'string' ? description : ''),
    annotations: isJsonObject(annotations) ? annotations : {},
    tokens: estimatedTokens(JSON.stringify(tool).length),
  }
}

function firstLine(text: string): string {
  return (
    text
      .split('\n')
      .map(line => line.trim())
      .find(line => line !== '') ?? ''
  )
}

function marks({ readOnlyHint, destructiveHint, idempotentHint, openWorldHint }: JsonObject): string {
  const found = [
    readOnlyHint === true && 'read-only',
    destructiveHint === true && readOnlyHint !== true && 'destructive',
    idempotentHint === true && readOnlyHint !== true && 'idempotent',
    openWorldHint === true && 'open-world',
  ].filter(mark => mark !== false)
  return found.length > 0 ? found.join(', ') : '-'
}
