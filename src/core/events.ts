import type { GatewayError } from './errors.ts'
import type { CallRequest, ClientTransport } from './exchange.ts'
import type { Principal } from './principal.ts'
import type { ListKind } from './route.ts'
import type { TraceFacts } from './trace-view.ts'

/**
 * Events of a gateway, for listeners (docs/events.md). Events are facts: a listener cannot change the result of a call
 * through them. An `error` is the one that the client gets, and a listener does not write to it.
 * Texts from clients and servers are included verbatim, so a listener that stores them must redact them.
 */

interface Happened<T extends string> {
  readonly type: T
  /** Time of the event, in Unix milliseconds of the wall clock. */
  readonly time: number
}

/** The available facts about a client request. Getters compute their value when read. */
export interface RequestFacts {
  readonly principal: Principal
  readonly modern: boolean
  readonly era: 'legacy' | 'modern'
  /** Protocol revision of the client; `undefined` when the request only opens a session. */
  readonly protocolVersion: string | undefined
  /** Opaque name of the caller's view: equal names have equal contents. */
  readonly view: string
  /** Name of the endpoint: `''` for the aggregate, else a server or a profile. */
  readonly endpoint: string
  /** Self-reported name and version of the client; `''` when absent. */
  readonly client: string
  /** Transport of the client, known only within a session. */
  readonly front: ClientTransport | undefined
  /** The first characters of the session id. The whole id is a secret. */
  readonly session: string | undefined
  /** What the client sent. It cannot be changed. */
  readonly request: CallRequest
  /** Location of the rule that decided the request, or the thing that it names. */
  readonly rule: string | undefined
  /** Whether the request reaches the router: false when it only opens a session or a stream, or was refused earlier. */
  readonly routed: boolean
  /** Route, rule, replica, cache use and the duration of each stage. Complete once the request has ended. */
  readonly trace: TraceFacts
  /** When the request arrived, as `performance.now()`. */
  readonly startedAt: number
}

/** A client request has arrived. Its quotas are not checked yet. */
export interface RequestBegan extends Happened<'request.began'>, RequestFacts {}

/** How a request ended. */
export type RequestResult =
  | 'ok'
  /** A result with `isError`. */
  | 'tool_error'
  /** A JSON-RPC error of the server. */
  | 'server_error'
  /** The gateway refused the request or failed; see `error`. */
  | 'failed'

/**
 * A request has been answered. It is emitted exactly once per request: for a listen stream when it opens, for a request
 * that opens a session only when it is refused.
 */
export interface RequestEnded extends Happened<'request.ended'>, RequestFacts {
  readonly result: RequestResult
  /** The failure; only with `failed`. */
  readonly error: GatewayError | undefined
  /** JSON-RPC code; only with `server_error`, and only when it is an integer. */
  readonly serverCode: number | undefined
  readonly durationMs: number
  /** UTF-8 bytes of `params`. */
  readonly bytesIn: number
  /** UTF-8 bytes of the result before it is framed for the client; 0 with `failed`. */
  readonly bytesOut: number
}

/** A quota has refused a request. `request.ended` of the same request follows. */
export interface QuotaRefused extends Happened<'quota.refused'>, RequestFacts {
  /** The limit, as the client sees it: `calls/day`. */
  readonly limit: string
  readonly error: GatewayError
}

/** An HTTP request was rejected because of wrong or missing credentials. */
export interface AccessRefused extends Happened<'access.refused'> {
  /** HTTP status, 401 or 403. */
  readonly status: number
  readonly reason: string
  /** Network address of the peer. */
  readonly address: string | undefined
}

/**
 * A request to one replica has ended. A call has several attempts when one fails or is slow, and none when it is
 * answered from a cache.
 */
