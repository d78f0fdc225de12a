import type { IncomingMessage, ServerResponse } from 'node:http'
import type { HttpFrontConfig } from '../../config/types.ts'
import { monotonicNow } from '../../core/clock.ts'
import { GatewayError } from '../../core/errors.ts'
import type { JsonObject } from '../../core/exchange.ts'
import { HttpError } from '../../core/http-error.ts'
import { IdTable } from '../../core/id-table.ts'
import type { Logger } from '../../core/logger.ts'
import { messageKindOf, parseJson, takeApart, type Incoming } from '../../protocol/message.ts'
import { isModernVersion } from '../../protocol/revisions.ts'
import { admitSession, admitStream, turnDown, turnDownPost, type PartialRequest } from '../admission.ts'
import { isOver, type Credential } from '../authenticator.ts'
import type { Backlogs } from '../backlogs.ts'
import { refuse } from '../call.ts'
import type { ServedClient } from '../fronts.ts'
import { accepted } from '../responses.ts'
import type { Service } from '../service.ts'
import { refuseBatches } from '../session.ts'
import { goesOn, refuseUnavailable } from '../shutting-down.ts'
import { acceptModern, claimsModern, listen, type HeldListenStream } from '../stateless.ts'
import { checkBatch, readBatch } from './batch.ts'
import type { Bodies, Body } from './bodies.ts'
import type { EndpointAccess } from './endpoint-access.ts'
import { EventBudget } from './event-budget.ts'
import { accepts, checkAccept, checkLegacyVersion, sessionId } from './guards.ts'
import { errorReply, HttpReply, isDue } from './http-reply.ts'
import { HttpSession, keepReplyAlive } from './http-session.ts'
import type { ModernRequestInFlight } from './modern-request.ts'
import { SessionPool } from './session-pool.ts'

/** What the handlers of one front share. */
export interface SharedParts {
  readonly bodies: Bodies
  readonly backlogs: Backlogs
  /** Headers of every answer to a message. */
  readonly headers: Readonly<Record<string, string>>
  readonly logger: Logger
}

/** After this time without output a reply becomes an event stream, which can carry keep-alive comments. */
const STREAM_AFTER_MS = 5000

/**
 * Streamable HTTP, both eras at one URL. A POST carries one message of the modern era or of a legacy session, a GET
 * opens the standalone stream of a session, and a DELETE ends a session.
 */
export class StreamableHttpFront {
  readonly #service: Service
  #config: HttpFrontConfig
  readonly #bodies: Bodies
  readonly #backlogs: Backlogs
  readonly #headers: Readonly<Record<string, string>>
  /** Decides the access of a caller by the current configuration. */
  readonly #renew: (request: IncomingMessage, endpoint: string) => Promise<EndpointAccess>
  readonly #sessions: SessionPool<HttpSession>
  /** For keep-alive comments, and for clients that are removed. */
  readonly #replies = new IdTable<number, ModernRequestInFlight>()
  #nextReply = 1
  /** Each listen stream, with the access it was opened with. */
  readonly #streams = new Map<HeldListenStream, EndpointAccess>()
  readonly #events = new EventBudget()
  #draining = false

  constructor(
    service: Service,
    config: HttpFrontConfig,
    { bodies, backlogs, headers, logger }: SharedParts,
    renew: (request: IncomingMessage, endpoint: string) => Promise<EndpointAccess>,
  ) {
    this.#service = service
    this.#config = config
    this.#bodies = bodies
    this.#backlogs = backlogs
    this.#headers = headers
    this.#renew = renew
    this.#sessions = new SessionPool(config.maxSessions, logger)
  }

  /** Number of open sessions. */
  get sessions(): number {
    return this.#sessions.size
  }

