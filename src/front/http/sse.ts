import type { IncomingMessage, ServerResponse } from 'node:http'
import type { HttpFrontConfig } from '../../config/types.ts'
import { monotonicNow } from '../../core/clock.ts'
import type { JsonObject } from '../../core/exchange.ts'
import { GatewayError } from '../../core/errors.ts'
import { HttpError } from '../../core/http-error.ts'
import type { Logger } from '../../core/logger.ts'
import type { Holding } from '../../core/shares.ts'
import { onOneLine } from '../../protocol/json-text.ts'
import { messageKindOf, parseJson, takeApart } from '../../protocol/message.ts'
import { isOver, type Credential } from '../authenticator.ts'
import type { ServedClient } from '../fronts.ts'
import { MAX_STREAM_BYTES, type Backlogs } from '../backlogs.ts'
import type { Bodies } from './bodies.ts'
import { isDue, openEventStream } from './http-reply.ts'
import { Latest } from '../latest.ts'
import { Outlet } from '../outlet.ts'
import type { Service } from '../service.ts'
import { SessionPool } from './session-pool.ts'
import { Session } from '../session.ts'
import { refuseUnavailable, RETRY_EVENT } from '../shutting-down.ts'

/** Settings shared by the streams of a front. */
export interface SseBounds {
  /** Path to which clients send requests. */
  readonly messagesPath: string
  /** Headers of answers that refuse a request. */
  readonly headers: Readonly<Record<string, string>>
  readonly bodies: Bodies
  readonly backlogs: Backlogs
}

interface SseSession extends Holding {
  readonly session: Session
  readonly response: ServerResponse
  readonly stream: SseStream
  readonly endpoint: string
  /** The latest credential of the client. */
  credential: Credential
  lastSeen: number
  /** Number of unanswered requests. */
  owed: number
  /** Ends the stream once its client has read what was written. */
  end(): void
  close(): void
}

const TOO_MUCH = `more than ${MAX_STREAM_BYTES / 1024 / 1024} MiB of notifications wait on one stream`

/** The single stream of a session. */
class SseStream {
  readonly outlet: Outlet
  readonly #backlogs: Backlogs
  readonly #late = new Latest(text => this.answer(text))
  lastWrite = monotonicNow()

  constructor(outlet: Outlet, backlogs: Backlogs) {
    this.outlet = outlet
    this.#backlogs = backlogs
  }

  /** Answers always wait until they are read. */
  answer(text: string): void {
    this.#late.flush()
    this.lastWrite = monotonicNow()
    this.outlet.event(onOneLine(text))
  }

  notify(text: string, topic?: string): void {
    if (this.outlet.behind && topic !== undefined) {
      this.#late.put(topic, text)
      this.outlet.onCaughtUp = () => this.#late.flush()
    } else if (this.outlet.bytes > MAX_STREAM_BYTES) this.#backlogs.drop(this.outlet, TOO_MUCH)
    else this.answer(text)
  }
}

/**
 * The deprecated HTTP+SSE transport (revision 2024-11-05) for old clients: one stream is one session, requests come by
 * POST to the address in its first event, and every message to the client goes out on the stream. The session id is
 * part of URLs and so proves nothing: a session is bound to the principal that opened it.
 */
export class SseFront {
  readonly #service: Service
  #config: HttpFrontConfig
  readonly #bounds: SseBounds
  readonly #sessions: SessionPool<SseSession>
  #draining = false

  constructor(service: Service, config: HttpFrontConfig, bounds: SseBounds, logger: Logger) {
    this.#service = service
    this.#config = config
    this.#bounds = bounds
    this.#sessions = new SessionPool(config.maxSessions, logger)
  }

