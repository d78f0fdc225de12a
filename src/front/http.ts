import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import type { HttpFrontConfig } from '../config/types.ts'
import { describeError, GatewayError } from '../core/errors.ts'
import type { JsonObject } from '../core/exchange.ts'
import { IdTable } from '../core/id-table.ts'
import type { Logger } from '../core/logger.ts'
import type { Principal } from '../core/principal.ts'
import { failureObject } from '../protocol/failures.ts'
import { elements } from '../protocol/json-text.ts'
import { errorText, kindOf, parseJson, takeApart, type Incoming } from '../protocol/message.ts'
import { DEFAULT_LEGACY, isModernVersion, LEGACY_VERSIONS } from '../protocol/revisions.ts'
import { refuse } from './call.ts'
import { accepts, checkAccept, HostGuard, HttpRefusal, readBody } from './guards.ts'
import { HttpReply, isDue } from './http-reply.ts'
import { HttpSession, keepReplyAlive } from './http-session.ts'
import { acceptModern, claimsModern, listen } from './modern.ts'
import type { Service } from './service.ts'
import { refuseBatches } from './session.ts'
import type { SseFront } from './sse.ts'

export interface HttpFrontOptions {
  readonly service: Service
  readonly config: HttpFrontConfig
  readonly principal: Principal
  readonly logger: Logger
  /** Whether every required server is there, and what to say of it. */
  readonly readiness: () => { ready: boolean; servers: unknown }
}

/** A reply without a sign of life for so long becomes an event stream, which can carry one. */
const STREAM_AFTER_MS = 5000
const SWEEP_MS = 1000
const MAX_BATCH = 100

/**
 * Streamable HTTP, both eras at one URL, deprecated HTTP+SSE beside it. Plain `node:http`: a request is matched here, before anything else.
 * Endpoints: `/mcp`, `/mcp/<server>`, `/sse`, `/messages`, `/healthz`, `/readyz`.
 */
export class HttpFront {
  readonly #options: HttpFrontOptions
  readonly #guard: HostGuard
  readonly #server: Server
  readonly #sessions = new Map<string, HttpSession>()
  /** Replies of modern requests, for their signs of life. */
  readonly #replies = new IdTable<number, HttpReply>()
  #nextReply = 1
  readonly #listeners = new Set<() => void>()
  #sse: SseFront | undefined
  #sweeper: NodeJS.Timeout | undefined
  #closing = false

