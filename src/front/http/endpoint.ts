import type { IncomingMessage, Server, ServerResponse } from 'node:http'
import type { Server as HttpsServer } from 'node:https'
import type { Config, HttpFrontConfig } from '../../config/types.ts'
import { monotonicNow } from '../../core/clock.ts'
import { GatewayError } from '../../core/errors.ts'
import type { JsonObject } from '../../core/exchange.ts'
import { IdTable } from '../../core/id-table.ts'
import { HttpError } from '../../core/http-error.ts'
import type { Logger } from '../../core/logger.ts'
import { RESOURCE_METADATA } from '../../protocol/well-known.ts'
import { elements } from '../../protocol/json-text.ts'
import { kindOf, parseJson, takeApart, type Incoming } from '../../protocol/message.ts'
import { DEFAULT_LEGACY, isModernVersion, LEGACY_VERSIONS } from '../../protocol/revisions.ts'
import { accepted, allowOrigin, json, preflight, publicDocument } from '../responses.ts'
import { isOver, type Authenticator, type Credential } from '../authenticator.ts'
import { Backlogs } from '../backlogs.ts'
import { Bodies, type Body } from './bodies.ts'
import { refuse } from '../call.ts'
import { Connections } from './connections.ts'
import { EventBudget } from './event-budget.ts'
import type { Front, ServedClient } from '../fronts.ts'
import { noLongerServed } from '../no-longer-served.ts'
import { accepts, checkAccept, checkQuery, HostGuard } from './guards.ts'
import { MountGuard, type MountPlace } from './mount.ts'
import { HttpReply, isDue } from './http-reply.ts'
import { HttpSession, keepReplyAlive } from './http-session.ts'
import { acceptModern, claimsModern, listen, type Listening } from '../stateless.ts'
import { pipelined } from './pipelined.ts'
import { admitSession, admitStream, turnDown, turnDownPost, type Unread } from '../admission.ts'
import { nothing } from './no-login.ts'
import { answerReady, type ReadinessAnswer } from './readiness.ts'
import { Refusals } from './error-responses.ts'
import type { Service } from '../service.ts'
import { closeServer, deserted, openServer, type Certificates } from './listener.ts'
import { refuseBatches } from '../session.ts'
import { goesOn, refuseUnavailable } from '../shutting-down.ts'
import { SessionPool } from './session-pool.ts'
import type { SseFront } from './sse.ts'

export interface HttpFrontOptions {
  readonly service: Service
  readonly config: HttpFrontConfig
  readonly authenticator: Authenticator
  /** Called for refused callers: with wrong or missing credentials (401), or credentials without rights (403). */
  readonly onRefused?: (status: number, reason: string, address: string | undefined) => void
  readonly logger: Logger
  /** Maximum number of client connections, where the front itself listens. */
  readonly maxConnections: number
  /** Set where the front is mounted in a server of another program. */
  readonly mount?: MountPlace
  readonly readiness: () => ReadinessAnswer
}

/** The settings that decide which callers may use a front. */
export interface Entrance {
  readonly authenticator: Authenticator
  /** `undefined` without TLS. */
  readonly certificates: Certificates | undefined
  /** As `MountPlace.thisMachineOnly`. */
  readonly thisMachineOnly: boolean
}

/** After this time without output a reply becomes an event stream, which can carry keep-alive comments. */
const STREAM_AFTER_MS = 5000
const SWEEP_MS = 1000
const MAX_BATCH = 100

/** An endpoint as accessible to one caller. */
interface EndpointAccess {
  /** `''`: all servers. */
  readonly endpoint: string
  /** The view that the caller has of it. */
  readonly view: string
  readonly credential: Credential
  /** Epoch of the configuration that decided this. */
  readonly epoch: number
}

/**
 * Streamable HTTP, both eras at one URL, and the deprecated HTTP+SSE. Plain `node:http`: the path of a request is
 * matched here, before anything else. Endpoints: `/mcp`, `/mcp/<server>`, `/sse`, `/messages`, `/healthz`, `/readyz`,
 * and the metadata of RFC 9728.
 */
