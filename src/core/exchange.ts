import type { Cancellation } from './cancellation.ts'
import type { Pass } from './pass.ts'
import type { Principal } from './principal.ts'
import type { Route } from './route.ts'

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

/** What the parts of the gateway come to know of one request, for the audit log. Each fills in its own on the way. */
export class CallRecord {
  /** Where it went; `undefined` while nothing is found. */
  route: Route | undefined = undefined
  /** Place of the rule that decided, as `RuleConfig.place`. */
  rule: string | undefined = undefined
  /** Place of the rule that would have denied it, if it were not in shadow mode. */
  shadowed: string | undefined = undefined
  /** Name of the replica that it went to, or has to go to because that one began what it is about: a question, a task. */
  stickyReplica: string | undefined = undefined
  /** Server that could not take it, and whose fallback did. */
  fallbackFrom: string | undefined = undefined
  /** What served it. */
  replica: string | undefined = undefined
  /** Time in the queue, in milliseconds. */
  waitedMs = 0
  /** When it was last handed to a link, and when that was over, by `performance.now()`; 0 before. */
  sentAt = 0
  endedAt = 0
  /** Time a server worked on it, in milliseconds; the time in which the client was being asked is not part of it. */
  upstreamMs = 0
  /** The server has asked something, or may have, on its behalf. */
  asked = false
  /** How it was answered without a call of its own. */
  cache: 'hit' | 'stale' | 'coalesced' | undefined = undefined
  /** What its caller has left of its limits, to be told with the result. `now` as `performance.now()` says it, or has said lately. */
  left: { text(now?: number): string } | undefined = undefined
  /** The outcome whose size is known, and its size. */
  sized: Outcome | undefined = undefined
  size = 0
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
  /** One for each request of a client. */
  readonly record: CallRecord
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

/** How a call ended. Raw JSON throughout; `value` is its parsed form, read-only, there when the text had to be parsed anyway. */
export type Outcome =
  | { readonly kind: 'result'; readonly text: string; readonly value: unknown; readonly modern: boolean }
  /** A result already framed for the client's era. `head` goes before `text` and ends in `_meta`, behind a member. */
  | { readonly kind: 'ready'; readonly text: string | Buffer; readonly head?: string }
  /** A JSON-RPC error object that an upstream sent. */
  | { readonly kind: 'error'; readonly text: string; readonly value: unknown }

/** Bytes of an outcome before it is framed for the client. They are counted once, by whoever asks first. */
export function sizeOf(outcome: Outcome, record: CallRecord): number {
  if (record.sized !== outcome) {
    const { text } = outcome
    const head = outcome.kind === 'ready' && outcome.head !== undefined ? Buffer.byteLength(outcome.head) : 0
    record.size = head + (typeof text === 'string' ? Buffer.byteLength(text) : text.length)
    record.sized = outcome
  }
  return record.size
}