export interface AttemptEnded extends Happened<'attempt.ended'> {
  readonly server: string
  /** Name of the replica. */
  readonly replica: string
  readonly method: string
  /** The name that the server itself uses. */
  readonly name: string
  readonly era: 'legacy' | 'modern'
  /** When it was sent, as `performance.now()`. */
  readonly startedAt: number
  readonly durationMs: number
  /** `undefined` when the server has answered. */
  readonly error: GatewayError | undefined
  /** The trace of the client's request, which other attempts may share. */
  readonly trace: TraceFacts
}

/** Credentials of an HTTP request were checked, and that had to wait: for the keys of an issuer, or the state store. */
export interface AccessChecked extends Happened<'access.checked'> {
  readonly durationMs: number
}

interface StreamFacts {
  readonly principal: Principal
  readonly endpoint: string
  readonly era: 'legacy' | 'modern'
  /** Transport of the client, known only within a session. */
  readonly front: ClientTransport | undefined
  /** The first characters of the session id. The whole id is a secret. */
  readonly session: string | undefined
}

interface SessionFacts extends StreamFacts {
  /** Opaque name of the view of its client: equal names have equal contents. */
  readonly view: string
  /** Self-reported name and version of the client; `''` when absent. */
  readonly client: string
  readonly protocolVersion: string | undefined
}

/** A legacy session was opened. */
export interface SessionOpened extends Happened<'session.opened'>, SessionFacts {}

/** A legacy session has ended. */
export interface SessionClosed extends Happened<'session.closed'>, SessionFacts {}

/**
 * A stream for messages that answer no request is open: a listen stream of a modern client, the GET stream of a
 * session, or the stream of HTTP+SSE.
 */
export interface StreamOpened extends Happened<'stream.opened'>, StreamFacts {}

/** Such a stream has ended. */
export interface StreamClosed extends Happened<'stream.closed'>, StreamFacts {
  readonly durationMs: number
}

interface LinkFacts {
  readonly server: string
  /** Name of the replica. */
  readonly replica: string
}

/** A link to a server is ready. */
export interface LinkOpened extends Happened<'link.opened'>, LinkFacts {
  readonly era: 'legacy' | 'modern'
  /** Whether it replaces a lost link. */
  readonly reopened: boolean
}

/** An open link was lost: its connection, its process or its session has ended. */
export interface LinkLost extends Happened<'link.lost'>, LinkFacts {
  readonly error: GatewayError
}

/**
 * The gateway has ended an open link: it was idle or drained, was replaced, or made room. Each opened link has exactly
 * one `link.lost` or `link.closed`.
 */
export interface LinkClosed extends Happened<'link.closed'>, LinkFacts {}

/** A server could not be reached or did not start. */
export interface LinkFailed extends Happened<'link.failed'>, LinkFacts {
  readonly error: GatewayError
}

/** An unhealthy replica receives no calls, or fewer, until a check succeeds. */
export interface ReplicaEjected extends Happened<'replica.ejected'>, LinkFacts {
  readonly cause: string
}

/** An ejected replica is healthy again. */
export interface ReplicaReturned extends Happened<'replica.returned'>, LinkFacts {}

/** A replica receives no new calls because it was drained or removed from the configuration. */
export interface ReplicaDrained extends Happened<'replica.drained'>, LinkFacts {}

/** A drained replica receives calls again. */
export interface ReplicaResumed extends Happened<'replica.resumed'>, LinkFacts {}

/** Lists have changed for the connected clients of a view, which are notified. */
export interface ListChanged extends Happened<'list.changed'> {
  readonly endpoint: string
  /** Opaque name of the view: equal names have equal contents. */
  readonly view: string
  readonly kinds: readonly ListKind[]
}

interface CacheFacts {
  readonly server: string
  /** `undefined` for resource reads. */
  readonly tool: string | undefined
}

/** A cached result was returned. */
export interface CacheHit extends Happened<'cache.hit'>, CacheFacts {
  readonly principal: Principal
  readonly stale: boolean
  /** Whether it came from the memory of this process or from the state store. */
  readonly from: 'memory' | 'store'
  readonly bytes: number
  /** Time saved, in milliseconds: the duration of the original request. */
  readonly savedMs: number
}

