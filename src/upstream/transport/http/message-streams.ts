import type { Dispatcher } from 'undici'
import type { DropReason } from '../../../core/drop-reason.ts'
import { MessageBody } from '../../../core/message-body.ts'
import { UNCOUNTED_BYTES, type Flow, type Reception } from '../../../core/reception.ts'
import { EventParser, type ServerSentEvent } from '../../../protocol/sse.ts'
import { carriesAnswer } from '../shared/response-id.ts'
import type { Outgoing } from '../shared/transport.ts'
import { challengeOf, type CredentialChallenge } from './authorized-requests.ts'
import { flowOf } from './flow-control.ts'
import { HttpStatusError } from './http-error.ts'
import { retryAfterMs } from './retry-after.ts'
import type { Headers } from './sse-requests.ts'
import { isWebPage, NO_ENDPOINT } from './web-page.ts'

export const FIRST_RECONNECT_MS = 1000
export const LAST_RECONNECT_MS = 30_000

/** One sending of a request under the credentials of its link. */
export interface Sending {
  /** What the credentials gave. */
  readonly sent: readonly string[]
  /** Whether it was refused before. */
  readonly repeated: boolean
}

/** A stream that is opened with GET. */
export interface Get {
  /** The request whose broken answer stream it resumes. `undefined`: it is for messages of no request. */
  readonly id: number | undefined
  readonly lastEventId: string | undefined
  /** How often it has been resumed. */
  readonly attempt: number
}

export const UNASKED_STREAM: Get = { id: undefined, lastEventId: undefined, attempt: 0 }

/** The transport that the streams belong to. `id` is that of the request of a stream; without one, it is for others. */
export interface MessageStreams {
  readonly maxMessageBytes: number
  started(id: number | undefined, controller: Dispatcher.DispatchController): void
  ended(id: number | undefined): void
  deliver(text: string, id: number | undefined): void
  waits(id: number | undefined): boolean
  /** A message without an answer has been delivered, or is lost. */
  messageEnded(): void
  heard(controller: Dispatcher.DispatchController): void
  /** Counts the received bytes on the response stream of request `id`. */
  reception(id: number | undefined, flow: Flow, giveUp: (why: DropReason) => void): Reception
  sessionAssigned(session: string): void
  /** Handles an HTTP status without a message. */
  refused(
    id: number | undefined,
    status: number,
    body: string,
    retryAfterMs?: number,
    location?: string,
  ): void
  /** Passes on the headers of a response. */
  responded(headers: Headers): void
  /** The server does not accept the credentials of a message. It is sent once more, if there are others. */
  unauthorized(message: Outgoing, challenge: CredentialChallenge, attempt: Sending): Promise<void>
  /** As `unauthorized`, of a stream. */
  getUnauthorized(get: Get, challenge: CredentialChallenge, attempt: Sending): Promise<void>
  broken(id: number | undefined, sent: boolean, cause: unknown): void
  unreadable(id: number | undefined, what: string, fix?: string): void
  tooLarge(id: number | undefined): void
  /** An event has an id that is too long. The first one is logged. */
  longId(chars: number): void
  stopped(id: number | undefined, why: DropReason): void
  /** Resumes the broken answer stream of request `id` after event `lastEventId`. */
  resume(id: number, lastEventId: string, retryMs: number, attempt: number): void
  /** The stream for unrelated messages has ended. */
  relisten(status: number | undefined, lastEventId: string | undefined, retryMs: number | undefined): void
  listenEstablished(controller: Dispatcher.DispatchController, resumed: boolean): void
}

/** Shared by POST and GET streams: reading JSON or events, and tracking how far the request got. */
export abstract class StreamHandler implements Dispatcher.DispatchHandler {
  protected readonly transport: MessageStreams
  protected readonly id: number | undefined
  protected sent = false
  protected status: number | undefined
  protected lastEventId: string | undefined
  protected retryMs: number | undefined
  protected retryAfterMs: number | undefined
  protected location: string | undefined
  protected challenge: CredentialChallenge | undefined
  /** `undefined` on a link without credentials, and once the response is no refusal. */
  protected attempt: Sending | undefined
  protected overflown = false
  #events: EventParser | undefined
  readonly #body: MessageBody
  #reception: Reception | undefined
  #controller: Dispatcher.DispatchController | undefined

