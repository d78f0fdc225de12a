import {
  HEADER_MISMATCH,
  INTERNAL_ERROR,
  INVALID_PARAMS,
  INVALID_REQUEST,
  METHOD_NOT_FOUND,
  MISSING_CAPABILITY,
  PARSE_ERROR,
  UNSUPPORTED_VERSION,
} from './rpc-codes.ts'
import type { Unfinished } from './unfinished.ts'

/**
 * The one error class of the gateway and the closed table of its error codes.
 *
 * A `GatewayError` is raised by the gateway itself. An error or an `isError` result of an upstream is no
 * `GatewayError`: it is relayed unchanged.
 */

/** How far a request got before it failed. Decides whether it may be repeated on another replica. */
export type Delivery = 'not_sent' | 'unknown' | 'answered'

interface ErrorKind {
  /**
   * JSON-RPC error code. Of the range reserved for servers (-32000 to -32099), only codes that the specification
   * defines.
   */
  readonly rpc: number
  /** HTTP status for failures before a request is accepted; after that it is always 200. */
  readonly http: number
  readonly log: 'error' | 'warn' | 'info' | 'debug'
  /** Whether the error counts against the health of the upstream. */
  readonly countsAgainstHealth: boolean
  /** Whether a model can act on it: such refusals of `tools/call` are sent as results with `isError: true`. */
  readonly actionable: boolean
}

const kind = (
  rpc: number,
  http: number,
  log: ErrorKind['log'],
  countsAgainstHealth: boolean,
  actionable: boolean,
): ErrorKind => ({ rpc, http, log, countsAgainstHealth, actionable })

export const ERROR_KINDS = {
  parse_error: kind(PARSE_ERROR, 400, 'info', false, false),
  invalid_request: kind(INVALID_REQUEST, 400, 'info', false, false),
  invalid_params: kind(INVALID_PARAMS, 400, 'info', false, false),
  unknown_method: kind(METHOD_NOT_FOUND, 404, 'debug', false, false),
  unknown_name: kind(INVALID_PARAMS, 200, 'info', false, false),
  resource_not_found: kind(INVALID_PARAMS, 200, 'info', false, false),
  header_mismatch: kind(HEADER_MISMATCH, 400, 'info', false, false),
  unsupported_version: kind(UNSUPPORTED_VERSION, 400, 'info', false, false),
  too_large: kind(INVALID_REQUEST, 413, 'warn', false, true),
  upstream_start_failed: kind(INTERNAL_ERROR, 200, 'error', true, true),
  upstream_unreachable: kind(INTERNAL_ERROR, 200, 'warn', true, true),
  upstream_unauthorized: kind(INTERNAL_ERROR, 200, 'warn', false, true),
  /** The owner of the call's credentials has to log in at the server first. */
  needs_login: kind(INTERNAL_ERROR, 200, 'info', false, true),
  /** The configured client of the call lacks a value that the entry of the server uses. */
  missing_value: kind(INTERNAL_ERROR, 200, 'info', false, true),
  upstream_closed: kind(INTERNAL_ERROR, 200, 'warn', true, true),
  upstream_protocol: kind(INTERNAL_ERROR, 200, 'warn', true, true),
  upstream_timeout: kind(INTERNAL_ERROR, 200, 'warn', true, true),
  session_lost: kind(INTERNAL_ERROR, 200, 'info', false, true),
  missing_capability: kind(MISSING_CAPABILITY, 400, 'info', false, false),
  cannot_ask: kind(INTERNAL_ERROR, 200, 'info', false, true),
  overloaded: kind(INTERNAL_ERROR, 200, 'warn', false, true),
  denied: kind(INVALID_PARAMS, 200, 'info', false, true),
  rate_limited: kind(INTERNAL_ERROR, 200, 'info', false, true),
  quota_exhausted: kind(INTERNAL_ERROR, 200, 'info', false, true),
  quota_unavailable: kind(INTERNAL_ERROR, 200, 'error', false, true),
  unauthenticated: kind(INTERNAL_ERROR, 401, 'info', false, false),
  forbidden: kind(INTERNAL_ERROR, 403, 'info', false, false),
  cancelled: kind(INTERNAL_ERROR, 200, 'debug', false, false),
  shutting_down: kind(INTERNAL_ERROR, 200, 'info', false, true),
  config: kind(INTERNAL_ERROR, 500, 'error', false, false),
  internal: kind(INTERNAL_ERROR, 500, 'error', false, false),
} as const satisfies Record<string, ErrorKind>

