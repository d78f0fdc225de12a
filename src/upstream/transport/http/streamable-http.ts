import type { Readable } from 'node:stream'
import type { Dispatcher, Pool } from 'undici'
import { backoffMs } from '../../../core/backoff.ts'
import { describeError, GatewayError } from '../../../core/errors.ts'
import { IdTable } from '../../../core/id-table.ts'
import { MessageBody } from '../../../core/message-body.ts'
import type { DropReason } from '../../../core/drop-reason.ts'
import { receptionFrom } from '../../../core/buffer-limit.ts'
import { UNCOUNTED_BYTES, type Flow, type Reception } from '../../../core/reception.ts'
import { isModernVersion } from '../../../protocol/revisions.ts'
import { EventParser, MAX_ID_CHARS, type ServerSentEvent } from '../../../protocol/sse.ts'
import { configuredHeaders } from './configured-headers.ts'
import { LinkConnections } from './connections.ts'
import { endSession } from './end-session.ts'
import { flowOf } from './flow-control.ts'
import { httpRefusal, HttpStatusError } from './http-error.ts'
import { Pieces } from './pieces.ts'
import { retryAfterMs } from './retry-after.ts'
import { carriesAnswer } from '../shared/response-id.ts'
import type { Headers } from './sse-requests.ts'
import { stopped } from '../shared/stopped.ts'
import { tooLarge } from '../shared/too-large.ts'
import { reachHint } from './out-of-reach.ts'
import { isWebPage, NO_ENDPOINT } from './web-page.ts'
import type { Outgoing, Receiver, Transport } from '../shared/transport.ts'
import { HTTP_TRAITS } from './traits.ts'
import type { UrlTransportOptions } from './url-transport-options.ts'

const ACCEPT = 'application/json, text/event-stream'

interface OpenRequest {
  readonly id: number
  readonly controller: Dispatcher.DispatchController
  reception?: Reception
}

const FIRST_RECONNECT_MS = 1000
const LAST_RECONNECT_MS = 30_000
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
export class StreamableHttpTransport implements Transport {
  readonly kind = 'http'
  readonly traits = HTTP_TRAITS
  readonly #options: UrlTransportOptions
  readonly #origin: string
  readonly #path: string
  readonly #fixedHeaders: readonly string[]
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
    this.#fixedHeaders = configuredHeaders(options.endpoint, options.logger)
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
    if (this.#version !== undefined && !isModernVersion(this.#version)) this.#get(undefined, undefined, 0)
  }