  constructor(options: HttpFrontOptions) {
    this.#options = options
    this.#guard = new HostGuard(options.config)
    this.#server = createServer({ keepAliveTimeout: 65_000, requestTimeout: 60_000 }, (request, response) => {
      this.#route(request, response).catch((error: unknown) => this.#refuse(request, response, error))
    })
  }

  /** @throws GatewayError `config` when the address cannot be used */
  async listen(): Promise<{ url: string; port: number }> {
    const { host, port } = this.#options.config
    await new Promise<void>((resolve, reject) => {
      this.#server.once('error', (error: NodeJS.ErrnoException) => reject(listenError(error, host, port)))
      this.#server.listen(port, host, resolve)
    })
    this.#server.on('error', error =>
      this.#options.logger.error('The HTTP server failed.', { cause: describeError(error) }),
    )
    this.#sweeper = setInterval(() => this.#sweep(), SWEEP_MS)
    this.#sweeper.unref()
    const address = this.#server.address() as AddressInfo
    const shown = address.family === 'IPv6' ? `[${address.address}]` : address.address
    return { url: `http://${shown}:${address.port}/mcp`, port: address.port }
  }

  /** Open sessions of every kind. */
  get sessions(): number {
    return this.#sessions.size + (this.#sse?.sessions ?? 0)
  }

  /** Ends every stream and session, then stops listening. Idempotent. */
  async close(): Promise<void> {
    if (this.#closing) return
    this.#closing = true
    clearInterval(this.#sweeper)
    for (const end of this.#listeners) end()
    for (const session of this.#sessions.values()) session.close()
    this.#sessions.clear()
    this.#sse?.close()
    if (!this.#server.listening) return
    await new Promise<void>(resolve => {
      this.#server.close(() => resolve())
      this.#server.closeIdleConnections()
      setTimeout(() => this.#server.closeAllConnections(), 1000).unref()
    })
  }

  async #route(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const url = request.url as string
    const query = url.indexOf('?')
    const path = query < 0 ? url : url.slice(0, query)
    if (path === '/healthz') return json(response, 200, { status: 'ok' })
    this.#guard.check(request)
    if (path === '/mcp' || path.startsWith('/mcp/')) {
      const endpoint = path.length <= 5 ? '' : decodeURIComponent(path.slice(5))
      const view = this.#options.service.viewOf(endpoint, this.#options.principal)
      if (view === undefined)
        throw new HttpRefusal(
          404,
          `There is no server ${JSON.stringify(endpoint)} here; the endpoint for all is /mcp.`,
        )
      if (request.headers.origin !== undefined) allowOrigin(request, response)
      if (request.method === 'POST') return await this.#post(request, response, view)
      if (request.method === 'GET') return this.#get(request, response, view)
      if (request.method === 'DELETE') return this.#delete(request, response, view)
      if (request.method === 'OPTIONS') return preflight(response)
      throw new HttpRefusal(405, 'Use POST, GET or DELETE here.', { allow: 'GET, POST, DELETE' })
    }
    if (path === '/sse' || path.startsWith('/sse/') || path === '/messages')
      return await this.#deprecated(request, response, path)
    if (path === '/readyz') {
      const { ready, servers } = this.#options.readiness()
      return json(response, ready ? 200 : 503, { ready, servers })
    }
    throw new HttpRefusal(404, 'There is nothing here; the MCP endpoint is /mcp.')
  }

  async #post(request: IncomingMessage, response: ServerResponse, view: string): Promise<void> {
    checkAccept(request, 'application/json')
    const text = await readBody(request, this.#options.config.maxBodyBytes)
    const value = parseJson(text)
    if (Array.isArray(value)) return this.#batch(request, response, view, text, value)
    const kind = kindOf(value)
    const message = { text, value: value as JsonObject }
    const version = request.headers['mcp-protocol-version']
    const modern = claimsModern(message.value.params)
    const sent = typeof version === 'string' && isModernVersion(version)
    if (kind === 'request' && modern && (sent || message.value.method !== 'initialize'))
      return this.#modern(request, response, view, takeApart(message))
    if (sent) {
      if (kind === 'notification') return accepted(response)
      const id = kind === 'request' ? (takeApart(message).id as string) : 'null'
      const error = new GatewayError(
        'invalid_params',
        'The header names a modern revision, but _meta has no envelope for it.',
      )
      return void refuse(this.#oneOff(response, 400), id, error)
    }
    if (kind === 'request' && message.value.method === 'initialize')
      return this.#initialize(request, response, view, takeApart(message))
    const session = this.#sessionOf(request, view)
    if (kind === 'response') {
      session.session.response(message)
      return accepted(response)
    }
    const incoming = takeApart(message)
    if (kind === 'notification') {
      session.session.notification(incoming)
      return accepted(response)
    }
    session.session.request(
      incoming.id as string,
      incoming,
      session.reply(response, 1, accepts(request, 'text/event-stream'), NO_HEADERS),
    )
  }

  #modern(request: IncomingMessage, response: ServerResponse, view: string, incoming: Incoming): void {
    const { service, principal } = this.#options
    const id = incoming.id as string
    const place = this.#nextReply++
    const reply = new HttpReply({
      response,
      headers: NO_HEADERS,
      streams: accepts(request, 'text/event-stream'),
      log: undefined,
      primes: false,
      answers: 1,
      onDone: () => this.#replies.take(place),
    })
    const modern = { id, incoming, principal, view, headers: request.headers }
    let call
    try {
      call = acceptModern(service, modern, reply)
    } catch (caught) {
      const error = GatewayError.from(caught)
      return void refuse(this.#oneOff(response, error.kind.http), id, error)
    }
    this.#replies.set(place, reply)
    // In this era the end of the response stream is the cancellation.
    response.on('close', () => {
      if (!reply.done) call.cancellation.cancel('the client closed the stream')
    })
    if (incoming.method === 'subscriptions/listen') {
      checkAccept(request, 'text/event-stream')
      const end = listen(service, modern, call, reply)
      this.#listeners.add(end)
      call.cancellation.onCancel(() => this.#listeners.delete(end))
    } else void call.run(service)
  }

  #initialize(request: IncomingMessage, response: ServerResponse, view: string, incoming: Incoming): void {
    const { service, principal, config } = this.#options
    if (this.#sessions.size >= config.maxSessions && !this.#evict())
      throw new HttpRefusal(
        503,
        'Too many sessions are open. Raise "gateway.http.maxSessions", or try again later.',
        { 'retry-after': '10' },
      )
    const session = new HttpSession(service, principal, view, config)
    const reply = session.reply(response, 1, accepts(request, 'text/event-stream'), session.headers)
    session.session.request(incoming.id as string, incoming, reply)
    if (session.session.protocolVersion !== undefined) this.#sessions.set(session.session.id, session)
  }

  /** Before 2025-06-18: several messages in one body. */
  #batch(
    request: IncomingMessage,
    response: ServerResponse,
    view: string,
    text: string,
    values: unknown[],
  ): void {
    if (values.length === 0 || values.length > MAX_BATCH)
      throw new GatewayError('invalid_request', `A batch holds 1 to ${MAX_BATCH} messages.`)
    const session = this.#sessionOf(request, view)
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
    for (const { kind, incoming } of messages)
      if (kind === 'notification' && incoming) session.session.notification(incoming)
    if (requests.length === 0) return accepted(response)
    const reply = session.reply(response, requests.length, accepts(request, 'text/event-stream'), NO_HEADERS)
    for (const { incoming } of requests)
      if (incoming) session.session.request(incoming.id as string, incoming, reply)
  }

  #get(request: IncomingMessage, response: ServerResponse, view: string): void {
    checkAccept(request, 'text/event-stream')
    const session = this.#sessionOf(request, view)
    const last = request.headers['last-event-id']
    if (last === undefined) session.listen(response)
    else if (typeof last !== 'string' || !session.resume(last, response))
      throw new HttpRefusal(
        400,
        'There is no such event in this session; open a stream without Last-Event-ID.',
      )
  }

  #delete(request: IncomingMessage, response: ServerResponse, view: string): void {
    const session = this.#sessionOf(request, view)
    this.#sessions.delete(session.session.id)
    session.close()
    response.writeHead(200, { 'content-length': 0 }).end()
  }

  async #deprecated(request: IncomingMessage, response: ServerResponse, path: string): Promise<void> {
    if (!this.#sse) {
      const { SseFront } = await import('./sse.ts')
      this.#sse ??= new SseFront(
        this.#options.service,
        this.#options.principal,
        this.#options.config,
        this.#options.logger,
      )
    }
    const endpoint = path.startsWith('/sse/') ? decodeURIComponent(path.slice(5)) : ''
    const view = this.#options.service.viewOf(endpoint, this.#options.principal)
    if (view === undefined) throw new HttpRefusal(404, `There is no server ${JSON.stringify(endpoint)} here.`)
    if (path === '/messages') await this.#sse.post(request, response)
    else if (request.method === 'GET') await this.#sse.open(response, view)
    // The first thing a client of both transports does is to POST; this status sends it to the older one.
    else throw new HttpRefusal(405, 'This is the deprecated event stream; use GET.', { allow: 'GET' })
  }

  /** @throws HttpRefusal 400 without a session, 404 for one that is not or no longer known */
  #sessionOf(request: IncomingMessage, view: string): HttpSession {
    const id = request.headers['mcp-session-id']
    if (typeof id !== 'string')
      throw new HttpRefusal(400, 'The header Mcp-Session-Id is missing; send "initialize" first.')
    const session = this.#sessions.get(id)
    if (!session || session.session.view !== view)
      throw new HttpRefusal(404, 'Session not found; send "initialize" again.')
    const version = request.headers['mcp-protocol-version'] ?? DEFAULT_LEGACY
    if (!LEGACY_VERSIONS.includes(version as string))
      throw new HttpRefusal(
        400,
        `Protocol version ${JSON.stringify(version)} is not supported; supported are ${LEGACY_VERSIONS.join(', ')}.`,
      )
    session.lastSeen = Date.now()
    return session
  }

  #oneOff(response: ServerResponse, status: number): HttpReply {
    return new HttpReply({
      response,
      headers: NO_HEADERS,
      streams: false,
      log: undefined,
      primes: false,
      answers: 1,
      status,
      onDone: () => undefined,
    })
  }

  #sweep(): void {
    const now = Date.now()
    const { keepAliveMs, sessionIdleMs } = this.#options.config
    for (const [id, session] of this.#sessions) {
      session.keepAlive(now, STREAM_AFTER_MS, keepAliveMs)
      const idle = !session.busy && isDue(session.lastSeen, now, sessionIdleMs)
      if (idle && !this.#options.service.worksFor(session.session)) {
        this.#sessions.delete(id)
        session.close()
      }
    }
    for (const reply of this.#replies.values()) keepReplyAlive(reply, now, STREAM_AFTER_MS, keepAliveMs)
    this.#sse?.keepAlive(now)
  }

  /** Makes room by closing the session that was idle longest. */
  #evict(): boolean {
    let oldest: HttpSession | undefined
    for (const session of this.#sessions.values())
      if (!session.busy && (!oldest || session.lastSeen < oldest.lastSeen)) oldest = session
    if (!oldest) return false
    this.#sessions.delete(oldest.session.id)
    oldest.close()
    this.#options.logger.warn('The session that was idle longest was closed to make room.', {
      sessions: this.#sessions.size,
    })
    return true
  }

  #refuse(request: IncomingMessage, response: ServerResponse, caught: unknown): void {
    if (response.headersSent || response.destroyed) {
      response.destroy()
      return
    }
    if (caught instanceof HttpRefusal) {
      this.#options.logger.debug('A request was refused.', { status: caught.status, reason: caught.message })
      const code = caught.status === 404 && request.headers['mcp-session-id'] !== undefined ? -32001 : -32000
      json(
        response,
        caught.status,
        { jsonrpc: '2.0', id: null, error: { code, message: caught.message } },
        caught.headers,
      )
      // The rest of a body nobody wants is read and dropped, so that the client gets to see the answer.
      if (caught.status === 413) request.resume()
      return
    }
    const error =
      caught instanceof URIError
        ? new GatewayError('invalid_request', 'The path is not valid.')
        : GatewayError.from(caught)
    if (error.code === 'internal')
      this.#options.logger.error('A request failed.', { cause: describeError(caught) })
    const text = errorText('null', failureObject(error))
    response
      .writeHead(error.kind.http, {
        'content-type': 'application/json',
        'content-length': Buffer.byteLength(text),
      })
      .end(text)
  }
}

