import type { AsksConfig } from '../config/types.ts'
import type { Opening } from '../core/client-request.ts'
import type { Conversation, Exchange, JsonObject, Outcome } from '../core/exchange.ts'
import type { Principal } from '../core/principal.ts'
import type { ListKind } from '../core/route.ts'
import type { ClientKind } from '../protocol/client-kind.ts'
import type { HeaderParam } from '../core/route.ts'
import type { CallsInFlight } from './calls-in-flight.ts'
import type { ListenStreams, Subscriber } from './listen-streams.ts'

/** What a front needs of the gateway behind it. Implemented by `gateway.ts`. */
export interface Service {
  /** Raw JSON of the gateway's own `serverInfo`. */
  readonly serverInfo: string
  readonly asks: AsksConfig
  readonly listens: ListenStreams
  readonly calls: CallsInFlight
  /** Another number with each configuration: who was let in, and what is seen, is to be looked up again where it has changed meanwhile. */
  readonly epoch: number
  /**
   * Name of the view that a principal has of an endpoint: `''` for everything, else a server or a profile. Opaque: the same for all principals that may
   * see the same. `undefined`: there is no such endpoint, or nothing at it that the principal may see.
   */
  viewOf(endpoint: string, principal: Principal): string | undefined
  /** Until `viewOf` can be answered at once; `undefined`: it can. Never rejects. */
  known(endpoint: string, principal: Principal): Promise<unknown> | undefined
  /** Name of the same view for clients of one kind. Servers may show them something else. */
  viewFor(view: string, kind: ClientKind): string
  /** What a client of this revision is offered. */
  capabilities(view: string, protocolVersion: string): JsonObject
  instructions(view: string): string | undefined
  /**
   * Until what the servers of a client say of themselves is known, as far as it will be soon: a client is told that once, when it is greeted. `undefined`: nothing
   * is to be waited for.
   */
  introduced(exchange: Exchange): Promise<unknown> | undefined
  /** Handles a request that is neither about the conversation itself nor unknown. Rejects with a `GatewayError` only. */
  handle(exchange: Exchange): Promise<Outcome>
  /**
   * Counts a request that `handle` does not get: one that opens a session or a stream, or that has been refused. Rejects with a `GatewayError` when a limit of its
   * caller refuses it, else with its own refusal, where it has one.
   */
  admit(opening: Opening): Promise<unknown>
  /** A listen stream that was asked for at `since` (`performance.now()`) has been acknowledged. */
  listening(exchange: Exchange, since: number): void
  /** The `Mcp-Param-*` headers a call of this tool must have. */
  headerParams(view: string, tool: string): readonly HeaderParam[] | undefined
  /** A legacy conversation begins or ends; in between it hears of changes. */
  join(conversation: Conversation): void
  leave(conversation: Conversation): void
  /** Whether something goes on for a conversation that its client will come back for: a task. */
  worksFor(conversation: Conversation): boolean
  /** A conversation sees another view than `before`: it hears of lists that differ, and no more of what it does not see now. */
  moved(conversation: Conversation, before: string): void
  /** The client's roots are different now. */
  rootsChanged(conversation: Conversation): void
  /**
   * Hears of updates of these resources, as far as they exist and their servers tell.
   * @returns the URIs that are heard of
   */
  subscribe(exchange: Exchange, uris: readonly string[], subscriber: Subscriber): Promise<string[]>
  /**
   * Hears of these tasks of the modern extension, as far as they are the client's own and their servers tell.
   * @returns the ids that are heard of
   */
  listenToTasks(exchange: Exchange, ids: readonly string[], subscriber: Subscriber): Promise<string[]>
  /** Hears of nothing any more. */
  unsubscribe(subscriber: Subscriber): void
  /** Hears of changed lists, once for all that change together, until the returned function is called. */
  onListChanged(view: string, listener: (kinds: readonly ListKind[]) => void): () => void
}
