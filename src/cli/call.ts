import { text as textOf } from 'node:stream/consumers'
import { isJsonObject } from '../core/json-object.ts'
import { GatewayError } from '../core/errors.ts'
import { argumentsText, objectText } from './call-arguments.ts'
import { contentText } from './content.ts'
import { AT_TERMINAL } from './hearing.ts'
import { listAll } from './listing.ts'
import { notThere } from './not-there.ts'
import { loadForCommand, namedThing, withGateway, type ReachOptions } from './reach.ts'
import { shownText } from './terminal.ts'
import { whileWaiting } from './waiting.ts'
import type { JsonObject } from '../core/exchange.ts'
import type { Reached } from './reach.ts'

export interface CallOptions extends ReachOptions {
  readonly stdin?: boolean
  readonly json?: boolean
}

/**
 * `call`: calls a tool as every client does. Prints the text of the result, or with `json` the result as the server has
 * sent it. Exit code 1 when the result is an error.
 * @throws GatewayError
 */
export async function runCall(tool: string, words: readonly string[], options: CallOptions): Promise<void> {
  const loaded = await loadForCommand(options)
  const { server, only, name } = namedThing(tool, loaded, options.profile)
  if (options.stdin && words.length > 0)
    throw new GatewayError('config', 'The arguments come with --stdin or on the command line, not with both.')
  const input = options.stdin
    ? objectText(await textOf(process.stdin), 'The arguments on the standard input')
    : undefined
  const result = await whileWaiting(
    `Calling ${tool}`,
    withGateway(loaded, options, { server, only, hearing: AT_TERMINAL }, async reached => {
      const { client, cancelled } = reached
      const given = input ?? argumentsText(words, await schemaOf(reached, tool, name, words))
      const params = `{"name":${JSON.stringify(name)},"arguments":${given},"_meta":{"progressToken":"call"}}`
      return await client.request('tools/call', params, cancelled)
    }),
  )
  const { content, structuredContent, isError } = result.value
  if (isError === true) process.exitCode = 1
  if (options.json) return void process.stdout.write(`${result.text}\n`)
  const isTextless = !Array.isArray(content) || content.length === 0
  const text =
    isTextless && isJsonObject(structuredContent) ? JSON.stringify(structuredContent) : contentText(content)
  if (text === '') return
  const out = isError === true ? process.stderr : process.stdout
  out.write(`${shownText(text)}${text.endsWith('\n') ? '' : '\n'}`)
}

/**
 * The input schema of a tool; `undefined` when nothing depends on it.
 * @throws GatewayError `config` for an unknown tool
 */
async function schemaOf(
  { client, cancelled }: Reached,
  given: string,
  name: string,
  words: readonly string[],
): Promise<JsonObject | undefined> {
  if (words.length === 1 && words[0]?.trimStart().startsWith('{')) return undefined
  const tools = await listAll(client, 'tools', cancelled)
  const tool = tools.find(one => one['name'] === name)
  if (!tool)
    throw notThere(
      () => `There is no tool ${JSON.stringify(given.slice(0, 200))}`,
      name,
      tools.map(one => String(one['name'])),
      'There are no tools. See what the servers say: mcp-manifold status',
    )
  const { inputSchema } = tool
  return isJsonObject(inputSchema) ? inputSchema : undefined
}
