import type { ServerResponse } from 'node:http'
import { monotonicNow } from '../../core/clock.ts'
import { IdTable } from '../../core/id-table.ts'
import { onOneLine } from '../../protocol/json-text.ts'
import { LATEST_LEGACY } from '../../protocol/revisions.ts'
import type { Credential } from '../authenticator.ts'
import { MAX_STREAM_BYTES, type Backlogs } from '../backlogs.ts'
import type { EventBudget } from './event-budget.ts'
import { SessionEvents, type EventBounds } from './event-store.ts'
import { HttpReply, isDue, openEventStream } from './http-reply.ts'
import { Outlet } from '../outlet.ts'
import type { Service } from '../service.ts'
import { Session } from '../session.ts'
import { RETRY_EVENT } from '../shutting-down.ts'

/** Number of the stream for messages that belong to no request. */
const STANDALONE = 0
/** Settings shared by the sessions of one front. */
export interface SessionBounds {
  readonly backlogs: Backlogs
  readonly budget: EventBudget
  /** What each session may keep for a client that resumes, by the configuration in effect. */
  readonly events: () => EventBounds
}

/** A legacy session over Streamable HTTP: its running replies, its standalone stream, and the events for resuming. */
export class HttpSession {
  readonly session: Session
  readonly #service: Service
  /** Its endpoint; `''`: all servers. */
  readonly endpoint: string
  #credential: Credential
  readonly #events: SessionEvents
  readonly #replies = new IdTable<number, HttpReply>()
  #nextStream = STANDALONE + 1
  #standalone: ServerResponse | undefined
  #outlet: Outlet | undefined
  #standaloneWrite = 0
  readonly #backlogs: Backlogs
  /** When the client last sent something, in milliseconds of `monotonicNow()`. */
  lastSeen = monotonicNow()