export type ErrorCode = keyof typeof ERROR_KINDS

export interface GatewayErrorOptions {
  /** Details for the log that must not reach a client. */
  cause?: unknown
  delivery?: Delivery
  /** Configured name of the affected upstream server. */
  server?: string
  retryAfterMs?: number
  /** The earlier failure that this one reports again, because no new attempt was made. */
  repeats?: GatewayError
  /** Extra members of the JSON-RPC error's `data`; safe to show. */
  data?: Record<string, unknown>
  /** Address that a person has to open. Shown to the client behind the message, and written nowhere else. */
  link?: string
}

/**
 * A failure that the gateway itself reports. `message` is safe to show to a client: it names the server, the cause and
 * the fix, and never contains a URL with credentials, a header or a token. `cause` is for the log only.
 */
export class GatewayError extends Error {
  readonly code: ErrorCode
  readonly delivery: Delivery
  readonly server: string | undefined
  readonly retryAfterMs: number | undefined
  /** The earlier failure that this one reports again. */
  readonly repeats: GatewayError | undefined
  readonly data: Record<string, unknown> | undefined
  /** Address that a person has to open. It is part of no log. */
  readonly link: string | undefined
  /** Set when the error first reaches a client, so that an operator can find it in the log. */
  errorId: string | undefined
  /** Set when the request was given up while its server may still work on it. */
  unfinished: Unfinished | undefined

  constructor(code: ErrorCode, message: string, options: GatewayErrorOptions = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause })
    this.name = 'GatewayError'
    this.code = code
    this.delivery = options.delivery ?? 'not_sent'
    this.server = options.server
    this.retryAfterMs = options.retryAfterMs
    this.repeats = options.repeats
    this.data = options.data
    this.link = options.link
  }

  get kind(): ErrorKind {
    return ERROR_KINDS[this.code]
  }

  /** Idempotent: returns a `GatewayError` unchanged; any other value becomes `internal` with the original as cause. */
  static from(error: unknown, server?: string): GatewayError {
    if (error instanceof GatewayError) return error
    const options: GatewayErrorOptions = { cause: error, delivery: 'unknown' }
    if (server !== undefined) options.server = server
    return new GatewayError(
      'internal',
      'The gateway failed to handle this request; its log has the cause.',
      options,
    )
  }
}

/** The text of an error for a person, with the command that prints the page of its code. A link needs no such page. */
export function withHelp({ message, link, code }: GatewayError): string {
  if (link !== undefined) return `${message} ${link}`
  return `${message}${message.includes('\n') ? '\n' : ' '}(mcp-manifold help ${code})`
}

/** The upstream work that may continue although its call has failed with `error`. */
export function unfinishedOf(error: unknown): Unfinished | undefined {
  return error instanceof GatewayError ? error.unfinished : undefined
}

/** The thrown value, its cause, the cause of that, and so on; at most five. */
export function* causesOf(error: unknown): Generator<unknown, void, undefined> {
  for (let at = error, depth = 0; at !== undefined && depth < 5; depth++) {
    yield at
    at = at instanceof Error ? at.cause : undefined
  }
}

/** One line for a log: the message, then the chain of causes. Never throws, whatever was thrown. */
export function describeError(error: unknown): string {
  try {
    return described(error)
  } catch {
    return 'an error that cannot be read'
  }
}

function described(error: unknown): string {
  const parts = [...causesOf(error)].map(at => {
    if (!(at instanceof Error)) return String(at)
    const code = (at as { code?: unknown }).code
    return typeof code === 'string' && !(at instanceof GatewayError) && !at.message.includes(code)
      ? `${at.message || at.name} (${code})`
      : at.message
  })
  const told = parts.filter((part, index) => part !== '' && part !== parts[index - 1])
  // Ends the sentence before its cause is appended.
  return told
    .map((part, at) => (at === 0 ? part : `${told[at - 1]?.endsWith('.') ? ' Cause' : ''}: ${part}`))
    .join('')
}
