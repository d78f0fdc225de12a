import { isJsonObject } from '../core/json-object.ts'
import { QUIETLY } from './hearing.ts'
import { loadForCommand, namedThing, withGateway, type ReachOptions } from './reach.ts'
import { shownText } from './terminal.ts'
import { whileWaiting } from './waiting.ts'

export interface CompleteOptions extends ReachOptions {
  readonly json?: boolean
}

/**
 * `complete`: prints the values that a server proposes for an argument of a prompt or of a resource template, one a
 * line.
 * @param given the name of a prompt, or the URI of a resource template
 * @throws GatewayError
 */
export async function runComplete(
  given: string,
  argument: string,
  prefix: string,
  options: CompleteOptions,
): Promise<void> {
  const loaded = await loadForCommand(options)
  const isTemplate = /^[a-z][a-z\d+.-]*:/i.test(given)
  const { server, only, name } = isTemplate
    ? { server: undefined, only: undefined, name: given }
    : namedThing(given, loaded, options.profile)
  const ref = isTemplate ? { type: 'ref/resource', uri: name } : { type: 'ref/prompt', name }
  const { value, text } = await whileWaiting(
    `Completing ${argument}`,
    withGateway(loaded, options, { server, only, hearing: QUIETLY }, ({ client, cancelled }) =>
      client.request('completion/complete', { ref, argument: { name: argument, value: prefix } }, cancelled),
    ),
  )
  if (options.json) return void process.stdout.write(`${text}\n`)
  const { completion } = value
  const { values } = isJsonObject(completion) ? completion : {}
  for (const one of Array.isArray(values) ? values : []) process.stdout.write(`${shownText(String(one))}\n`)
}