  constructor(
    service: Service,
    endpoint: string,
    view: string,
    credential: Credential,
    bounds: SessionBounds,
  ) {
    const { id } = credential.principal
    this.#events = new SessionEvents(bounds.events, id, bounds.budget)
    this.#backlogs = bounds.backlogs
    this.endpoint = endpoint
    this.#service = service
    this.#credential = credential
    this.session = new Session(service, credential.principal, view, text => this.#toStandalone(text), 'http')
  }

  /** The latest credential of the client. */
  get credential(): Credential {
    return this.#credential
  }

  get holder(): string {
    return this.session.principal.id
  }

  belongsTo(credential: Credential): boolean {
    return this.session.principal.id === credential.principal.id
  }

  /** Continues with a newer credential of the client and its rights. */
  continueWith(credential: Credential, view: string): void {
    this.#credential = credential
    this.session.become(credential.principal, view)
  }

  /** Ends the standalone stream. Running requests are still answered. */
  endStream(): void {
    this.#outlet?.write(RETRY_EVENT)
    this.#outlet?.end()
    this.#standalone = undefined
    this.#outlet = undefined
  }

  get headers(): Readonly<Record<string, string>> {
    return { 'mcp-session-id': this.session.id }
  }

  /** Whether the session is in use, and so not idle. */
  get busy(): boolean {
    return this.#standalone !== undefined || this.#replies.size > 0
  }

  /** Creates the reply for `answers` requests that came in one POST. `onDone` is called when all are answered. */
  reply(
    response: ServerResponse,
    answers: number,
    streams: boolean,
    headers: Readonly<Record<string, string>>,
    onDone?: () => void,
  ): HttpReply {
    const stream = this.#nextStream++
    const reply = new HttpReply({
      response,
      principal: this.session.principal.id,
      backlogs: this.#backlogs,
      headers,
      streams,
      log: (text, undelivered) => this.#events.add(stream, text, undelivered),
      primes: (this.session.protocolVersion ?? LATEST_LEGACY) >= LATEST_LEGACY,
      answers,
      onDone: () => {
        onDone?.()
        this.#replies.take(stream)
        this.lastSeen = monotonicNow()
      },
    })
    this.#replies.set(stream, reply)
    // A lost connection is no cancellation in this era: the client may come back for the answer.
    response.on('close', () => {
      if (!reply.done) reply.detach(response)
    })
    return reply
  }

  /** Opens the standalone stream. It replaces an older one, whose connection may be broken unnoticed. */
  listen(response: ServerResponse): void {
    this.#outlet?.end()
    this.#attachStandalone(response)
    for (const text of this.#events.takeWaiting()) this.#toStandalone(text)
  }

  /** Whether the stream of event `id` still has to carry an answer. */
  awaits(id: string): boolean {
    const missed = this.#events.after(id)
    return missed !== undefined && missed.stream !== STANDALONE
  }

  /** Continues the stream of event `id`. `false`: there is no such event. */
  resume(id: string, response: ServerResponse): boolean {
    const missed = this.#events.after(id)
    if (!missed) return false
    const { stream, events } = missed
    const reply = this.#replies.get(stream)
    if (stream === STANDALONE) {
      this.#outlet?.end()
      this.#attachStandalone(response)
    } else openEventStream(response, this.headers)
    const outlet =
      stream === STANDALONE ? this.#outlet : new Outlet(response, this.session.principal.id, this.#backlogs)
    for (const event of events) outlet?.event(event.text, event.id)
    if (stream === STANDALONE) {
      for (const text of this.#events.takeWaiting()) this.#toStandalone(text)
    } else if (reply) {
      reply.attach(response, outlet)
      response.on('close', () => {
        if (!reply.done) reply.detach(response)
      })
    } else outlet?.end()
    return true
  }

  /** Sends keep-alive comments on silent streams. A slow reply becomes a stream so that it can carry them. */
  keepAlive(now: number, streamAfterMs: number, keepAliveMs: number): void {
    for (const reply of this.#replies.values()) keepReplyAlive(reply, now, streamAfterMs, keepAliveMs)
    if (this.#standalone && isDue(this.#standaloneWrite, now, keepAliveMs)) {
      this.#standaloneWrite = now
      if (!this.#outlet?.behind) this.#outlet?.write(': keepalive\n\n')
    }
  }

  close(): void {
    this.session.close()
    this.endStream()
    this.#events.clear()
  }

  #attachStandalone(response: ServerResponse): void {
    openEventStream(response, this.headers)
    this.#standalone = response
    this.#outlet = new Outlet(response, this.session.principal.id, this.#backlogs)
    this.#standaloneWrite = monotonicNow()
    const { endpoint, session } = this
    const stream = { principal: session.principal, endpoint, session, since: performance.now() }
    this.#service.streams.opened(stream)
    response.on('close', () => {
      this.#service.streams.closed(stream)
      this.lastSeen = monotonicNow()
      if (this.#standalone !== response) return
      this.#standalone = undefined
      this.#outlet = undefined
    })
  }

  #toStandalone(text: string): void {
    const line = onOneLine(text)
    const outlet = this.#outlet
    if (!this.#standalone || !outlet) {
      this.#events.wait(line)
      return
    }
    const id = this.#events.add(STANDALONE, line)
    if (outlet.bytes > MAX_STREAM_BYTES) {
      const limit = `${MAX_STREAM_BYTES / 1024 / 1024} MiB`
      this.#backlogs.drop(outlet, `more than ${limit} wait on the stream of its session`)
      return
    }
    this.#standaloneWrite = monotonicNow()
    outlet.event(line, id)
  }
}

export function keepReplyAlive(
  reply: HttpReply,
  now: number,
  streamAfterMs: number,
  keepAliveMs: number,
): void {
  if (!reply.streaming) {
    if (now - reply.startedAt >= streamAfterMs) reply.openStream()
  } else if (isDue(reply.lastWrite, now, keepAliveMs)) reply.keepAlive()
}