  *clients(): Generator<ServedClient> {
    for (const { endpoint, session, credential } of this.#sessions.values())
      yield { endpoint, principal: session.principal, credential }
    for (const { endpoint, credential } of this.#streams.values())
      yield { endpoint, principal: credential.principal, credential }
  }

  /** `renewed` gives the access of a caller under the new configuration, or the error that ends what is open. */
  reconfigured(
    config: HttpFrontConfig,
    renewed: (endpoint: string, credential: Credential) => EndpointAccess | GatewayError,
  ): void {
    this.#config = config
    this.#sessions.max = config.maxSessions
    for (const session of this.#sessions.values()) {
      const access = renewed(session.endpoint, session.credential)
      if (!(access instanceof GatewayError)) {
        session.continueWith(access.credential, access.view)
        continue
      }
      this.#sessions.remove(session)
      session.session.stop(access)
      session.close()
    }
    for (const { call, access } of this.#replies.values()) {
      const now = call && renewed(access.endpoint, access.credential)
      if (now instanceof GatewayError) call?.stop(now, this.#service.serverInfo)
    }
    for (const [stream, { endpoint, credential }] of this.#streams) {
      const access = renewed(endpoint, credential)
      if (access instanceof GatewayError) {
        stream.fail(access)
        this.#streams.delete(stream)
      } else {
        stream.become(access.credential.principal, access.view)
        this.#streams.set(stream, access)
      }
    }
  }

  /** Ends the streams that carry no answer, and takes no new requests. */
  drain(): void {
    this.#draining = true
    for (const stream of this.#streams.keys()) stream.end()
    for (const session of this.#sessions.values()) session.endStream()
  }

  /** Ends every session. */
  close(): void {
    this.#sessions.close()
  }

  /** Answers one request. Rejects with the error that answers it. */
  async handle(request: IncomingMessage, response: ServerResponse, access: EndpointAccess): Promise<void> {
    if (request.method === 'POST')
      return await this.#post(request, response, access).catch((caught: unknown) =>
        turnDownPost(this.#service, access, caught),
      )
    if (request.method === 'GET') return await this.#get(request, response, access)
    if (request.method === 'DELETE') return this.#delete(request, response, access)
    throw new HttpError(405, 'Use POST, GET or DELETE here.', { allow: 'GET, POST, DELETE' })
  }

  /** Keeps replies and streams alive, and ends what is idle or out of date. `now`: monotonic, `wall`: wall clock. */
  sweep(now: number, wall: number): void {
    const { keepAliveMs, sessionIdleMs } = this.#config
    for (const session of this.#sessions.values()) {
      session.keepAlive(now, STREAM_AFTER_MS, keepAliveMs)
      const over = isOver(session.credential, wall)
      if (over && session.credential.renewable) session.endStream()
      const idle = !session.busy && isDue(session.lastSeen, now, sessionIdleMs)
      if ((over && !session.credential.renewable) || (idle && !this.#service.worksFor(session.session))) {
        this.#sessions.remove(session)
        session.close()
      }
    }
    for (const { reply } of this.#replies.values()) keepReplyAlive(reply, now, STREAM_AFTER_MS, keepAliveMs)
    for (const [stream, { credential }] of this.#streams) if (isOver(credential, wall)) stream.end()
  }

  async #post(request: IncomingMessage, response: ServerResponse, access: EndpointAccess): Promise<void> {
    checkAccept(request, 'application/json')
    const { text, letGo } = await this.#bodies.read(request, access.credential.principal.id)
    if (letGo) response.once('close', letGo)
    while (access.epoch !== this.#service.epoch) access = await this.#renew(request, access.endpoint)
    const value = parseJson(text)
    if (Array.isArray(value)) return this.#batch(request, response, access, { text, letGo }, value)
    const kind = messageKindOf(value)
    const message = { text, value: value as JsonObject }
    const version = request.headers['mcp-protocol-version']
    const modern = claimsModern(message.value.params)
    const sent = typeof version === 'string' && isModernVersion(version)
    if (this.#draining && kind === 'request' && !goesOn(message.value.params))
      return refuseUnavailable(response, takeApart(message).id as string, this.#headers)
    if (kind === 'request' && modern && (sent || message.value.method !== 'initialize'))
      return this.#modern(request, response, access, takeApart(message))
    if (sent) {
      if (kind === 'notification') return accepted(response)
      const id = kind === 'request' ? (takeApart(message).id as string) : 'null'
      const error = new GatewayError(
        'invalid_params',
        'The header names a modern revision, but _meta has no envelope for it.',
      )
      return this.#refuse(response, access, id, {}, error)
    }
    if (kind === 'request' && message.value.method === 'initialize')
      return await this.#initialize(request, response, access, takeApart(message))
    const session = this.#sessionOf(request, access)
    if (kind === 'response') {
      session.session.response(message)
      return accepted(response)
    }
    const incoming = takeApart(message)
    if (kind === 'notification') {
      session.session.notification(incoming)
      return accepted(response)
    }
    // The call goes on without its connection.
    if (letGo) response.off('close', letGo)
    session.session.request(
      incoming.id as string,
      incoming,
      session.reply(response, 1, accepts(request, 'text/event-stream'), this.#headers, letGo),
    )
  }

  /** Answers a request with an id that is refused before it is a call. */
  #refuse(
    response: ServerResponse,
    access: EndpointAccess,
    id: string,
    read: PartialRequest,
    error: GatewayError,
  ): void {
    const asked = { principal: access.credential.principal, view: access.view }
    turnDown(this.#service, asked, read, error, answer =>
      refuse(this.#errorReply(response, answer.kind.http), id, answer),
    )
  }

  #errorReply(response: ServerResponse, status: number): HttpReply {
    return errorReply(response, status, this.#backlogs, this.#headers)
  }

  #modern(
    request: IncomingMessage,
    response: ServerResponse,
    access: EndpointAccess,
    incoming: Incoming,
  ): void {
    const service = this.#service
    const { view, credential } = access
    const id = incoming.id as string
    const number = this.#nextReply++
    const reply = new HttpReply({
      response,
      principal: credential.principal.id,
      backlogs: this.#backlogs,
      headers: this.#headers,
      streams: accepts(request, 'text/event-stream'),
      log: undefined,
      primes: false,
      answers: 1,
      onDone: () => this.#replies.take(number),
    })
    const modern = { id, incoming, principal: credential.principal, view, headers: request.headers }
    let call
    try {
      call = acceptModern(service, modern, reply)
    } catch (caught) {
      return this.#refuse(response, access, id, { ...incoming, modern: true }, GatewayError.from(caught))
    }
    const listens = incoming.method === 'subscriptions/listen'
    this.#replies.set(number, { reply, access, call: listens ? undefined : call })
    // In this era the end of the response stream is the cancellation.
    response.on('close', () => {
      if (!reply.done) call.cancellation.cancel('the client closed the stream')
    })
    if (listens) {
      checkAccept(request, 'text/event-stream')
      const stream = listen(service, modern, call, reply, () => this.#streams.delete(stream))
      this.#streams.set(stream, access)
      call.cancellation.onCancel(() => this.#streams.delete(stream))
    } else void call.run(service)
  }

  async #initialize(
    request: IncomingMessage,
    response: ServerResponse,
    access: EndpointAccess,
    incoming: Incoming,
  ): Promise<void> {
    const service = this.#service
    const refusal = await admitSession(service, access, incoming)
    if (refusal) return void refuse(this.#errorReply(response, 200), incoming.id as string, refusal)
    while (access.epoch !== service.epoch) access = await this.#renew(request, access.endpoint)
    if (this.#draining) return refuseUnavailable(response, incoming.id as string, this.#headers)
    this.#sessions.makeRoom(access.credential.principal.id)
    const bounds = { backlogs: this.#backlogs, budget: this.#events, events: () => this.#config }
    const session = new HttpSession(service, access.endpoint, access.view, access.credential, bounds)
    const reply = session.reply(response, 1, accepts(request, 'text/event-stream'), session.headers)
    session.session.request(incoming.id as string, incoming, reply)
    if (session.session.protocolVersion !== undefined) this.#sessions.add(session)
  }

  /** Before 2025-06-18: several messages in one body. */
  #batch(
    request: IncomingMessage,
    response: ServerResponse,
    access: EndpointAccess,
    { text, letGo }: Body,
    values: unknown[],
  ): void {
    checkBatch(values)
    const session = this.#sessionOf(request, access)
    refuseBatches(session.session)
    const messages = readBatch(text, values, session.session)
    const requests = messages.filter(message => message.kind === 'request')
    if (this.#draining && requests.length > 0) return refuseUnavailable(response, 'null', this.#headers)
    for (const { kind, incoming } of messages)
      if (kind === 'notification' && incoming) session.session.notification(incoming)
    if (requests.length === 0) return accepted(response)
    // The calls go on without their connection.
    if (letGo) response.off('close', letGo)
    const streams = accepts(request, 'text/event-stream')
    const reply = session.reply(response, requests.length, streams, this.#headers, letGo)
    for (const { incoming } of requests)
      if (incoming) session.session.request(incoming.id as string, incoming, reply)
  }

  async #get(request: IncomingMessage, response: ServerResponse, access: EndpointAccess): Promise<void> {
    checkAccept(request, 'text/event-stream')
    if (!(await admitStream(this.#service, access, response))) return
    while (access.epoch !== this.#service.epoch) access = await this.#renew(request, access.endpoint)
    if (response.destroyed) return
    const session = this.#sessionOf(request, access)
    const last = request.headers['last-event-id']
    // A stream that still has to carry an answer may be resumed.
    if (this.#draining && (typeof last !== 'string' || !session.awaits(last)))
      return refuseUnavailable(response, 'null', this.#headers)
    if (last === undefined) session.listen(response)
    else if (typeof last !== 'string' || !session.resume(last, response))
      throw new HttpError(400, 'There is no such event in this session; open a stream without Last-Event-ID.')
  }

  #delete(request: IncomingMessage, response: ServerResponse, access: EndpointAccess): void {
    const session = this.#sessionOf(request, access)
    this.#sessions.remove(session)
    session.close()
    response.writeHead(200, { 'content-length': 0 }).end()
  }

  /** @throws HttpError 400 without a session id, 404 for an id that is unknown, expired, or of another principal */
  #sessionOf(request: IncomingMessage, { endpoint, view, credential }: EndpointAccess): HttpSession {
    const id = sessionId(request)
    const session = this.#sessions.get(id)
    if (!session || session.endpoint !== endpoint || !session.belongsTo(credential))
      throw new HttpError(404, 'Session not found; send "initialize" again.')
    checkLegacyVersion(request)
    session.lastSeen = monotonicNow()
    if (session.credential !== credential) session.continueWith(credential, view)
    return session
  }
}
