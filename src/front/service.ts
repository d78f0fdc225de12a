import type { AsksConfig } from '../config/types.ts'
import type { Opening } from '../core/client-request.ts'
import type { Conversation, Exchange, JsonObject, Outcome } from '../core/exchange.ts'
import type { Principal } from '../core/principal.ts'
import type { ListKind } from '../core/route.ts'
import type { ClientKind } from '../protocol/client-kind.ts'
import type { HeaderParam } from '../core/route.ts'
import type { ClientStreams } from './client-streams.ts'
import type { CallsInFlight } from './calls-in-flight.ts'
import type { Subscriber } from '../core/subscriber.ts'
import type { ListenStreams } from './listen-streams.ts'

/** The part of the gateway that a front uses. Implemented by `gateway.ts`. */
export interface Service {
  /** Raw JSON of the gateway's own `serverInfo`. */
  readonly serverInfo: string
  readonly asks: AsksConfig
  readonly listens: ListenStreams
  readonly streams: ClientStreams
  readonly calls: CallsInFlight
  /**
   * Changes with each configuration. Identity and view of a caller have to be looked up again if it has changed in the
   * meantime.
   */
  readonly epoch: number
  /**
   * Name of the view that a principal has of an endpoint: `''` for all servers, else a server or a profile. Opaque: the
   * same for all principals with the same rights. `undefined`: there is no such endpoint, or the principal may use
   * nothing at it.
   */
  viewOf(endpoint: string, principal: Principal): string | undefined
  /** Resolves when `viewOf` can be called without delay. `undefined`: it can be now. Never rejects. */
  known(endpoint: string, principal: Principal): Promise<unknown> | undefined
  /** Name of the same view for clients of one kind, to which servers may list other items. */
  viewFor(view: string, kind: ClientKind): string
  /** The capabilities that a client of this revision is offered. */
  capabilities(view: string, protocolVersion: string): JsonObject
  instructions(view: string): string | undefined
  /**
   * Resolves when the instructions of the client's servers are available, or when that takes too long. A client
   * receives them only in the answer to its greeting. `undefined`: there is nothing to wait for.
   */
  introduced(exchange: Exchange): Promise<unknown> | undefined
  /** Handles a request that is known and is not about the session itself. Rejects with a `GatewayError` only. */
  handle(exchange: Exchange): Promise<Outcome>
  /**
   * Counts a request that `handle` does not get: one that opens a session or a stream, or that has been refused.
   * Rejects with a `GatewayError` when a limit of its caller refuses it, or else with its own refusal if it has one.
   */
  admit(opening: Opening): Promise<unknown>
  /** Records that a listen stream requested at `since` (`performance.now()`) has been acknowledged. */
  listening(exchange: Exchange, since: number): void
  /** The `Mcp-Param-*` headers that a call of this tool must have. */
  headerParams(view: string, tool: string): readonly HeaderParam[] | undefined
  /** Registers a legacy session, which from then on receives notifications of changes. */
  join(conversation: Conversation): void
  leave(conversation: Conversation): void
  /** Whether a session has unfinished work that its client will come back for: a task. */
  worksFor(conversation: Conversation): boolean
  /**
   * Records that a session has another view than `before`. It is notified of the lists that differ, and no longer of
   * what it cannot see.
   */
  moved(conversation: Conversation, before: string): void
  /** Called when the client's roots have changed. */
  rootsChanged(conversation: Conversation): void
  /**
   * Subscribes to updates of these resources, if they exist and their servers support it.
   * @returns the URIs of the subscribed resources
   */
  subscribe(exchange: Exchange, uris: readonly string[], subscriber: Subscriber): Promise<string[]>
  /**
   * Subscribes to these tasks of the modern extension, if they belong to the client and their servers support it.
   * @returns the ids of the subscribed tasks
   */
  listenToTasks(exchange: Exchange, ids: readonly string[], subscriber: Subscriber): Promise<string[]>
  /** Ends all subscriptions of a subscriber. */
  unsubscribe(subscriber: Subscriber): void
  /** Calls `listener` for changed lists, once for all that change together, until the returned function is called. */
  onListChanged(view: string, listener: (kinds: readonly ListKind[]) => void): () => void
}
