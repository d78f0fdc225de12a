import type { CallState } from './call-state.ts'
import type { CallTrace } from './call-trace.ts'
import type { Cancellation } from './cancellation.ts'
import type { Pass } from './pass.ts'
import type { Principal } from './principal.ts'

/** A JSON text with its parsed value. The value is used for decisions; the text is relayed. */
export interface Json<T = unknown> {
  readonly text: string
  readonly value: T
}

export type JsonObject = Record<string, unknown>

/** RFC 5424 severities of MCP logging, most verbose first. */
export const MCP_LOG_LEVELS = [
  'debug',
  'info',
  'notice',
  'warning',
  'error',
  'critical',
  'alert',
  'emergency',
] as const
export type McpLogLevel = (typeof MCP_LOG_LEVELS)[number]

/** Method and parameters of a client request, without its sender. */
export interface CallRequest {
  readonly method: string
  /** `params` as the client wrote them; `undefined` when it sent none. */
  readonly params: Json<JsonObject> | undefined
  /** The client's progress token, exactly as written (`7`, `"7"`), or `undefined` when it asked for no progress. */
  readonly progressToken: string | undefined
}

/** Transport of a client. */
export type ClientTransport = 'stdio' | 'http' | 'sse'

/** Name and version of a client's `Implementation`, shortened for logs. */
export function clientName(info: unknown): string {
  const { name, version } = (info ?? {}) as JsonObject
  return [name, version].flatMap(part => (typeof part === 'string' ? part.slice(0, 60) : [])).join(' ')
}

/**
 * The client side of a connection that outlives one request: a legacy session, or the listen stream of a modern client.
 * The relay uses it for messages that belong to no request.
 */
export interface Conversation {
  readonly id: string
  readonly principal: Principal
  /** Name of the view of this client. */
  readonly view: string
  /** Negotiated revision; `undefined` until it is negotiated. */
  readonly protocolVersion: string | undefined
  /** Level set with `logging/setLevel`; `undefined` until it is set. */
  readonly logLevel: McpLogLevel | undefined
  /** Self-reported name and transport of the client; for the log only. */
  readonly client?: string
  readonly front?: ClientTransport
  /**
   * Whether `initialize` is unanswered and no other request was made: the client has no list that could be outdated.
   */
  readonly ungreeted?: boolean
  /**
   * Sends a notification that belongs to no open request. `message` is the complete message, when it goes to several
   * clients and is held in memory once.
   */
  notify(method: string, params: string | undefined, message?: string): void
  /**
   * Asks the client on behalf of one of its calls, when it is unknown which one.
   * @throws GatewayError `cannot_ask`
   */
  ask(request: InputRequest): Promise<string>
}

/** Requests that a server may send to a client during a call. */
export const INPUT_METHODS = ['elicitation/create', 'sampling/createMessage', 'roots/list'] as const
export type InputMethod = (typeof INPUT_METHODS)[number]

/** A request of a server for input during a call. */
export interface InputRequest {
  readonly method: InputMethod
  /** Raw JSON of `params`; `undefined` also after `sent`. */
  readonly params: string | undefined
  readonly server: string
  /** Cancelled when the server no longer needs the answer. */
  readonly cancellation: Cancellation
  /** Shared by all questions of one round. They are sent together or not at all. */
  readonly round?: { readonly size: number }
  /** Called when the question has been sent to the client and is not repeated: its text is released. Idempotent. */
  readonly sent?: (() => void) | undefined
}

/** `params` of a question. They use room until they are released. */
export interface HeldParams extends Json {
  /** Whether the params have been released; they are then empty. */
  readonly gone: boolean
  /** Releases the parsed form, which is parsed again on demand. */
  keepText(): void
  letGo(): void
}

/**
 * One client request in flight, with everything needed to relay back to the client. Independent of the protocol era.
 */
export interface Exchange extends Pass {
  readonly request: CallRequest
  readonly principal: Principal
  /** Whether the client uses the modern era. Only the framing of results depends on it. */
  readonly modern: boolean
  /** Negotiated revision of the client. */
  readonly protocolVersion: string
  /**
   * Raw JSON of the client capabilities that a server may use, `''` when there are none. Equal capabilities are equal
   * texts.
   */
  readonly features: string
  /** Name of the view that the client uses: `''` for all servers, else a server. */
  readonly view: string
  /** The legacy session of the request; modern requests have none. */
  readonly conversation: Conversation | undefined
  /** Log level requested by the session or by this request. */
  readonly logLevel: McpLogLevel | undefined
  readonly cancellation: Cancellation
  /** The record for observers; one per client request. */
  readonly trace: CallTrace
  /** State of the call; one per call, which may span several requests. */
  readonly state: CallState
  /**
   * Whether the client can be asked for input on behalf of this request: immediately, when it returns with earlier
   * answers, or not at all, for example after the call has ended.
   */
  readonly canBeAsked: 'now' | 'later' | 'never'
  /** Sends a notification of this request (progress, log) on its own stream. `params` is raw JSON. */
  notify(method: string, params: string | undefined): void
  /**
   * Asks the client for input and resolves with the raw JSON of its result.
   * @throws GatewayError `cannot_ask` when there is no way back to the client, or it did not declare the capability.
   */
  ask(request: InputRequest): Promise<string>
}

/** A result of a server, as the server wrote it. `value` is the parsed form of `text`, read-only. */
export interface ServerResult {
  readonly kind: 'result'
  readonly text: string
  readonly value: unknown
  /** Whether the result has the format of the modern era. */
  readonly modern: boolean
}

/** A JSON-RPC error object of a server. */
export interface ServerError {
  readonly kind: 'error'
  readonly text: string
  readonly value: unknown
}

/**
 * A result of the gateway itself, in the format of the client's era: a list, the remaining quotas, a failure for the
 * model.
 */
export interface OwnResult {
  readonly kind: 'own'
  readonly text: string | Buffer
}

/**
 * A cached result, in the format of the client's era. `head` precedes `text` and ends inside `_meta`, after a member.
 */
export interface CachedResult {
  readonly kind: 'cached'
  readonly head: string
  readonly text: string | Buffer
}

/** The call continues when the client has answered this round of questions, which is a result of the modern era. */
export interface Question {
  readonly kind: 'question'
  readonly text: string
}

/** A session or a stream was opened; the response to its client is sent separately. */
export interface Opened {
  readonly kind: 'opened'
  readonly text: ''
}

export type ServerOutcome = ServerResult | ServerError

/** How a request ended. Raw JSON throughout. */
export type Outcome = ServerOutcome | OwnResult | CachedResult | Question | Opened