/** A result of a server was stored. */
export interface CacheStored extends Happened<'cache.stored'>, CacheFacts {
  readonly bytes: number
}
/** Cached results of a server were invalidated: all of them, or those with these tags. */
export interface CacheInvalidated extends Happened<'cache.invalidated'> {
  readonly server: string
  readonly tags: readonly string[] | undefined
}

interface CredentialFacts {
  readonly server: string
  /** `gateway`, or the id of the principal that has credentials of its own at the server. */
  readonly owner: string
}

/** A person has to log in at a server, and calls wait for that. */
export interface LoginBegan extends Happened<'credential.login_began'>, CredentialFacts {}

/** A login has ended. Each `credential.login_began` is followed by one, unless the process is killed. */
export interface LoginEnded extends Happened<'credential.login_ended'>, CredentialFacts {
  /** `done`: the gateway is logged in; `expired`: not in time; `abandoned`: by a logout, or the end of the gateway. */
  readonly outcome: 'done' | 'failed' | 'expired' | 'abandoned'
  readonly durationMs: number
}

/** The gateway has got a new token for a server from its authorization server, in place of another one. */
export interface CredentialRenewed extends Happened<'credential.renewed'>, CredentialFacts {
  /** `due`: it was about to end, or has ended; `refused`: the server did not accept it. */
  readonly cause: 'due' | 'refused'
}

/** A server has refused what the gateway presented, and the gateway has nothing else to present. */
export interface CredentialRefused extends Happened<'credential.refused'>, CredentialFacts {
  /** HTTP status, 401 or 403. */
  readonly status: number
  readonly error: GatewayError
}

/** A new configuration is in use. */
export interface ReloadApplied extends Happened<'reload.applied'> {
  readonly servers: {
    readonly added: readonly string[]
    readonly removed: readonly string[]
    readonly changed: readonly string[]
  }
  /** Changed keys that take effect only after a restart. */
  readonly notReloadable: readonly string[]
  readonly durationMs: number
}

/** A new configuration could not be read, or was rejected. The running one stays in use. */
export interface ReloadRefused extends Happened<'reload.refused'> {
  readonly error: GatewayError
}

/** An operator used the admin API to change something, or was refused. */
export interface AdminActed extends Happened<'admin.acted'> {
  /** Identity of the operator. */
  readonly by: string
  /** Network address of the peer. */
  readonly from: string | undefined
  /** Method and path, such as `POST /admin/reload`. */
  readonly action: string
  /** HTTP status of the response. */
  readonly status: number
  /** What was changed, or why it was refused. */
  readonly detail: string | undefined
}

/** The gateway accepts no new requests. */
export interface ShutdownBegan extends Happened<'shutdown.began'> {}

/** Number of events that a queued listener missed because it was too slow. Delivered in place of those events. */
export interface EventsLost extends Happened<'events.lost'> {
  readonly count: number
}

export type GatewayEvent =
  | RequestBegan
  | RequestEnded
  | QuotaRefused
  | AccessRefused
  | AccessChecked
  | AttemptEnded
  | SessionOpened
  | SessionClosed
  | StreamOpened
  | StreamClosed
  | LinkOpened
  | LinkLost
  | LinkClosed
  | LinkFailed
  | ReplicaEjected
  | ReplicaReturned
  | ReplicaDrained
  | ReplicaResumed
  | ListChanged
  | CacheHit
  | CacheStored
  | CacheInvalidated
  | LoginBegan
  | LoginEnded
  | CredentialRenewed
  | CredentialRefused
  | ReloadApplied
  | ReloadRefused
  | AdminActed
  | ShutdownBegan
  | EventsLost

export type EventType = GatewayEvent['type']
export type EventOf<T extends EventType> = Extract<GatewayEvent, { readonly type: T }>
