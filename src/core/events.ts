import type { CallTrace } from './call-trace.ts'
import type { GatewayError } from './errors.ts'
import type { CallRequest, Conversation, Front } from './exchange.ts'
import type { Principal } from './principal.ts'
import type { ListKind } from './route.ts'

/**
 * What happens in a gateway, for listeners (docs/events.md). Events are facts: nothing that a listener does changes what becomes of a call. Texts that
 * clients and servers sent are in them as they came, so a listener that writes them down redacts them.
 */

interface Happened<T extends string> {
  readonly type: T
  /** When it happened, in Unix milliseconds by the wall clock. */
  readonly time: number
}

/** A request of a client, as far as it is known. What is not a field is computed when it is read. */
export interface RequestFacts {
  readonly principal: Principal
  readonly modern: boolean
  readonly era: 'legacy' | 'modern'
  /** Revision that the client speaks; `undefined` where the request only opens a session. */
  readonly protocolVersion: string | undefined
  /** Name of what it may see. Opaque: the same where the same may be seen. */
  readonly view: string
  /** Name of the endpoint: `''` for everything, else a server or a profile. */
  readonly endpoint: string
  /** What the client calls itself, with its version; `''` where it does not say. */
  readonly client: string
  /** How the client reaches the gateway, where a session tells. */
  readonly front: Front | undefined
  /** The first characters of the id of its session. The whole id is a secret. */
  readonly session: string | undefined
  readonly request: CallRequest
  /** Place of the rule that decided, or of the one about what the request names. */
  readonly rule: string | undefined
  /** Whether it is a request for the router: not where it only opens a session or a stream, or was refused before. */
  readonly routed: boolean
  /** Where it went, by which rule and replica, out of which cache, and how long each stage took. Complete once the request has ended. */
  readonly trace: CallTrace
  /** When it came, as `performance.now()` says it. */
  readonly startedAt: number
}

/** A client's request has come, and its limits have not been asked yet. */
export interface RequestBegan extends Happened<'request.began'>, RequestFacts {}

/** How a request ended that was not refused by the gateway. */
export type RequestResult =
  | 'ok'
  /** A result with `isError`. */
  | 'tool_error'
  /** A JSON-RPC error of the server. */
  | 'server_error'
  /** The gateway refused it, or could not do it: `error` says why. */
  | 'failed'

/** A request has its answer. Each request has exactly one; a listen stream when it is open, the request that opens a session only when it is refused. */
export interface RequestEnded extends Happened<'request.ended'>, RequestFacts {
  readonly result: RequestResult
  /** The failure, with `failed` only. */
  readonly error: GatewayError | undefined
  /** JSON-RPC code, with `server_error` only, where it is an integer. */
  readonly serverCode: number | undefined
  readonly durationMs: number
  /** UTF-8 bytes of `params`. */
  readonly bytesIn: number
  /** UTF-8 bytes of the result before it is framed for the client; 0 with `failed`. */
  readonly bytesOut: number
}

/** A limit has refused a request. `request.ended` of that request follows. */
export interface QuotaRefused extends Happened<'quota.refused'>, RequestFacts {
  /** Which limit, as the client is told: `calls/day`. */
  readonly limit: string
  readonly error: GatewayError
}

/** An HTTP request was not let in: with wrong credentials, or without. */
export interface AccessRefused extends Happened<'access.refused'> {
  /** HTTP status, 401 or 403. */
  readonly status: number
  readonly reason: string
  /** Address on the network. */
  readonly address: string | undefined
}

/** A request to one replica is over. A call has several where one fails or is slow, and none where the answer is known. */
export interface AttemptEnded extends Happened<'attempt.ended'> {
  readonly server: string
  /** Label of the link. */
  readonly replica: string
  readonly method: string
  /** The server's own name of what is called. */
  readonly name: string
  readonly era: 'legacy' | 'modern'
  /** When it was sent, as `performance.now()` says it. */
  readonly startedAt: number
  readonly durationMs: number
  /** `undefined` where the server has answered. */
  readonly error: GatewayError | undefined
  /** That of the client's request, which other attempts may share. */
  readonly trace: CallTrace
}

/** A legacy session was agreed on. */
export interface SessionOpened extends Happened<'session.opened'> {
  /** The same object stands for the same session in both events. */
  readonly conversation: Conversation
}

/** A legacy session has ended. */
export interface SessionClosed extends Happened<'session.closed'> {
  readonly conversation: Conversation
}

interface StreamFacts {
  readonly principal: Principal
  readonly endpoint: string
}