export class HttpFront implements Front {
  readonly #options: HttpFrontOptions
  #config: HttpFrontConfig
  #authenticator: Authenticator
  /** For a front in a server of another program. */
  #thisMachineOnly: boolean
  #guard: HostGuard
  /** Its origin, once it listens. */
  #origin: string | undefined
  readonly #refusals: Refusals
  #server: Server | undefined
  #connections: Connections | undefined
  readonly #sessions: SessionPool<HttpSession>
  /** Replies to modern requests, for their keep-alive comments. */
  readonly #replies = new IdTable<number, HttpReply>()
  #nextReply = 1
  /** Each listen stream, with the access it was opened with. */
  readonly #streams = new Map<Listening, EndpointAccess>()
  readonly #bodies: Bodies
  readonly #backlogs: Backlogs
  readonly #events = new EventBudget()
  #sse: SseFront | undefined
  readonly #sweeper: NodeJS.Timeout
  /** Headers of every answer to a message. */
  readonly #headers: Record<string, string> = {}
  #draining = false
  #closing = false

  constructor(options: HttpFrontOptions) {
    const { config, mount } = options
    this.#options = options
    this.#config = config
    this.#authenticator = options.authenticator
    this.#thisMachineOnly = mount?.thisMachineOnly ?? false
    this.#guard = mount ? new MountGuard(config, this.#thisMachineOnly) : new HostGuard(config)
    this.#refusals = new Refusals(options)
    this.#bodies = new Bodies(config.maxBodyBytes)
    this.#backlogs = new Backlogs(options.logger)
    this.#sessions = new SessionPool(config.maxSessions, options.logger)
    this.#sweeper = setInterval(() => this.#sweep(), SWEEP_MS)
    this.#sweeper.unref()
    if (mount) options.authenticator.listensAt(undefined)
  }

