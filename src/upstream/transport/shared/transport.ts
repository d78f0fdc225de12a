import type { Endpoint } from '../../../config/replica-types.ts'
import type { GatewayError } from '../../../core/errors.ts'
import type { TransportTraits } from './traits.ts'

/**
 * Carries JSON-RPC messages to one replica and back, as text. Handles framing and connections, but no MCP methods.
 * `upstream/transport/transports.ts` lists the implementations; one contract suite runs over all.
 */
export interface Transport {
  /** Its name in logs and in the status. No decision depends on it. */
  readonly kind: Endpoint['kind']
  /** Its capabilities: the same for every transport of its kind. */
  readonly traits: TransportTraits
  /** Whether the server keeps a session for this connection, as far as the transport shows. */
  readonly sessionful: boolean
  /**
   * Connects; resolves when messages can be sent. Called once. A failed start leaves nothing behind.
   * @throws GatewayError `upstream_start_failed` or `upstream_unreachable`, naming the server, the cause and the fix.
   */
  open(receiver: Receiver): Promise<void>
  /**
   * Sends one message (`text` is a whole JSON-RPC message, perhaps over several lines). Never throws: a request that
   * cannot be sent, or whose stream ends without an answer, is reported by `receiver.onFailure` with its id.
   */
  send(message: Outgoing): void
  /**
   * Stops waiting for the answer of request `id` and releases its resources: a transport with one stream per request
   * closes that stream. `true`: none of the request had been written yet, and none of it will be.
   */
  abandon(id: number): boolean
  /**
   * For how long since `moment` (`monotonicNow()`) the gateway, for lack of memory, has not read the stream with the
   * answer of request `id`. In milliseconds.
   */
  unreadMs(id: number, moment: number): number
  /** Sets the revision (HTTP transports send it with every request). `undefined`: not known yet. */
  use(version: string | undefined): void
  /** Opens a stream for messages that belong to no request, where the transport needs one. */
  listen(): void
  /**
   * Graceful and idempotent: gives the peer time to exit, then forces it. `force` skips the grace period, for a peer
   * that does not respond. Resolves when nothing is left behind.
   */
  close(force?: boolean): Promise<void>
}

export interface Outgoing {
  /** May be made anew each time that it is read. */
  readonly text: string
  /** Id of a request, `undefined` for notifications and responses. */
  readonly id: number | undefined
  readonly method: string | undefined
  /** Headers that only HTTP transports use: `Mcp-Name`, `Mcp-Param-*`. Keys in lower case. */
  readonly headers?: Readonly<Record<string, string>> | undefined
}

export interface Receiver {
  /**
   * One message from the server. `stream` is the id of the request on whose own response stream it came, if it came on
   * one.
   */
  onMessage(text: string, stream: number | undefined): void
  /** Request `id` will get no answer. Ignored when it has been answered already. */
  onFailure(id: number, error: GatewayError): void
  /** Whether request `id` still waits for its answer. */
  waits(id: number): boolean
  /**
   * Owner of the call of request `id`; `undefined` for requests of the gateway itself. Without an id: the client of all
   * calls in flight, `undefined` if there are several or none.
   */
  ownerOf(id: number | undefined): string | undefined
  /** The server has lost the session: nothing new may be sent, requests in flight may still be answered. */
  onSessionLost(): void
  /** Messages that belong to no request may have been missed: their stream broke and was opened again. */
  onGap(): void
  /** The processes behind it exceed their memory limit; the use in bytes. Called repeatedly while that is so. */
  onMemoryLimitExceeded(bytes: number): void
  /**
   * The transport is closed and cannot be used again. Pending requests have not been reported individually. Called at
   * most once, not after `close()`.
   */
  onClose(error: GatewayError): void
}