/** A listen stream of a modern client is open. */
export interface StreamOpened extends Happened<'stream.opened'>, StreamFacts {}

/** A listen stream of a modern client has ended. */
export interface StreamClosed extends Happened<'stream.closed'>, StreamFacts {
  readonly durationMs: number
}

interface LinkFacts {
  readonly server: string
  /** Name of the replica. */
  readonly replica: string
}

/** A conversation with a server is ready. */
export interface LinkOpened extends Happened<'link.opened'>, LinkFacts {
  readonly era: 'legacy' | 'modern'
  /** It takes the place of one that was lost. */
  readonly reopened: boolean
}

/** A conversation with a server broke off. */
export interface LinkLost extends Happened<'link.lost'>, LinkFacts {
  readonly error: GatewayError
}

/** A server could not be reached, or did not start. */
export interface LinkFailed extends Happened<'link.failed'>, LinkFacts {
  readonly error: GatewayError
}

/** A replica takes no calls, or fewer, until it is seen to be well. */
export interface ReplicaEjected extends Happened<'replica.ejected'>, LinkFacts {
  readonly cause: string
}

/** An ejected replica was seen to be well. */
export interface ReplicaReturned extends Happened<'replica.returned'>, LinkFacts {}

/** A replica takes no new calls because it was told so, or is gone from the configuration. */
export interface ReplicaDrained extends Happened<'replica.drained'>, LinkFacts {}

/** A drained replica takes calls again. */
export interface ReplicaResumed extends Happened<'replica.resumed'>, LinkFacts {}

/** Lists that clients of an endpoint see have changed. */
export interface ListChanged extends Happened<'list.changed'> {
  readonly endpoint: string
  readonly kinds: readonly ListKind[]
}

interface CacheFacts {
  readonly server: string
  /** `undefined` for reads of resources. */
  readonly tool: string | undefined
}

/** A result that is kept was given out. */
export interface CacheHit extends Happened<'cache.hit'>, CacheFacts {
  readonly principal: Principal
  readonly stale: boolean
  /** Whether it came from this process or from the state store. */
  readonly from: 'memory' | 'store'
  readonly bytes: number
  /** What the server would have taken, by the first time. */
  readonly savedMs: number
}

/** A result of a server is kept from now on. */
export interface CacheStored extends Happened<'cache.stored'>, CacheFacts {
  readonly bytes: number
}
/** What a server said is outdated: all of it, or what these tags stand for. */
export interface CacheInvalidated extends Happened<'cache.invalidated'> {
  readonly server: string
  readonly tags: readonly string[] | undefined
}

/** The gateway runs with another configuration. */
export interface ReloadApplied extends Happened<'reload.applied'> {
  readonly servers: {
    readonly added: readonly string[]
    readonly removed: readonly string[]
    readonly changed: readonly string[]
  }
  /** Keys that differ and take effect at the next start. */
  readonly notReloadable: readonly string[]
  readonly durationMs: number
}
/** A configuration was not taken. The running one stays. */
export interface ReloadRefused extends Happened<'reload.refused'> {
  readonly error: GatewayError
}

/** An operator has changed something over the admin API, or was refused. */
export interface AdminActed extends Happened<'admin.acted'> {
  /** What stands for the operator. */
  readonly by: string
  /** Address on the network. */
  readonly from: string | undefined
  /** As `POST /admin/reload`. */
  readonly action: string
  /** HTTP status of the answer. */
  readonly status: number
  /** What was changed, or why it was refused. */
  readonly detail: string | undefined
}

/** The gateway takes no new requests. */
export interface ShutdownBegan extends Happened<'shutdown.began'> {}

/** Events that a listener with a queue did not get, because it was too slow. It comes in their place. */
export interface EventsLost extends Happened<'events.lost'> {
  readonly count: number
}

export type GatewayEvent =
  | RequestBegan
  | RequestEnded
  | QuotaRefused
  | AccessRefused
  | AttemptEnded
  | SessionOpened
  | SessionClosed
  | StreamOpened
  | StreamClosed
  | LinkOpened
  | LinkLost
  | LinkFailed
  | ReplicaEjected
  | ReplicaReturned
  | ReplicaDrained
  | ReplicaResumed
  | ListChanged
  | CacheHit
  | CacheStored
  | CacheInvalidated
  | ReloadApplied
  | ReloadRefused
  | AdminActed
  | ShutdownBegan
  | EventsLost

export type EventType = GatewayEvent['type']
export type EventOf<T extends EventType> = Extract<GatewayEvent, { readonly type: T }>
