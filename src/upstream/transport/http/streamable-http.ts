import type { Readable } from 'node:stream'
import type { Dispatcher, Pool } from 'undici'
import { backoffMs } from '../../../core/backoff.ts'
import { describeError, GatewayError } from '../../../core/errors.ts'
import { IdTable } from '../../../core/id-table.ts'
import type { DropReason } from '../../../core/drop-reason.ts'
import { receptionFrom } from '../../../core/buffer-limit.ts'
import type { Flow, Reception } from '../../../core/reception.ts'
import { isModernVersion } from '../../../protocol/revisions.ts'
import { MAX_ID_CHARS } from '../../../protocol/sse.ts'
import { AuthorizedRequests, type CredentialChallenge } from './authorized-requests.ts'
import { configuredHeaders } from './configured-headers.ts'
import {
  FIRST_RECONNECT_MS,
  GetHandler,
  LAST_RECONNECT_MS,
  UNASKED_STREAM,
  PostHandler,
  type Sending,
  type Get,
  type MessageStreams,
  type StreamHandler,
} from './message-streams.ts'
import { LinkConnections } from './connections.ts'
import { endSession } from './end-session.ts'
import { httpRefusal, HttpStatusError } from './http-error.ts'
import { Pieces } from './pieces.ts'
import type { Headers } from './sse-requests.ts'
import { stopped } from '../shared/stopped.ts'
import { tooLarge } from '../shared/too-large.ts'
import { reachHint } from './out-of-reach.ts'
import type { Outgoing, Receiver, Transport } from '../shared/transport.ts'
import { HTTP_TRAITS } from './traits.ts'
import type { UrlTransportOptions } from './url-transport-options.ts'

const ACCEPT = 'application/json, text/event-stream'

interface OpenRequest {
  readonly id: number
  readonly controller: Dispatcher.DispatchController
  reception?: Reception
}

/** Minimum delay, whatever `retry` of the server says. Doubled for each stream in a row that ends without a message. */
const LEAST_RECONNECT_MS = 100
/** A longer body is written piece by piece. */
const LARGE_CHARS = 256 * 1024
/** Attempts to resume one broken answer stream. */
const MAX_RESUMES = 5

/**
 * Streamable HTTP towards a server, both eras (specification 2025-11-25 and 2026-07-28, basic/transports). Each
 * request has a stream of its own, which attributes its messages. Built on undici's dispatch handlers, without streams.
 */
export class StreamableHttpTransport implements Transport, MessageStreams {
  readonly kind = 'http'
  readonly traits = HTTP_TRAITS
  readonly #options: UrlTransportOptions
  readonly #origin: string
  readonly #path: string
  readonly #url: string
  readonly #fixedHeaders: readonly string[]
  readonly #authorized: AuthorizedRequests | undefined
  readonly #open = new IdTable<number, OpenRequest>()
  readonly #timers = new Set<NodeJS.Timeout>()
  #receiver!: Receiver
  #connections!: LinkConnections<Pool>
  #version: string | undefined
  #session: string | undefined
  #headers: readonly string[]
  #listening: Dispatcher.DispatchController | undefined
  #listenAttempts = 0
  /** Whether the server has ever opened that stream. */
  #listened = false
  #saidLongId = false
  #closed = false
  #stopped: Promise<void> | undefined

  constructor(options: UrlTransportOptions) {
    this.#options = options
    const url = new URL(options.endpoint.url)
    this.#origin = url.origin
    this.#path = url.pathname + url.search
    this.#url = this.#origin + this.#path
    this.#fixedHeaders = configuredHeaders(options.endpoint, options.logger)
    const { credentials } = options
    this.#authorized = credentials && new AuthorizedRequests(options.server, credentials)
    this.#headers = this.#baseHeaders()
  }

  get sessionful(): boolean {
    return this.#session !== undefined
  }

  async open(receiver: Receiver): Promise<void> {
    this.#receiver = receiver
    const { buildConnector, Pool } = await import('undici')
    this.#connections = new LinkConnections(
      buildConnector,
      options => new Pool(this.#origin, options),
      this.#options,
    )
  }

  use(version: string | undefined): void {
    this.#version = version
    this.#headers = this.#baseHeaders()
  }

