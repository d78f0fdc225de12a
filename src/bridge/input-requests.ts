import { GatewayError } from '../core/errors.ts'
import type { Json, JsonObject } from '../core/exchange.ts'
import { isJsonObject } from '../core/json-object.ts'
import { lastMembers } from '../protocol/json-text.ts'

/** A server that sends input requests. */
export interface Asker {
  readonly name: string
  /** Maximum number of its questions that are open at once for one call. */
  readonly maxQuestions: number
}

/** @throws GatewayError `upstream_protocol` when a server asks more at once than its `maxQuestions` allows */
export function checkCount({ name, maxQuestions }: Asker, count: number): void {
  if (count > maxQuestions)
    throw new GatewayError(
      'upstream_protocol',
      `Server "${name}" asks ${count} questions at once for one call; "maxQuestions" of the server allows ${maxQuestions}.`,
      { server: name, delivery: 'answered' },
    )
}

/**
 * The `inputRequests` in an answer of a modern server, by key, each parsed and as text. Empty if there are none.
 * @throws GatewayError `upstream_protocol` when there are more than the server's `maxQuestions`
 */
export function inputRequestsOf(server: Asker, { text, value }: Json<JsonObject>): Map<string, Json> {
  const requests = new Map<string, Json>()
  const { inputRequests } = value
  const list = isJsonObject(inputRequests) ? lastMembers(text).get('inputRequests') : undefined
  if (!list || !isJsonObject(inputRequests)) return requests
  const entries = Object.entries(inputRequests)
  checkCount(server, entries.length)
  const texts = lastMembers(text, list.start)
  for (const [key, request] of entries) {
    const member = texts.get(key)
    if (member) requests.set(key, { text: text.slice(member.start, member.end), value: request })
  }
  return requests
}
