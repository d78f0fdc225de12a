import { GatewayError, type Delivery } from '../../core/errors.ts'
import { MAX_OWN_ANSWER_CHARS } from './introduction.ts'
import { limitOf, MOST_EXTENSION, type Pending } from './pending.ts'

/** Errors of requests on a link that end without an answer of the server. */

export function timedOut(server: string, pending: Pending): GatewayError {
  const { method, timeoutMs } = pending
  const within = pending.fullyExtended
    ? `within ${seconds(MOST_EXTENSION * timeoutMs)} s, although it reported progress or waited for room; a call lasts ${MOST_EXTENSION} times its time limit at most`
    : `within ${seconds(timeoutMs)} s`
  return new GatewayError(
    'upstream_timeout',
    `Server "${server}" did not answer ${method} ${within}. Try again, or raise "${limitOf(pending)}" of this server.`,
    { server, delivery: 'unknown' },
  )
}

export function closed(server: string, delivery: Delivery): GatewayError {
  return new GatewayError('upstream_closed', `The link to "${server}" is closed.`, { server, delivery })
}

/** Error for a call that was still in flight when the drain of its link was over. */
export function drained(server: string, timeoutMs: number): GatewayError {
  return new GatewayError(
    'upstream_closed',
    `Server "${server}" was changed, removed or drained, and calls may go on for ${timeoutMs / 1000} s after that ("gateway.drainTimeout"); this one took longer, and may have been run. Look at what it has done before you call again.`,
    { server, delivery: 'unknown' },
  )
}

export function cancelled(server: string, delivery: Delivery = 'unknown'): GatewayError {
  return new GatewayError('cancelled', 'The request was cancelled.', { server, delivery })
}

/** Error for an answer of `chars` characters to the gateway itself, which exceeds the maximum. */
export function oversized(server: string, method: string, chars: number): GatewayError {
  return new GatewayError(
    'too_large',
    `Server "${server}" answered ${method} with ${chars} characters; at most ${MAX_OWN_ANSWER_CHARS} are accepted. Fix: let the server send smaller pages.`,
    { server, delivery: 'answered' },
  )
}

/** `what` completes "sent". */
export function protocolError(server: string, what: string): GatewayError {
  return new GatewayError(
    'upstream_protocol',
    `Server "${server}" sent ${what}. Its log output may say why.`,
    // The request may have been executed.
    { server, delivery: 'unknown' },
  )
}

/** Maximum number of messages in one batch. The gateway sends no batches, so a server has little reason to. */
export const MAX_BATCH = 1000

export function vastBatch(server: string, count: number): GatewayError {
  return protocolError(server, `a batch of ${count} messages; at most ${MAX_BATCH} are taken`)
}

function seconds(ms: number): number {
  return Math.round(ms / 100) / 10
}

/** The server is of another era with each handshake. */
export function unsteadyEra(server: string): GatewayError {
  return new GatewayError(
    'upstream_protocol',
    `Server "${server}" speaks another era with each handshake. Look into its log, or put one version of it behind its address.`,
    { server, delivery: 'not_sent' },
  )
}