const NO_HEADERS: Readonly<Record<string, string>> = {}

function accepted(response: ServerResponse): void {
  response.writeHead(202, { 'content-length': 0 }).end()
}

function json(
  response: ServerResponse,
  status: number,
  value: unknown,
  headers: Readonly<Record<string, string>> = NO_HEADERS,
): void {
  const text = JSON.stringify(value)
  response
    .writeHead(status, {
      ...headers,
      'content-type': 'application/json',
      'content-length': Buffer.byteLength(text),
    })
    .end(text)
}

function allowOrigin(request: IncomingMessage, response: ServerResponse): void {
  response.setHeader('access-control-allow-origin', request.headers.origin as string)
  response.setHeader('vary', 'origin')
  response.setHeader('access-control-expose-headers', 'mcp-session-id, www-authenticate')
}

function preflight(response: ServerResponse): void {
  response.writeHead(204, {
    'access-control-allow-methods': 'GET, POST, DELETE',
    'access-control-allow-headers':
      'content-type, accept, authorization, last-event-id, mcp-session-id, mcp-protocol-version, mcp-method, mcp-name',
    'access-control-max-age': '600',
  })
  response.end()
}

function listenError(error: NodeJS.ErrnoException, host: string, port: number): GatewayError {
  const fixes: Record<string, string> = {
    EADDRINUSE: `Port ${port} on ${host} is in use, maybe by another gateway. Choose another with --port or "gateway.http.port".`,
    EACCES: `Port ${port} needs more rights than this user has. Choose one above 1023 with --port or "gateway.http.port".`,
    EADDRNOTAVAIL: `This machine has no address ${host}. Correct --host or "gateway.http.host".`,
    ENOTFOUND: `The host name ${host} is not known. Correct --host or "gateway.http.host".`,
  }
  return new GatewayError(
    'config',
    fixes[error.code ?? ''] ?? `Cannot listen on ${host}:${port} (${error.code ?? error.message}).`,
    { cause: error },
  )
}