  get clients(): readonly ServedClient[] {
    return Array.from(this.#sessions.values(), ({ endpoint, credential, session: { principal } }) => ({
      endpoint,
      principal,
      credential,
    }))
  }

  /**
   * `renewed` returns the access of a caller under the new configuration, or the reason why it may use nothing any
   * more.
   */
  reconfigured(
    config: HttpFrontConfig,
    renewed: (
      endpoint: string,
      credential: Credential,
    ) => { readonly credential: Credential; readonly view: string } | GatewayError,
  ): void {
    this.#config = config
    this.#sessions.max = config.maxSessions
    for (const entry of this.#sessions.values()) {
      const access = renewed(entry.endpoint, entry.credential)
      if (access instanceof GatewayError) {
        entry.session.stop(access)
        this.#sessions.remove(entry)
        entry.close()
      } else {
        entry.credential = access.credential
        entry.session.become(access.credential.principal, access.view)
      }
    }
  }

  get sessions(): number {
    return this.#sessions.size
  }

  open(
    response: ServerResponse,
    { endpoint, view, credential }: { endpoint: string; view: string; credential: Credential },
  ): void {
    const holder = credential.principal.id
    this.#sessions.makeRoom(holder)
    const { backlogs, messagesPath } = this.#bounds
    const stream = new SseStream(new Outlet(response, holder, backlogs), backlogs)
    const session = new Session(this.#service, credential.principal, view, text => stream.notify(text), 'sse')
    const entry: SseSession = {
      session,
      response,
      stream,
      endpoint,
      credential,
      holder,
      // Without its stream the session is over.
      busy: true,
      lastSeen: monotonicNow(),
      owed: 0,
      end: () => {
        stream.outlet.write(RETRY_EVENT)
        stream.outlet.end()
      },
      close: () => {
        session.close()
        entry.end()
      },
    }
    this.#sessions.add(entry)
    const opened = { principal: credential.principal, endpoint, session, since: performance.now() }
    response.on('close', () => {
      this.#service.streams.closed(opened)
      this.#sessions.remove(entry)
      session.close()
    })
    openEventStream(response, {})
    response.write(`event: endpoint\ndata: ${messagesPath}?sessionId=${session.id}\n\n`)
    this.#service.streams.opened(opened)
  }

  /** Endpoint of the session that a request names. `undefined`: there is none. */
  endpointOf(request: IncomingMessage): string | undefined {
    return this.#entryOf(request)?.endpoint
  }

  async post(request: IncomingMessage, response: ServerResponse, credential: Credential): Promise<void> {
    if (request.method !== 'POST') throw new HttpError(405, 'Use POST here.', { allow: 'POST' })
    const entry = this.#entryOf(request)
    if (entry?.session.principal.id !== credential.principal.id)
      throw new HttpError(404, 'Session not found; open the event stream again.')
    entry.lastSeen = monotonicNow()
    if (entry.credential !== credential) this.#continue(entry, credential)
    const { text, letGo } = await this.#bounds.bodies.read(request, credential.principal.id)
    if (this.#entryOf(request) !== entry) {
      letGo?.()
      throw new HttpError(404, 'The session has ended; open the event stream again.')
    }
    if (letGo) response.once('close', letGo)
    const value = parseJson(text)
    const kind = messageKindOf(value)
    const incoming = kind === 'response' ? undefined : takeApart({ text, value: value as JsonObject })
    if (this.#draining && kind === 'request')
      return refuseUnavailable(response, incoming?.id ?? 'null', this.#bounds.headers)
    // The answer goes out on the stream, and later.
    if (letGo && kind === 'request') response.off('close', letGo)
    response.writeHead(202, { 'content-type': 'text/plain' }).end('Accepted')
    if (!incoming) {
      entry.session.response({ text, value: value as JsonObject })
      return
    }
    if (kind === 'notification') entry.session.notification(incoming)
    else {
      entry.owed++
      entry.session.request(incoming.id as string, incoming, {
        notify: (message, topic) => {
          entry.stream.notify(message, topic)
          return true
        },
        status: () => undefined,
        answer: (head, body, tail) => {
          letGo?.()
          entry.stream.answer(head + body.toString() + tail)
          this.#answered(entry)
        },
        drop: () => {
          letGo?.()
          this.#answered(entry)
        },
      })
    }
  }

  /** Takes no new requests. A stream ends with its last pending answer. Idempotent. */
  drain(): void {
    this.#draining = true
    for (const entry of this.#sessions.values()) if (entry.owed === 0) entry.end()
  }

  #answered(entry: SseSession): void {
    entry.owed--
    if (this.#draining && entry.owed === 0) entry.end()
  }

  /** Sends keep-alive comments, and ends streams whose credential has expired without a newer one. */
  sweep(now: number, wall: number): void {
    for (const entry of this.#sessions.values()) {
      if (isOver(entry.credential, wall)) entry.response.end()
      else if (isDue(entry.stream.lastWrite, now, this.#config.keepAliveMs)) {
        entry.stream.lastWrite = now
        if (!entry.stream.outlet.behind) entry.stream.outlet.write(': keepalive\n\n')
      }
    }
  }

  #entryOf(request: IncomingMessage): SseSession | undefined {
    const id = new URL(request.url as string, 'http://localhost').searchParams.get('sessionId')
    return id === null ? undefined : this.#sessions.get(id)
  }

  /** Continues with a newer credential of the client. */
  #continue(entry: SseSession, credential: Credential): void {
    const view = this.#service.viewOf(entry.endpoint, credential.principal)
    if (view === undefined) throw new HttpError(404, 'Session not found; open the event stream again.')
    entry.credential = credential
    entry.session.become(credential.principal, view)
  }

  close(): void {
    this.#sessions.close()
  }
}