  constructor(transport: MessageStreams, id: number | undefined, attempt: Sending | undefined) {
    this.transport = transport
    this.id = id
    this.attempt = attempt
    this.#body = new MessageBody(transport.maxMessageBytes)
  }

  onRequestStart(controller: Dispatcher.DispatchController): void {
    this.sent = true
    this.#controller = controller
    this.transport.started(this.id, controller)
  }

  onResponseStart(controller: Dispatcher.DispatchController, status: number, headers: Headers): void {
    this.status = status
    if (this.attempt) {
      this.transport.responded(headers)
      this.challenge = challengeOf(status, headers)
    }
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

export class PostHandler extends StreamHandler {
  readonly #method: string | undefined
  /** Kept only as long as the server may still refuse its credentials. */
  #message: Outgoing | undefined

  constructor(transport: MessageStreams, message: Outgoing, attempt: Sending | undefined) {
    super(transport, message.id, attempt)
    this.#method = message.method
    if (attempt) this.#message = message
  }

  override onResponseStart(
    controller: Dispatcher.DispatchController,
    status: number,
    headers: Headers,
  ): void {
    super.onResponseStart(controller, status, headers)
    if (!this.challenge) this.#message = undefined
  }

  protected override onOver(): void {
    super.onOver()
    // Otherwise it ends with what the refusal leads to.
    if (this.id === undefined && !(this.challenge && !this.overflown)) this.transport.messageEnded()
  }

  protected override onSession(session: string): void {
    if (this.#method === 'initialize') this.transport.sessionAssigned(session)
  }

  protected onEnd(stream: boolean, body: string): void {
    const { id, transport } = this
    const status = this.status as number
    if (this.#asksForOthers(body)) return
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

  /** Whether the credentials of the message were refused, which the transport handles. */
  #asksForOthers(body: string): boolean {
    const { challenge, attempt, id } = this
    const message = this.#message
    this.#message = undefined
    if (!challenge || !attempt || !message) return false
    // A server may answer with this status that one request is allowed to no caller.
    const isAnswer = challenge.status === 403 && challenge.wwwAuthenticate === undefined
    if (isAnswer && id !== undefined && carriesAnswer(body, id)) return false
    void this.transport.unauthorized(message, challenge, attempt)
    return true
  }

  protected onBroken(error: Error): void {
    const { id, transport } = this
    if (this.#asksForOthers('')) return
    if (transport.waits(id) && this.lastEventId !== undefined)
      transport.resume(id as number, this.lastEventId, this.retryMs ?? FIRST_RECONNECT_MS, 1)
    // The gateway itself has closed an abandoned stream, so the error is no evidence about the server.
    else if (id === undefined || transport.waits(id)) transport.broken(id, this.sent, error)
  }
}

export class GetHandler extends StreamHandler {
  readonly #get: Get

  constructor(transport: MessageStreams, get: Get, attempt: Sending | undefined) {
    super(transport, get.id, attempt)
    this.#get = get
    this.lastEventId = get.lastEventId
  }

  protected override onStream(controller: Dispatcher.DispatchController): void {
    if (this.id === undefined) this.transport.listenEstablished(controller, this.lastEventId !== undefined)
  }

  protected onEnd(stream: boolean): void {
    if (this.challenge && this.attempt)
      void this.transport.getUnauthorized(this.#get, this.challenge, this.attempt)
    else if (this.id === undefined)
      this.transport.relisten(stream ? undefined : this.status, this.lastEventId, this.retryMs)
    else if (!this.transport.waits(this.id)) return
    else if (stream && this.lastEventId !== undefined)
      this.transport.resume(
        this.id,
        this.lastEventId,
        this.retryMs ?? FIRST_RECONNECT_MS,
        this.#get.attempt + 1,
      )
    else this.transport.broken(this.id, true, new HttpStatusError(this.status as number, ''))
  }

  protected onBroken(): void {
    if (this.id === undefined) this.transport.relisten(undefined, this.lastEventId, this.retryMs)
    else if (this.transport.waits(this.id))
      this.transport.resume(
        this.id,
        this.lastEventId as string,
        this.retryMs ?? FIRST_RECONNECT_MS,
        this.#get.attempt + 1,
      )
  }
}