  /** Answers a request, whatever it is. */
  readonly handle = pipelined((request, response) => {
    // Closes a kept connection, too, so that the next request goes to another gateway.
    if (this.#draining && this.#server) response.shouldKeepAlive = false
    this.#route(request, response).catch((error: unknown) => this.#refusals.answer(request, response, error))
  })

  /** @throws GatewayError `config` when the address cannot be used */
  async listen(): Promise<{ url: string; port: number }> {
    const { logger } = this.#options
    const { server, origin, port } = await openServer(this.#config, this.handle)
    this.#server = server
    this.#connections = new Connections(server, this.#options.maxConnections, logger)
    this.#origin = origin
    this.#authenticator.listensAt(origin)
    return { url: `${origin}/mcp`, port }
  }

  /** Open sessions of every kind. */
  get sessions(): number {
    return this.#sessions.size + (this.#sse?.sessions ?? 0)
  }

  get authenticator(): Authenticator {
    return this.#authenticator
  }

  /** Its mount in another program's server. `undefined`: it listens itself. */
  get mount(): MountPlace | undefined {
    return this.#options.mount
  }

  get clients(): Iterable<ServedClient> {
    return this.#clients()
  }

  *#clients(): Generator<ServedClient> {
    for (const { endpoint, session, credential } of this.#sessions.values())
      yield { endpoint, principal: session.principal, credential }
    for (const { endpoint, credential } of this.#streams.values())
      yield { endpoint, principal: credential.principal, credential }
    if (this.#sse) yield* this.#sse.clients
  }

  /** Sets the authenticator and the certificates for new requests and connections. Called before `reconfigured`. */
  use({ authenticator, certificates, thisMachineOnly }: Entrance): void {
    if (certificates && this.#server && 'setSecureContext' in this.#server)
      (this.#server as HttpsServer).setSecureContext(certificates)
    this.#thisMachineOnly = thisMachineOnly
    if (authenticator === this.#authenticator) return
    const before = this.#authenticator
    this.#authenticator = authenticator
    if (this.#origin !== undefined || this.#options.mount) authenticator.listensAt(this.#origin)
    before.close()
  }

  reconfigured({ gateway: { http } }: Config): void {
    this.#config = http
    this.#guard = this.#options.mount ? new MountGuard(http, this.#thisMachineOnly) : new HostGuard(http)
    this.#bodies.resize(http.maxBodyBytes)
    this.#sessions.max = http.maxSessions
    for (const session of this.#sessions.values()) {
      const access = this.#renewed(session.endpoint, session.credential)
      if (!(access instanceof GatewayError)) {
        session.continueWith(access.credential, access.view)
        continue
      }
      this.#sessions.remove(session)
      session.session.stop(access)
      session.close()
    }
    for (const [stream, { endpoint, credential }] of this.#streams) {
      const access = this.#renewed(endpoint, credential)
      if (access instanceof GatewayError) {
        stream.fail(access)
        this.#streams.delete(stream)
      } else {
        stream.become(access.credential.principal, access.view)
        this.#streams.set(stream, access)
      }
    }
    this.#sse?.reconfigured(http, (endpoint, credential) => this.#renewed(endpoint, credential))
  }

  /** The access of a caller under the new configuration, or the reason why it may not use anything. */
  #renewed(endpoint: string, credential: Credential): EndpointAccess | GatewayError {
    const { service } = this.#options
    const renewed = this.#authenticator.renewed(credential)
    const view = renewed && service.viewOf(endpoint, renewed.principal)
    if (renewed && view !== undefined) return { endpoint, view, credential: renewed, epoch: service.epoch }
    return noLongerServed(credential.principal, renewed !== undefined, endpoint)
  }

  /**
   * Takes no new requests: they are answered 503, and their connections are closed. Streams that carry no answer end.
   * Accepted requests, and messages that belong to them, are still handled. Idempotent.
   */
  drain(): void {
    if (this.#draining) return
    this.#draining = true
    // The connections of another program's server stay open.
    if (this.#server) this.#headers.connection = 'close'
    for (const stream of this.#streams.keys()) stream.end()
    for (const session of this.#sessions.values()) session.endStream()
    this.#sse?.drain()
  }

  async deserted(ms: number): Promise<void> {
    if (this.#server) await deserted(this.#server, ms)
  }

  /** Ends every stream and session, then stops listening. Clients have `flushMs` to read their answers. Idempotent. */
  async close(flushMs: number): Promise<void> {
    if (this.#closing) return
    this.drain()
    this.#closing = true
    clearInterval(this.#sweeper)
    this.#authenticator.close()
    this.#sessions.close()
    this.#sse?.close()
    if (this.#server) await closeServer(this.#server, flushMs)
  }

  async #route(request: IncomingMessage, response: ServerResponse): Promise<void> {
    if (this.#closing && !this.#server) return refuseUnavailable(response, 'null', this.#headers)
    const url = request.url as string
    const query = url.indexOf('?')
    const path = query < 0 ? url : url.slice(0, query)
    if (path === '/healthz') return json(response, 200, { status: 'ok' })
    if (path.startsWith(RESOURCE_METADATA)) return this.#metadata(request, response, path)
    this.#guard.check(request)
    if (query >= 0) checkQuery(url)
    if (path === '/mcp' || path.startsWith('/mcp/')) {
      // Pages have to be able to read refusals, too.
      if (request.headers.origin !== undefined) allowOrigin(request, response)
      // A preflight carries no credentials.
      if (request.method === 'OPTIONS') return preflight(response)
      const place = await this.#place(request, path.length <= 5 ? '' : decodeURIComponent(path.slice(5)))
      if (request.method === 'POST')
        return await this.#post(request, response, place).catch(this.#turnDown(place))
      if (request.method === 'GET') return await this.#get(request, response, place)
      if (request.method === 'DELETE') return this.#delete(request, response, place)
      throw new HttpError(405, 'Use POST, GET or DELETE here.', { allow: 'GET, POST, DELETE' })
    }
    if (path === '/sse' || path.startsWith('/sse/') || path === '/messages')
      return await this.#deprecated(request, response, path)
    if (path === '/readyz') return await this.#ready(request, response)
    nothing(request, response, path, this.#authenticator.noLogin)
  }

  /** @throws HttpRefusal 404 for an endpoint that the caller does not have, after 401 and 403 for other callers */
  async #place(request: IncomingMessage, endpoint: string): Promise<EndpointAccess> {
    const { epoch } = this.#options.service
    const shown = this.#authenticator.authenticate(request, endpoint)
    const credential = shown instanceof Promise ? await shown : shown
    this.#connections?.admit(request, credential.principal)
    const { service } = this.#options
    const known = service.known(endpoint, credential.principal)
    if (known) await known
    // Identity and access have to be decided by the current configuration.
    if (epoch !== service.epoch) return await this.#place(request, endpoint)
    const view = service.viewOf(endpoint, credential.principal)
    if (view === undefined)
      throw new HttpError(
        404,
        endpoint === ''
          ? 'There is nothing here that you may use.'
          : `There is no server ${JSON.stringify(endpoint)} here; the endpoint for all is /mcp.`,
      )
    return { endpoint, view, credential, epoch }
  }

  /** Not behind the guard, because clients, including web pages, request the metadata before anything else. */
  #metadata(request: IncomingMessage, response: ServerResponse, path: string): void {
    const text = this.#authenticator.resourceMetadata(request, path.slice(RESOURCE_METADATA.length))
    if (text === undefined) return nothing(request, response, path, this.#authenticator.noLogin)
    publicDocument(request, response, text)
  }

  #ready(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const readiness = this.#options.readiness()
    const ready = readiness.ready && !this.#draining
    const { service } = this.#options
    const authenticator = this.#authenticator
    return answerReady(request, response, { ...readiness, ready }, { service, authenticator })
  }

  async #post(request: IncomingMessage, response: ServerResponse, access: EndpointAccess): Promise<void> {
    checkAccept(request, 'application/json')
    const { text, letGo } = await this.#bodies.read(request, access.credential.principal.id)
    if (letGo) response.once('close', letGo)
    const isCurrent = access.epoch === this.#options.service.epoch
    const place = isCurrent ? access : await this.#place(request, access.endpoint)
    const value = parseJson(text)
    if (Array.isArray(value)) return this.#batch(request, response, place, { text, letGo }, value)
    const kind = kindOf(value)
    const message = { text, value: value as JsonObject }
    const version = request.headers['mcp-protocol-version']
    const modern = claimsModern(message.value.params)
    const sent = typeof version === 'string' && isModernVersion(version)
    if (this.#draining && kind === 'request' && !goesOn(message.value.params))
      return refuseUnavailable(response, takeApart(message).id as string, this.#headers)
    if (kind === 'request' && modern && (sent || message.value.method !== 'initialize'))
      return this.#modern(request, response, place, takeApart(message))
    if (sent) {
      if (kind === 'notification') return accepted(response)
      const id = kind === 'request' ? (takeApart(message).id as string) : 'null'
      const error = new GatewayError(
        'invalid_params',
        'The header names a modern revision, but _meta has no envelope for it.',
      )
      return this.#refuse(response, place, id, {}, error)
    }
    if (kind === 'request' && message.value.method === 'initialize')
      return await this.#initialize(request, response, place, takeApart(message))
    const session = this.#sessionOf(request, place)
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

  #turnDown = (place: EndpointAccess) => (caught: unknown) =>
    turnDownPost(this.#options.service, place, caught)

  /** Answers a request with an id that is refused before it is a call. */
  #refuse(response: ServerResponse, at: EndpointAccess, id: string, read: Unread, error: GatewayError): void {
    const asked = { principal: at.credential.principal, view: at.view }
    turnDown(this.#options.service, asked, read, error, answer =>
      refuse(this.#oneOff(response, answer.kind.http), id, answer),
    )
  }

  #modern(request: IncomingMessage, response: ServerResponse, at: EndpointAccess, incoming: Incoming): void {
    const { service } = this.#options
    const { view, credential } = at
    const id = incoming.id as string
    const place = this.#nextReply++
    const reply = new HttpReply({
      response,
      principal: credential.principal.id,
      backlogs: this.#backlogs,
      headers: this.#headers,
      streams: accepts(request, 'text/event-stream'),
      log: undefined,
      primes: false,
      answers: 1,
      onDone: () => this.#replies.take(place),
    })
    const { principal } = credential
    const modern = { id, incoming, principal, view, headers: request.headers }
    let call
    try {
      call = acceptModern(service, modern, reply)
    } catch (caught) {
      return this.#refuse(response, at, id, { ...incoming, modern: true }, GatewayError.from(caught))
    }
    this.#replies.set(place, reply)
    // In this era the end of the response stream is the cancellation.
    response.on('close', () => {
      if (!reply.done) call.cancellation.cancel('the client closed the stream')
    })
    if (incoming.method === 'subscriptions/listen') {
      checkAccept(request, 'text/event-stream')
      const stream = listen(service, modern, call, reply, () => this.#streams.delete(stream))
      this.#streams.set(stream, at)
      call.cancellation.onCancel(() => this.#streams.delete(stream))
    } else void call.run(service)
  }

  async #initialize(
    request: IncomingMessage,
    response: ServerResponse,
    place: EndpointAccess,
    incoming: Incoming,
  ): Promise<void> {
    const { service } = this.#options
    const config = this.#config
    const refusal = await admitSession(service, place, incoming)
    if (refusal) return void refuse(this.#oneOff(response, 200), incoming.id as string, refusal)
    if (this.#draining) return refuseUnavailable(response, incoming.id as string, this.#headers)
    this.#sessions.makeRoom(place.credential.principal.id)
    const session = new HttpSession(service, place.endpoint, place.view, place.credential, config, {
      backlogs: this.#backlogs,
      events: this.#events,
    })
    const reply = session.reply(response, 1, accepts(request, 'text/event-stream'), session.headers)
    session.session.request(incoming.id as string, incoming, reply)
    if (session.session.protocolVersion !== undefined) this.#sessions.add(session)
  }

  /** Before 2025-06-18: several messages in one body. */
  #batch(
    request: IncomingMessage,
    response: ServerResponse,
    place: EndpointAccess,
    { text, letGo }: Body,
    values: unknown[],
  ): void {
    if (values.length === 0 || values.length > MAX_BATCH)
      throw new GatewayError('invalid_request', `A batch holds 1 to ${MAX_BATCH} messages.`)
    const session = this.#sessionOf(request, place)
    refuseBatches(session.session)
    const spans = elements(text)
    const messages = values.map((value, index) => {
      const span = spans[index] as { start: number; end: number }
      const kind = kindOf(value)
      if (claimsModern((value as JsonObject).params))
        throw new GatewayError('invalid_request', 'Revision 2026-07-28 has no batches.')
      if (kind === 'response')
        session.session.response({ text: text.slice(span.start, span.end), value: value as JsonObject })
      return {
        kind,
        incoming:
          kind === 'response'
            ? undefined
            : takeApart({ text: text.slice(span.start, span.end), value: value as JsonObject }),
      }
    })
    const requests = messages.filter(message => message.kind === 'request')
    if (this.#draining && requests.length > 0) return refuseUnavailable(response, 'null', this.#headers)
    for (const { kind, incoming } of messages)
      if (kind === 'notification' && incoming) session.session.notification(incoming)
    if (requests.length === 0) return accepted(response)
    // The calls go on without their connection.
    if (letGo) response.off('close', letGo)
    const reply = session.reply(
      response,
      requests.length,
      accepts(request, 'text/event-stream'),
      this.#headers,
      letGo,
    )
    for (const { incoming } of requests)
      if (incoming) session.session.request(incoming.id as string, incoming, reply)
  }

  async #get(request: IncomingMessage, response: ServerResponse, place: EndpointAccess): Promise<void> {
    checkAccept(request, 'text/event-stream')
    if (!(await admitStream(this.#options.service, place, response))) return
    const session = this.#sessionOf(request, place)
    const last = request.headers['last-event-id']
    // A stream that still has to carry an answer may be resumed.
    if (this.#draining && (typeof last !== 'string' || !session.awaits(last)))
      return refuseUnavailable(response, 'null', this.#headers)
    if (last === undefined) session.listen(response)
    else if (typeof last !== 'string' || !session.resume(last, response))
      throw new HttpError(400, 'There is no such event in this session; open a stream without Last-Event-ID.')
  }

  #delete(request: IncomingMessage, response: ServerResponse, place: EndpointAccess): void {
    const session = this.#sessionOf(request, place)
    this.#sessions.remove(session)
    session.close()
    response.writeHead(200, { 'content-length': 0 }).end()
  }

  async #deprecated(request: IncomingMessage, response: ServerResponse, path: string): Promise<void> {
    const { service, logger } = this.#options
    const config = this.#config
    const endpoint = path === '/messages' ? this.#sse?.endpointOf(request) : decodeURIComponent(path.slice(5))
    const place = await this.#place(request, endpoint ?? '')
    if (!this.#sse) {
      const { SseFront } = await import('./sse.ts')
      const messagesPath = `${this.#options.mount?.prefix ?? ''}/messages`
      const bounds = { messagesPath, headers: this.#headers, bodies: this.#bodies, backlogs: this.#backlogs }
      this.#sse ??= new SseFront(service, config, bounds, logger)
    }
    const post = path === '/messages'
    // A session whose stream has ended no longer exists.
    if (this.#draining && (!post || endpoint === undefined))
      return refuseUnavailable(response, 'null', this.#headers)
    if (post) await this.#sse.post(request, response, place.credential).catch(this.#turnDown(place))
    else if (request.method === 'GET') {
      if (!(await admitStream(service, place, response))) return
      if (this.#draining) return refuseUnavailable(response, 'null', this.#headers)
      this.#sse.open(response, place)
    }
    // A client of both transports first sends a POST. This status makes it use the older transport.
    else throw new HttpError(405, 'This is the deprecated event stream; use GET.', { allow: 'GET' })
  }

  /** @throws HttpRefusal 400 without a session id, 404 for an id that is unknown, expired, or of another principal */
  #sessionOf(request: IncomingMessage, { endpoint, view, credential }: EndpointAccess): HttpSession {
    const id = request.headers['mcp-session-id']
    if (typeof id !== 'string' && request.headers.accept?.includes('text/html') === true)
      throw new HttpError(
        400,
        'This is an MCP endpoint and no page for a browser: add its address to an MCP client, as a server of type "http".',
      )
    if (typeof id !== 'string')
      throw new HttpError(400, 'The header Mcp-Session-Id is missing; send "initialize" first.')
    const session = this.#sessions.get(id)
    if (!session || session.endpoint !== endpoint || !session.belongsTo(credential))
      throw new HttpError(404, 'Session not found; send "initialize" again.')
    const version = request.headers['mcp-protocol-version'] ?? DEFAULT_LEGACY
    if (!LEGACY_VERSIONS.includes(version as string))
      throw new HttpError(
        400,
        `Protocol version ${JSON.stringify(version)} is not supported; supported are ${LEGACY_VERSIONS.join(', ')}.`,
      )
    session.lastSeen = monotonicNow()
    if (session.credential !== credential) session.continueWith(credential, view)
    return session
  }

  #oneOff(response: ServerResponse, status: number): HttpReply {
    return new HttpReply({
      response,
      principal: '',
      backlogs: this.#backlogs,
      headers: this.#headers,
      streams: false,
      log: undefined,
      primes: false,
      answers: 1,
      status,
      onDone: () => undefined,
    })
  }

  #sweep(): void {
    const now = monotonicNow()
    // Credentials expire by wall-clock time.
    const wall = Date.now()
    const { keepAliveMs, sessionIdleMs } = this.#config
    for (const session of this.#sessions.values()) {
      session.keepAlive(now, STREAM_AFTER_MS, keepAliveMs)
      const over = isOver(session.credential, wall)
      if (over && session.credential.renewable) session.endStream()
      const idle = !session.busy && isDue(session.lastSeen, now, sessionIdleMs)
      if (
        (over && !session.credential.renewable) ||
        (idle && !this.#options.service.worksFor(session.session))
      ) {
        this.#sessions.remove(session)
        session.close()
      }
    }
    for (const reply of this.#replies.values()) keepReplyAlive(reply, now, STREAM_AFTER_MS, keepAliveMs)
    for (const [stream, { credential }] of this.#streams) if (isOver(credential, wall)) stream.end()
    this.#sse?.sweep(now, wall)
    this.#bodies.sweep()
    this.#backlogs.sweep()
  }
}
