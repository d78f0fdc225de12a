import type { CallState } from './call-state.ts'
import type { CallTrace } from './call-trace.ts'
import type { Cancellation } from './cancellation.ts'
import type { Pass } from './pass.ts'
import type { Principal } from './principal.ts'

/** A JSON text with its parsed value: the value decides, the text is what travels. */
export interface Json<T = unknown> {
  readonly text: string
  readonly value: T
}

export type JsonObject = Record<string, unknown>

/** RFC 5424 severities of MCP logging, most verbose first. */
export const LOG_LEVELS = [
  'debug',
  'info',
  'notice',
  'warning',
  'error',
  'critical',
  'alert',
  'emergency',
] as const
export type McpLogLevel = (typeof LOG_LEVELS)[number]

/** What one request of a client is, apart from who sent it. */
export interface CallRequest {
  readonly method: string
  /** `params` as the client wrote them; `undefined` when it sent none. */
  readonly params: Json<JsonObject> | undefined
  /** The client's progress token, exactly as written (`7`, `"7"`), or `undefined` when it asked for no progress. */
  readonly progressToken: string | undefined
}

/** How a client reaches the gateway. */
export type Front = 'stdio' | 'http' | 'sse'

/** Name and version of an `Implementation` that a client sent, cut to what a log needs. */
export function clientName(info: unknown): string {
  const { name, version } = (info ?? {}) as JsonObject
  return [name, version].flatMap(part => (typeof part === 'string' ? part.slice(0, 60) : [])).join(' ')
}

/**
 * The client's side of a conversation that outlives one request: a legacy session, or the listen stream of a modern client.
 * The relay sends through it what belongs to no request.
 */
export interface Conversation {
  readonly id: string
  readonly principal: Principal
  /** What this client may see. */
  readonly view: string
  /** Negotiated revision; `undefined` until there is one. */
  readonly protocolVersion: string | undefined
  /** Level asked for by `logging/setLevel`; `undefined` until the client asks. */
  readonly logLevel: McpLogLevel | undefined
  /** What the client calls itself, and how it reached the gateway; for the log alone. */
  readonly client?: string
  readonly front?: Front
  /** Whether `initialize` has no answer yet and nothing else was asked: the client has no list that could be out of date. */
  readonly ungreeted?: boolean
  /** Sends a notification that belongs to no open request. `message` is the whole of it, where the same goes to several clients: it is held once. */
  notify(method: string, params: string | undefined, message?: string): void
  /** Asks the client, on behalf of one of its calls that cannot be told from another. @throws GatewayError `cannot_ask` */
  ask(request: InputRequest): Promise<string>
}

/** What a server may ask of a client in the middle of a call. */
export const INPUT_METHODS = ['elicitation/create', 'sampling/createMessage', 'roots/list'] as const
export type InputMethod = (typeof INPUT_METHODS)[number]

/** An input a server asks for in the middle of a call. */
export interface InputRequest {
  readonly method: InputMethod
  /** Raw JSON of `params`; `undefined` after `sent`, too. */
  readonly params: string | undefined
  readonly server: string
  /** Cancelled when the server no longer wants to know. */
  readonly cancellation: Cancellation
  /** The questions it is asked with: one object for all of them. They are asked together or not at all. */
  readonly round?: { readonly size: number }
  /** To be called when the client has been sent the question and it is not put again: its text is let go. Idempotent. */
  readonly sent?: (() => void) | undefined
}

/** `params` of a question, which take room until they are let go. */
export interface HeldParams extends Json {
  /** Whether they have been let go: they are empty then. */
  readonly gone: boolean
  /** Lets go of the parsed form, which is made anew when it is asked for. */
  keepText(): void
  letGo(): void
}

/** One client request in flight, with everything that relaying back needs. Era-neutral. */
export interface Exchange extends Pass {
  readonly request: CallRequest
  readonly principal: Principal
  /** Whether the client speaks the modern era; only results' framing depends on it. */
  readonly modern: boolean
  /** Negotiated revision of the client. */
  readonly protocolVersion: string
  /** Raw JSON of the client's capabilities that a server may make use of, `''` when there are none. Equal ones are equal texts. */
  readonly features: string
  /** Name of the view the client reached: `''` for all, else a server. */
  readonly view: string
  /** The legacy session the request came from; modern requests have none. */
  readonly conversation: Conversation | undefined
  /** Log level the client asked for, by session or with this request. */
  readonly logLevel: McpLogLevel | undefined
  readonly cancellation: Cancellation
  /** What observers read; one for each request of a client. */
  readonly trace: CallTrace
  /** What decides about the rest of it; one for each call, which may take several requests. */
  readonly state: CallState
  /** Whether its client can be asked on its behalf: at once, when it comes back with the answers to what it was asked before, or not, as once the call is over. */
  readonly canBeAsked: 'now' | 'later' | 'never'
  /** Sends a notification of this very request (progress, log) on its own stream. `params` is raw JSON. */
  notify(method: string, params: string | undefined): void
  /**
   * Asks the client for input and resolves with the raw JSON of its result.
   * @throws GatewayError `cannot_ask` when there is no way back to the client, or it did not declare the capability.
   */
  ask(request: InputRequest): Promise<string>
}

/** A result of a server, in its words. `value` is the parsed form of `text`, read-only. */
export interface ServerResult {
  readonly kind: 'result'
  readonly text: string
  readonly value: unknown
  /** The era in whose words it is. */
  readonly modern: boolean
}

/** A JSON-RPC error object of a server. */
export interface ServerError {
  readonly kind: 'error'
  readonly text: string
  readonly value: unknown
}

/** A result of the gateway itself, in the words of the client's era: a list, what is left of quotas, a failure that a model reads. */
export interface OwnResult {
  readonly kind: 'own'
  readonly text: string | Buffer
}

/** A result that was kept, in the words of the client's era. `head` goes before `text`, and ends in `_meta`, behind a member. */
export interface CachedResult {
  readonly kind: 'cached'
  readonly head: string
  readonly text: string | Buffer
}

/** The call goes on when the client has answered this round of questions, which is a result of the modern era. */
export interface Question {
  readonly kind: 'question'
  readonly text: string
}

/** A session or a stream is open; its client is told otherwise. */
export interface Opened {
  readonly kind: 'opened'
  readonly text: ''
}

export type ServerOutcome = ServerResult | ServerError

/** How a request ended. Raw JSON throughout. */
export type Outcome = ServerOutcome | OwnResult | CachedResult | Question | Opened