  send(message: Outgoing): void {
    if (this.#closed) {
      if (message.id !== undefined) this.#receiver.onFailure(message.id, this.#closedError())
      return
    }
    let headers: readonly string[] = this.#headers
    if (message.method !== undefined && (this.#version === undefined || isModernVersion(this.#version)))
      headers = [...headers, 'mcp-method', message.method]
    if (message.headers) {
      const extended = [...headers]
      for (const name in message.headers) extended.push(name, message.headers[name] as string)
      headers = extended
    }
    const { calls, messages, congestion } = this.#connections
    if (message.id === undefined) congestion.sending()
    const handler = new PostHandler(this, message.id, message.method)
    this.#dispatch(message.id === undefined ? messages : calls, 'POST', headers, message.text, handler)
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
      await endSession(this.#connections.messages, this.#path, this.#headers)
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
      if (this.waits(id)) this.#get(id, lastEventId, attempt)
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
      this.#get(undefined, lastEventId, 0),
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

  #get(id: number | undefined, lastEventId: string | undefined, attempt: number): void {
    const headers =
      lastEventId === undefined ? this.#headers : [...this.#headers, 'last-event-id', utf8(lastEventId)]
    const handler = new GetHandler(this, id, attempt, lastEventId)
    this.#dispatch(this.#connections.calls, 'GET', headers, null, handler)
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

/** Shared by POST and GET streams: reading JSON or events, and tracking how far the request got. */
abstract class StreamHandler implements Dispatcher.DispatchHandler {
  protected readonly transport: StreamableHttpTransport
  protected readonly id: number | undefined
  protected sent = false
  protected status: number | undefined
  protected lastEventId: string | undefined
  protected retryMs: number | undefined
  protected retryAfterMs: number | undefined
  protected location: string | undefined
  protected overflown = false
  #events: EventParser | undefined
  readonly #body: MessageBody
  #reception: Reception | undefined
  #controller: Dispatcher.DispatchController | undefined

  constructor(transport: StreamableHttpTransport, id: number | undefined) {
    this.transport = transport
    this.id = id
    this.#body = new MessageBody(transport.maxMessageBytes)
  }

  onRequestStart(controller: Dispatcher.DispatchController): void {
    this.sent = true
    this.#controller = controller
    this.transport.started(this.id, controller)
  }

  onResponseStart(controller: Dispatcher.DispatchController, status: number, headers: Headers): void {
    this.status = status
    const type = headers['content-type']
    if (status === 200 && typeof type === 'string' && type.startsWith('text/event-stream')) {
      this.#events = new EventParser(this, this.transport.maxMessageBytes)
      this.onStream(controller)
    }
    if (status >= 300 && status < 400 && typeof headers['location'] === 'string')
      this.location = headers['location']
    if (status >= 400) this.retryAfterMs = retryAfterMs(headers['retry-after'], Date.now())
    const session = headers['mcp-session-id']
    if (status === 200 && typeof session === 'string') this.onSession(session)
  }

  onResponseData(controller: Dispatcher.DispatchController, chunk: Buffer): void {
    if (this.#events) {
      this.#events.push(chunk)
      this.#holds(this.#events.held, controller)
      this.transport.heard(controller)
    } else if (this.#body.append(chunk)) this.#holds(this.#body.size, controller)
    else this.onOverflow()
  }

  onResponseEnd(): void {
    this.onOver()
    // undici keeps finished requests, and with them this handler, in a queue that it rarely cleans.
    this.#controller = undefined
    if (this.overflown) this.#body.clear()
    else this.onEnd(this.#events !== undefined, this.#body.take())
    // From here on the message is counted where it waits for its client.
    this.#reception?.end()
  }

  onResponseError(_controller: Dispatcher.DispatchController | undefined, error: Error): void {
    this.onOver()
    this.#body.clear()
    this.#reception?.end()
    if (!this.overflown) this.onBroken(error)
  }

  onEvent(event: ServerSentEvent): void {
    this.lastEventId = event.id ?? this.lastEventId
    if (event.data !== '' && event.event === 'message') this.transport.deliver(event.data, this.id)
  }

  onRetry(ms: number): void {
    this.retryMs = Math.min(ms, LAST_RECONNECT_MS)
  }

  onLongId(chars: number): void {
    this.transport.longId(chars)
  }

  onOverflow(): void {
    if (this.overflown) return
    this.transport.tooLarge(this.id)
    // The stream for unrelated messages continues without that event.
    if (this.id !== undefined || !this.#events) this.#breakOff('message too large')
  }

  #onStopped(why: DropReason): void {
    this.transport.stopped(this.id, why)
    if (this.id === undefined && this.#events) this.#events.skip()
    else this.#breakOff('message stopped')
  }

  #breakOff(reason: string): void {
    this.overflown = true
    this.#body.clear()
    this.#controller?.abort(new Error(reason))
  }

  #holds(bytes: number, controller: Dispatcher.DispatchController): void {
    // A message that is too large has been dropped.
    if (this.overflown || (!this.#reception && bytes <= UNCOUNTED_BYTES)) return
    this.#reception ??= this.transport.reception(this.id, flowOf(controller), why => this.#onStopped(why))
    this.#reception.at(bytes)
  }

  protected onOver(): void {
    this.transport.ended(this.id)
  }

  protected onStream(_controller: Dispatcher.DispatchController): void {}
  protected onSession(_session: string): void {}
  protected abstract onEnd(stream: boolean, body: string): void
  protected abstract onBroken(error: Error): void
}

class PostHandler extends StreamHandler {
  readonly #method: string | undefined

  constructor(transport: StreamableHttpTransport, id: number | undefined, method: string | undefined) {
    super(transport, id)
    this.#method = method
  }

  protected override onOver(): void {
    super.onOver()
    if (this.id === undefined) this.transport.messageEnded()
  }

  protected override onSession(session: string): void {
    if (this.#method === 'initialize') this.transport.sessionAssigned(session)
  }

  protected onEnd(stream: boolean, body: string): void {
    const { id, transport } = this
    const status = this.status as number
    if (stream) {
      if (!transport.waits(id)) return
      if (this.lastEventId !== undefined)
        transport.resume(id as number, this.lastEventId, this.retryMs ?? FIRST_RECONNECT_MS, 1)
      else transport.broken(id, true, new Error('the stream ended without an answer'))
      return
    }
    if (id === undefined) {
      if (status >= 400) transport.refused(undefined, status, body)
      return
    }
    if (status >= 200 && status < 300 && isWebPage(body)) {
      transport.unreadable(id, 'a web page', ` ${NO_ENDPOINT}`)
      return
    }
    if (status >= 200 && status < 300 && body !== '') {
      transport.deliver(body, id)
      if (transport.waits(id))
        transport.unreadable(id, 'JSON that holds no answer to the request', ` ${NO_ENDPOINT}`)
      return
    }
    // Modern servers, and some legacy ones, send a JSON-RPC error in the body of a 4xx.
    if (status >= 400 && carriesAnswer(body, id)) {
      transport.deliver(body, id)
      return
    }
    if (status >= 300) transport.refused(id, status, body, this.retryAfterMs, this.location)
    else transport.unreadable(id, `HTTP ${status} and no message`)
  }

  protected onBroken(error: Error): void {
    const { id, transport } = this
    if (transport.waits(id) && this.lastEventId !== undefined)
      transport.resume(id as number, this.lastEventId, this.retryMs ?? FIRST_RECONNECT_MS, 1)
    // The gateway itself has closed an abandoned stream, so the error is no evidence about the server.
    else if (id === undefined || transport.waits(id)) transport.broken(id, this.sent, error)
  }
}

class GetHandler extends StreamHandler {
  readonly #attempt: number

  constructor(
    transport: StreamableHttpTransport,
    id: number | undefined,
    attempt: number,
    lastEventId: string | undefined,
  ) {
    super(transport, id)
    this.#attempt = attempt
    this.lastEventId = lastEventId
  }

  protected override onStream(controller: Dispatcher.DispatchController): void {
    if (this.id === undefined) this.transport.listenEstablished(controller, this.lastEventId !== undefined)
  }

  protected onEnd(stream: boolean): void {
    if (this.id === undefined)
      this.transport.relisten(stream ? undefined : this.status, this.lastEventId, this.retryMs)
    else if (!this.transport.waits(this.id)) return
    else if (stream && this.lastEventId !== undefined)
      this.transport.resume(this.id, this.lastEventId, this.retryMs ?? FIRST_RECONNECT_MS, this.#attempt + 1)
    else this.transport.broken(this.id, true, new HttpStatusError(this.status as number, ''))
  }

  protected onBroken(): void {
    if (this.id === undefined) this.transport.relisten(undefined, this.lastEventId, this.retryMs)
    else if (this.transport.waits(this.id))
      this.transport.resume(
        this.id,
        this.lastEventId as string,
        this.retryMs ?? FIRST_RECONNECT_MS,
        this.#attempt + 1,
      )
  }
}

/** Converts a header for event ids as the HTML standard requires: each character is a byte of the UTF-8 text. */
function utf8(text: string): string {
  return Buffer.from(text).toString('latin1')
}
