import type { GatewayError } from './errors.ts'
import type { Exchange } from './exchange.ts'
import type { Pass } from './pass.ts'

/** What every request of a client is, also one that opens a session or a stream, or that is refused before it could be routed. */
export interface ClientRequest
  extends Pass, Pick<Exchange, 'principal' | 'modern' | 'view' | 'request' | 'trace'> {
  /** Absent where the request only opens a session, or could not be read. */
  readonly protocolVersion?: string | undefined
  /** Absent where there is none, or none yet. */
  readonly conversation?: Exchange['conversation']
  /** Absent where nothing can be cancelled. */
  readonly cancellation?: Exchange['cancellation']
}

/** A request that is not routed: it opens a session or a stream, or has been refused. */
export interface Opening extends ClientRequest {
  /** Why it is refused, whatever its limits say; `undefined` where it is not. */
  readonly refusal?: GatewayError | undefined
}
