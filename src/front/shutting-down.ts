import type { ServerResponse } from 'node:http'
import { GatewayError } from '../core/errors.ts'
import type { JsonObject } from '../core/exchange.ts'
import { failureObject } from '../protocol/failures.ts'
import { errorText } from '../protocol/message.ts'
import { jsonText } from './responses.ts'

/** Errors for clients while the gateway stops. */

/** Another gateway may be available at once, this one after a restart. */
const RETRY_AFTER_MS = 1000

/** Error for a request that arrives after the shutdown has begun. */
export function notTaken(): GatewayError {
  return new GatewayError(
    'shutting_down',
    'The gateway is shutting down and takes no new requests. This one was not run; send it again.',
    { retryAfterMs: RETRY_AFTER_MS },
  )
}

/** Error for an accepted request that is not answered in time. */
export function cutOffError(): GatewayError {
  return new GatewayError(
    'shutting_down',
    'The gateway is shutting down and ended this request before its answer came. It is unknown whether it was run; check before sending it again.',
    { delivery: 'unknown', data: { delivery: 'unknown' } },
  )
}

/** Error of a front that has not begun to listen when the shutdown begins. */
export function notOpened(): GatewayError {
  return new GatewayError('shutting_down', 'The gateway is shutting down, so it does not begin to listen.')
}

/** Answers 503. `id` is the raw JSON of the request's id. `headers` close the connection if it is the gateway's own. */
export function refuseUnavailable(
  response: ServerResponse,
  id: string,
  headers: Readonly<Record<string, string>>,
): void {
  if (response.headersSent || response.destroyed) return
  jsonText(response, 503, errorText(id, failureObject(notTaken())), {
    ...headers,
    'retry-after': String(RETRY_AFTER_MS / 1000),
  })
}

/** Whether a request continues an earlier one: it carries the answer of a sessionless client to an input request. */
export function goesOn(params: unknown): boolean {
  return typeof (params as JsonObject | null | undefined)?.requestState === 'string'
}

/** The last event of a stream. A client that reads it reopens the stream after this many milliseconds. */
export const RETRY_EVENT = `retry: ${RETRY_AFTER_MS}\n\n`
