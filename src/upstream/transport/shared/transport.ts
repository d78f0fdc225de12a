import type { Endpoint } from '../../../config/replica-types.ts'
import type { GatewayError } from '../../../core/errors.ts'
import type { TransportTraits } from './traits.ts'

/**
 * Carries JSON-RPC messages to one replica and back, as text. Knows framing and connections, nothing of MCP's methods.
 * `upstream/transport/transports.ts` names the implementations; one contract suite runs over all.
 */
export interface Transport {
  /** Names it in logs and in the status; nothing is decided by it. */
  readonly kind: Endpoint['kind']
  /** What it can do: the same for every transport of its kind. */
  readonly traits: TransportTraits
  /** Whether the server keeps state for this conversation, as far as the transport tells. */
  readonly sessionful: boolean
  /**
   * Connects; resolves when messages can be sent. Called once. A failed start leaves nothing behind.
   * @throws GatewayError `upstream_start_failed` or `upstream_unreachable`, naming the server, the cause and the fix.
   */
  open(receiver: Receiver): Promise<void>
  /**
   * Sends one message (`text` is a whole JSON-RPC message, perhaps over several lines). Never throws: a request that cannot be sent, or whose
   * stream ends without an answer, is reported by `receiver.onFailure` with its id.
   */
  send(message: Outgoing): void
  /**
   * Stops waiting for the answer of request `id` and lets go of what is held for it: a transport with one stream a request closes that stream.
   * `true`: none of the request had been written yet, and none of it will be.
   */
  abandon(id: number): boolean
  /**
   * For how long the gateway, for want of room, did not read the stream on which the answer of request `id` comes, since `moment` of
   * `monotonicNow()`. In milliseconds.
   */
  unreadMs(id: number, moment: number): number
  /** Revision that applies from now on (HTTP transports stamp it on every request); `undefined` before it is known. */
  use(version: string | undefined): void
  /** Starts to listen for messages that belong to no request, where that takes a stream of its own. */
  listen(): void
  /**
   * Graceful and idempotent: lets the peer finish its exit, then forces it; `force` leaves out the former, for one that does not answer any more. Resolves when
   * nothing is left behind.
   */
  close(force?: boolean): Promise<void>
}

export interface Outgoing {
  readonly text: string
  /** Id of a request, `undefined` for notifications and responses. */
  readonly id: number | undefined
  readonly method: string | undefined
  /** Headers that only HTTP transports use: `Mcp-Name`, `Mcp-Param-*`. Keys in lower case. */
  readonly headers?: Readonly<Record<string, string>> | undefined
}

export interface Receiver {
  /** One message from the server. `stream` is the id of the request on whose own response stream it came, if it came on one. */
  onMessage(text: string, stream: number | undefined): void
  /** Request `id` will get no answer. Ignored when it has been answered already. */
  onFailure(id: number, error: GatewayError): void
  /** Whether request `id` still waits for its answer. */
  waits(id: number): boolean
  /**
   * Whose call request `id` is; `undefined` for requests of the gateway itself. Without an id: the client of all calls in flight, `undefined` where
   * there are several or none.
   */
  ownerOf(id: number | undefined): string | undefined
  /** The server has forgotten the session: nothing new may be sent, what is in flight may still be answered. */
  onSessionLost(): void
  /** Messages that belong to no request may have been missed: their stream broke and begins anew. */
  onGap(): void
  /** The processes behind it use more memory than they may, in bytes; said again as long as that is so. */
  onMemoryLimitExceeded(bytes: number): void
  /** The transport is gone and cannot be used again; pending requests have not been reported one by one. Called at most once, not after `close()`. */
  onClose(error: GatewayError): void
}
