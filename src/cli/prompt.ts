import { isJsonObject } from '../core/json-object.ts'
import { argumentsText } from './call-arguments.ts'
import { contentText } from './content.ts'
import { AT_TERMINAL } from './hearing.ts'
import { listAll } from './listing.ts'
import { notThere } from './not-there.ts'
import { loadForCommand, namedThing, withGateway, type ReachOptions } from './reach.ts'
import { shownText } from './terminal.ts'
import { whileWaiting } from './waiting.ts'
import type { JsonObject } from '../core/exchange.ts'

export interface PromptOptions extends ReachOptions {
  readonly json?: boolean
}

/**
 * `prompt`: prints the messages of a prompt.
 * @throws GatewayError
 */
export async function runPrompt(
  given: string,
  words: readonly string[],
  options: PromptOptions,
): Promise<void> {
  const loaded = await loadForCommand(options)
  const { server, only, name } = namedThing(given, loaded, options.profile)
  const { value, text } = await whileWaiting(
    `Getting ${given}`,
    withGateway(loaded, options, { server, only, hearing: AT_TERMINAL }, async ({ client, cancelled }) => {
      const prompts = await listAll(client, 'prompts', cancelled)
      const prompt = prompts.find(one => one['name'] === name)
      if (!prompt)
        throw notThere(
          () => `There is no prompt ${JSON.stringify(given.slice(0, 200))}`,
          name,
          prompts.map(one => String(one['name'])),
          'There are no prompts.',
        )
      const args = argumentsText(words, schemaOf(prompt['arguments']))
      return await client.request(
        'prompts/get',
        `{"name":${JSON.stringify(name)},"arguments":${args}}`,
        cancelled,
      )
    }),
  )
  if (options.json) return void process.stdout.write(`${text}\n`)
  const { messages } = value
  const lines = (Array.isArray(messages) ? messages : [])
    .filter(isJsonObject)
    .map(({ role, content }) => `${String(role)}: ${contentText(content)}`)
  process.stdout.write(`${shownText(lines.join('\n\n'))}\n`)
}

/** Arguments of prompts are texts. */
function schemaOf(list: unknown): JsonObject {
  const named = (Array.isArray(list) ? list : []).filter(isJsonObject)
  return {
    type: 'object',
    properties: Object.fromEntries(named.map(({ name }) => [String(name), { type: 'string' }])),
    required: named.filter(({ required }) => required === true).map(({ name }) => String(name)),
    additionalProperties: false,
  }
}
