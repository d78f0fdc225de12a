import type { GatewayError } from './errors.ts'
import type { Exchange } from './exchange.ts'
import type { Pass } from './pass.ts'

/**
 * The common part of every client request, including requests that open a session or a stream, or that are refused
 * before routing.
 */
export interface ClientRequest
  extends Pass, Pick<Exchange, 'principal' | 'modern' | 'view' | 'request' | 'trace'> {
  /** Absent when the request only opens a session, or could not be parsed. */
  readonly protocolVersion?: string | undefined
  /** Absent when there is no session (yet). */
  readonly conversation?: Exchange['conversation']
  /** Absent when the request cannot be cancelled. */
  readonly cancellation?: Exchange['cancellation']
}

/** A request that is not routed: it opens a session or a stream, or is refused. */
export interface Opening extends ClientRequest {
  /** Why the request is refused, regardless of quotas; `undefined` when it is not. */
  readonly refusal?: GatewayError | undefined
}
