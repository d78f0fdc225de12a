import { askClient } from '../core/ask-client.ts'
import { Cancellation } from '../core/cancellation.ts'
import { GatewayError } from '../core/errors.ts'
import {
  INPUT_METHODS,
  type Exchange,
  type InputMethod,
  type InputRequest,
  type Json,
  type JsonObject,
} from '../core/exchange.ts'
import { isJsonObject } from '../core/json-object.ts'
import { NO_QUESTION_ROOM, processQuestions } from '../core/question-room.ts'
import { rawAt } from '../protocol/json-text.ts'
import { toClientRequest } from './client-request.ts'
import { checkCount, inputRequestsOf, type Asker } from './input-requests.ts'

/** A server that sends input requests. */
export interface AskingServer extends Asker {
  /** Its configured roots, if any. */
  readonly roots: readonly unknown[] | undefined
}

/**
 * Raw JSON of the answers, by key, that the configuration gives in place of the client.
 * @throws GatewayError `upstream_protocol` when more is requested than the server's `maxQuestions`
 */
export function answeredHere(server: AskingServer, asking: JsonObject): Record<string, string> {
  const { inputRequests } = asking
  if (!isJsonObject(inputRequests)) return {}
  const { roots } = server
  checkCount(server, Object.keys(inputRequests).length)
  if (!roots) return {}
  const keys = Object.keys(inputRequests).filter(
    key => (inputRequests[key] as JsonObject | null)?.method === 'roots/list',
  )
  return Object.fromEntries(keys.map(key => [key, JSON.stringify({ roots })]))
}

interface Known {
  /** Raw JSON of available answers by key. The client is not asked for these. */
  readonly answered: Readonly<Record<string, string>>
  /** Keys to leave out. */
  readonly skip?: ReadonlySet<string>
}

/**
 * Asks the client everything in the `inputRequests` of a modern server's answer, all at once.
 * @returns raw JSON of the answers by key, `undefined` when there is nothing to ask
 * @throws GatewayError `upstream_protocol`, `cannot_ask`, also for lack of room, `missing_capability`; one refusal
 * withdraws the other questions
 */
export async function askAll(
  exchange: Exchange,
  server: Asker,
  asking: Json<JsonObject>,
  { answered, skip }: Known,
): Promise<string | undefined> {
  const entries = [...inputRequestsOf(server, asking)].filter(([key]) => !skip?.has(key))
  if (entries.length === 0) return undefined
  const cancellation = new Cancellation()
  const open = entries.filter(([key]) => !Object.hasOwn(answered, key))
  const round = { size: open.length }
  // All are checked before the first is sent, so that the client does not get a part of a round that is refused.
  const requests = open.map(([, question]) => ({
    ...requestOf(exchange, server, question, cancellation),
    round,
  }))
  const giveBack = processQuestions().take(exchange.principal.id, asking.text.length)
  if (!giveBack) throw new GatewayError('cannot_ask', NO_QUESTION_ROOM, { server: server.name })
  exchange.cancellation.onCancel(reason => cancellation.cancel(reason))
  try {
    const results = await Promise.all(requests.map(request => askClient(exchange, request)))
    const given = new Map(open.map(([key], at) => [key, results[at]]))
    const answers = entries.map(([key]) => `${JSON.stringify(key)}:${given.get(key) ?? answered[key]}`)
    return `{${answers.join(',')}}`
  } finally {
    giveBack()
    // One refusal ends the round, and the other questions are then pointless.
    cancellation.cancel('no longer needed')
  }
}

/** Builds the request to the client. @throws GatewayError `cannot_ask`, `missing_capability` */
function requestOf(
  exchange: Exchange,
  server: Asker,
  question: Json,
  cancellation: Cancellation,
): InputRequest {
  const { method, params } = (question.value ?? {}) as { method?: InputMethod; params?: unknown }
  if (method === undefined || !INPUT_METHODS.includes(method))
    throw new GatewayError(
      'cannot_ask',
      `Server "${server.name}" asks for ${String(method).slice(0, 100)}, which the gateway does not know.`,
      { server: server.name },
    )
  const text = rawAt(question.text, 'params')
  const request = { method, params: text, server: server.name, cancellation }
  return toClientRequest(request, text === undefined ? undefined : { text, value: params }, exchange)
}