  /** Opens the stream for messages of a legacy server that belong to no request. Servers without one answer 405. */
  listen(): void {
    if (this.#version !== undefined && !isModernVersion(this.#version)) this.#get(UNASKED_STREAM)
  }

  send(message: Outgoing): void {
    if (this.#closed) {
      if (message.id !== undefined) this.#receiver.onFailure(message.id, this.#closedError())
      return
    }
    if (message.id === undefined) this.#connections.congestion.sending()
    this.#post(message, false)
  }

  /** `repeated`: the server has refused its credentials, and there are others now. */
  #post(message: Outgoing, repeated: boolean): void {
    if (!this.#authorized) return this.#write(message, this.#headers)
    const presented = this.#authorized.present('POST', this.#url, this.#headers)
    if (!(presented instanceof Promise))
      return this.#write(message, presented.headers, { sent: presented.sent, repeated })
    presented.then(
      ({ headers, sent }) => {
        if (this.#closed || (message.id !== undefined && !this.waits(message.id))) return
        this.#write(message, headers, { sent, repeated })
      },
      (error: GatewayError) => this.#notPosted(message, error),
    )
  }

  #write(message: Outgoing, base: readonly string[], attempt?: Sending): void {
    let headers = base
    if (message.method !== undefined && (this.#version === undefined || isModernVersion(this.#version)))
      headers = [...headers, 'mcp-method', message.method]
    if (message.headers) {
      const extended = [...headers]
      for (const name in message.headers) extended.push(name, message.headers[name] as string)
      headers = extended
    }
    const { calls, messages } = this.#connections
    const handler = new PostHandler(this, message, attempt)
    this.#dispatch(message.id === undefined ? messages : calls, 'POST', headers, message.text, handler)
  }

  #notPosted({ id }: Outgoing, error: GatewayError): void {
    if (id === undefined) this.messageEnded()
    this.fail(id, error)
  }

  abandon(id: number): boolean {
    this.#open.take(id)?.controller.abort(new Error('abandoned'))
    return false
  }

  unreadMs(id: number, moment: number): number {
    return this.#open.get(id)?.reception?.pausedMs(moment) ?? 0
  }

  close(): Promise<void> {
    this.#stopped ??= this.#stop()
    return this.#stopped
  }

  async #stop(): Promise<void> {
    this.#closed = true
    for (const timer of this.#timers) clearTimeout(timer)
    this.#timers.clear()
    this.#listening?.abort(new Error('closed'))
    for (const { id } of this.#open.values()) this.abandon(id)
    if (this.#connections && this.#session !== undefined)
      await endSession(this.#connections.messages, this.#url, this.#headers, this.#authorized)
    await this.#connections?.destroy()
  }

  // For the handlers below.

  started(id: number | undefined, controller: Dispatcher.DispatchController): void {
    if (id === undefined) return
    if (this.#receiver.waits(id)) return this.#open.set(id, { id, controller })
    // It was abandoned while it waited for a connection: none of it has been written.
    controller.abort(new Error('abandoned'))
    this.fail(id, this.#closedError())
  }

  ended(id: number | undefined): void {
    if (id !== undefined) this.#open.take(id)
  }

  deliver(text: string, id: number | undefined): void {
    if (id === undefined) this.#listenAttempts = 0
    if (!this.#closed) this.#receiver.onMessage(text, id)
  }

  waits(id: number | undefined): boolean {
    return !this.#closed && id !== undefined && this.#receiver.waits(id)
  }

  fail(id: number | undefined, error: GatewayError): void {
    if (this.#closed) return
    if (id !== undefined) this.#receiver.onFailure(id, error)
    else
      this.#options.logger.warn('A message to the server could not be delivered.', {
        cause: describeError(error),
      })
  }

  /** A message without an answer has been delivered, or is lost. */
  messageEnded(): void {
    this.#connections.congestion.done()
  }

  heard(controller: Dispatcher.DispatchController): void {
    this.#connections.congestion.heard(controller)
  }

  /** Counts the received bytes on the response stream of request `id`. */
  reception(id: number | undefined, flow: Flow, giveUp: (why: DropReason) => void): Reception {
    const owner = id === undefined ? undefined : this.#receiver.ownerOf(id)
    const reception = receptionFrom(this.#options.server, () => owner, flow, giveUp)
    const open = id === undefined ? undefined : this.#open.get(id)
    if (open) open.reception = reception
    return reception
  }

  get maxMessageBytes(): number {
    return this.#options.maxMessageBytes
  }

  sessionAssigned(session: string): void {
    this.#session = session
    this.#headers = this.#baseHeaders()
  }

  /** Handles an HTTP status without a message. */
  refused(
    id: number | undefined,
    status: number,
    body: string,
    retryAfterMs?: number,
    location?: string,
  ): void {
    const server = this.#options.server
    if (status === 404 && this.#session !== undefined) {
      const cause = new HttpStatusError(status, body)
      this.fail(
        id,
        new GatewayError('session_lost', `Server "${server}" has forgotten the session.`, { server, cause }),
      )
      if (!this.#closed) this.#receiver.onSessionLost()
      return
    }
    this.fail(id, httpRefusal(server, status, body, retryAfterMs, location))
  }

  /** Passes on the headers of a response. */
  responded(headers: Headers): void {
    this.#authorized?.answered(headers)
  }

  /** The server does not accept the credentials of a message. It is sent once more, if there are others. */
  async unauthorized(message: Outgoing, challenge: CredentialChallenge, attempt: Sending): Promise<void> {
    const outcome = await this.#refused(challenge, attempt)
    const { id } = message
    if (outcome !== true) this.#notPosted(message, outcome)
    else if (!this.#closed && (id === undefined || this.waits(id))) this.#post(message, true)
    else if (id === undefined) this.messageEnded()
  }

  /** As `unauthorized`, of a stream. */
  async getUnauthorized(get: Get, challenge: CredentialChallenge, attempt: Sending): Promise<void> {
    const outcome = await this.#refused(challenge, attempt)
    if (outcome !== true) this.#notOpened(get, outcome)
    else if (!this.#closed && (get.id === undefined || this.waits(get.id))) this.#get(get, true)
  }

  #refused(challenge: CredentialChallenge, { sent, repeated }: Sending): Promise<true | GatewayError> {
    return (this.#authorized as AuthorizedRequests).refused(challenge, sent, repeated)
  }

  /** A stream cannot be opened for lack of credentials. That of no request is tried again later. */
  #notOpened(get: Get, error: GatewayError): void {
    if (get.id !== undefined) return this.fail(get.id, error)
    this.#listening = undefined
    this.#later(LAST_RECONNECT_MS, () => this.#get(get))
  }

  broken(id: number | undefined, sent: boolean, cause: unknown): void {
    const server = this.#options.server
    // No socket was available.
    if (cause instanceof GatewayError) return this.fail(id, cause)
    const code = (cause as { code?: unknown } | null)?.code
    const known = typeof code === 'string' ? code : undefined
    const reason = known ?? 'connection failed'
    const message = sent
      ? `The connection to server "${server}" broke before it answered (${reason}).`
      : `Server "${server}" cannot be reached (${reason}). ${reachHint(known)}`
    this.fail(
      id,
      new GatewayError('upstream_unreachable', message, {
        server,
        cause,
        delivery: sent ? 'unknown' : 'not_sent',
      }),
    )
  }

  unreadable(id: number | undefined, what: string, fix = ''): void {
    const server = this.#options.server
    this.fail(
      id,
      // The request may have been executed.
      new GatewayError('upstream_protocol', `Server "${server}" answered with ${what}.${fix}`, {
        server,
        delivery: 'unknown',
      }),
    )
  }

  tooLarge(id: number | undefined): void {
    this.fail(id, tooLarge(this.#options.server, this.#options.maxMessageBytes))
  }

  /** An event has an id that is too long. The first one is logged. */
  longId(chars: number): void {
    if (this.#saidLongId) return
    this.#saidLongId = true
    this.#options.logger.warn(
      'An event of the server has an id that is too long and counts as none: a stream that breaks is not continued after that event.',
      { chars, maxChars: MAX_ID_CHARS },
    )
  }

  stopped(id: number | undefined, why: DropReason): void {
    this.fail(id, stopped(this.#options.server, why))
  }

  /** Resumes the broken answer stream of request `id` after event `lastEventId`. */
  resume(id: number, lastEventId: string, retryMs: number, attempt: number): void {
    if (attempt > MAX_RESUMES) {
      this.broken(id, true, new Error('the stream ended without an answer'))
      return
    }
    this.#later(Math.max(LEAST_RECONNECT_MS, retryMs), () => {
      if (this.waits(id)) this.#get({ id, lastEventId, attempt })
    })
  }

  /** The stream for unrelated messages has ended. */
  relisten(status: number | undefined, lastEventId: string | undefined, retryMs: number | undefined): void {
    this.#listening = undefined
    if (this.#closed) return
    const refused = status === 400 || status === 404 || status === 405
    // A server that no longer has such a stream is not the one that was greeted.
    if ((refused && this.#listened) || (status === 404 && this.#session !== undefined)) {
      this.#receiver.onSessionLost()
      return
    }
    // 405: the server has no such stream. A retry does not change other refusals either.
    if (refused || status === 401 || status === 403) return
    const firstMs = retryMs === undefined ? FIRST_RECONNECT_MS : LEAST_RECONNECT_MS
    const least = backoffMs(this.#listenAttempts++, { firstMs, mostMs: LAST_RECONNECT_MS })
    this.#later(Math.min(LAST_RECONNECT_MS, Math.max(retryMs ?? 0, least)), () =>
      this.#get({ id: undefined, lastEventId, attempt: 0 }),
    )
  }

  listenEstablished(controller: Dispatcher.DispatchController, resumed: boolean): void {
    this.#listening = controller
    // Events that a server can replay are not lost.
    if (this.#listened && !resumed) this.#receiver.onGap()
    this.#listened = true
  }

  #later(ms: number, run: () => void): void {
    const timer = setTimeout(() => {
      this.#timers.delete(timer)
      if (!this.#closed) run()
    }, ms)
    timer.unref()
    this.#timers.add(timer)
  }

  #get(get: Get, repeated = false): void {
    if (!this.#authorized) return this.#openStream(get, this.#headers)
    const presented = this.#authorized.present('GET', this.#url, this.#headers)
    if (!(presented instanceof Promise))
      return this.#openStream(get, presented.headers, { sent: presented.sent, repeated })
    presented.then(
      ({ headers, sent }) => {
        if (!this.#closed) this.#openStream(get, headers, { sent, repeated })
      },
      (error: GatewayError) => {
        if (!this.#closed) this.#notOpened(get, error)
      },
    )
  }

  #openStream(get: Get, base: readonly string[], attempt?: Sending): void {
    const { lastEventId } = get
    const headers = lastEventId === undefined ? base : [...base, 'last-event-id', utf8(lastEventId)]
    this.#dispatch(this.#connections.calls, 'GET', headers, null, new GetHandler(this, get, attempt))
  }

  #dispatch(
    pool: Pool,
    method: 'POST' | 'GET',
    headers: readonly string[],
    body: string | null,
    handler: StreamHandler,
  ): void {
    let sent: string | Readable | null = body
    let all = headers as string[]
    if (body !== null && body.length > LARGE_CHARS) {
      all = [...headers, 'content-length', String(Buffer.byteLength(body))]
      sent = new Pieces(body) as unknown as Readable
    }
    try {
      pool.dispatch({ path: this.#path, method, headers: all, body: sent }, handler)
    } catch (error) {
      handler.onResponseError(undefined, error as Error)
    }
  }

  #baseHeaders(): readonly string[] {
    const headers = ['accept', ACCEPT, 'content-type', 'application/json']
    if (this.#version !== undefined) headers.push('mcp-protocol-version', this.#version)
    if (this.#session !== undefined) headers.push('mcp-session-id', this.#session)
    return [...headers, ...this.#fixedHeaders]
  }

  #closedError(): GatewayError {
    return new GatewayError('upstream_closed', `The link to "${this.#options.server}" is closed.`, {
      server: this.#options.server,
    })
  }
}

/** Converts a header for event ids as the HTML standard requires: each character is a byte of the UTF-8 text. */
function utf8(text: string): string {
  return Buffer.from(text).toString('latin1')
}
