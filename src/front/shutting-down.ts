import type { ServerResponse } from 'node:http'
import { GatewayError } from '../core/errors.ts'
import type { JsonObject } from '../core/exchange.ts'
import { failureObject } from '../protocol/failures.ts'
import { errorText } from '../protocol/message.ts'
import { jsonText } from './responses.ts'

/** What clients hear while the gateway stops. */

/** Another gateway may serve at once; this address does after a restart. */
const RETRY_AFTER_MS = 1000

/** For a request that has only come now. */
export function notTaken(): GatewayError {
  return new GatewayError(
    'shutting_down',
    'The gateway is shutting down and takes no new requests. This one was not run; send it again.',
    { retryAfterMs: RETRY_AFTER_MS },
  )
}

/** For a request that was taken and is not answered in time. */
export function cutOff(): GatewayError {
  return new GatewayError(
    'shutting_down',
    'The gateway is shutting down and ended this request before its answer came. It is unknown whether it was run; check before sending it again.',
    { delivery: 'unknown', data: { delivery: 'unknown' } },
  )
}

/** Answers 503. `id` is the raw text of the request's id. `headers` end the connection where it is the gateway's. */
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

/** Whether a request goes on with what was begun before: the answer of a client without a session to what it was asked. */
export function goesOn(params: unknown): boolean {
  return typeof (params as JsonObject | null | undefined)?.requestState === 'string'
}

/** The last event of a stream: a client that reads it opens the stream anew after so many milliseconds. */
export const RETRY_EVENT = `retry: ${RETRY_AFTER_MS}\n\n`
