import type { IncomingMessage, Server, ServerResponse } from 'node:http'
import type { Server as HttpsServer } from 'node:https'
import type { Config, HttpFrontConfig } from '../../config/types.ts'
import { monotonicNow } from '../../core/clock.ts'
import type { GatewayError } from '../../core/errors.ts'
import { HttpError } from '../../core/http-error.ts'
import type { Logger } from '../../core/logger.ts'
import type { PageSource } from '../../core/page.ts'
import { RESOURCE_METADATA } from '../../protocol/well-known.ts'
import { allowOrigin, json, preflight, publicDocument } from '../responses.ts'
import type { Authenticator, Credential } from '../authenticator.ts'
import { Backlogs } from '../backlogs.ts'
import { Bodies } from './bodies.ts'
import { BrowserPages, PAGES_PATH } from './browser-pages.ts'
import { ClientConnections } from './connections.ts'
import type { EndpointAccess } from './endpoint-access.ts'
import type { Front, ServedClient } from '../fronts.ts'
import { noLongerServed } from '../no-longer-served.ts'
import { checkQuery, HostGuard } from './guards.ts'
import { MountGuard, type MountPlace } from './mount.ts'
import { pipelined } from './pipelined.ts'
import { admitStream, turnDownPost } from '../admission.ts'
import { nothing } from './no-login.ts'
import { answerReady, type ReadinessAnswer } from './readiness.ts'
import { Refusals } from './error-responses.ts'
import type { Service } from '../service.ts'
import {
  closeServer,
  untilDisconnected,
  openServer,
  type HttpListener,
  type TlsCredentials,
} from './listener.ts'
import { notOpened, refuseUnavailable } from '../shutting-down.ts'
import { StreamableHttpFront } from './streamable-http.ts'
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
  /** Pages for browsers; `undefined`: there are none. */
  readonly pages?: PageSource | undefined
  readonly readiness: () => ReadinessAnswer
}

/** The settings that decide which callers may use a front. */
export interface AccessSettings {
  readonly authenticator: Authenticator
  /** `undefined` without TLS. */
  readonly certificates: TlsCredentials | undefined
  /** As `MountPlace.thisMachineOnly`. */
  readonly thisMachineOnly: boolean
}

const SWEEP_MS = 1000

/**
 * Streamable HTTP, both eras at one URL, and the deprecated HTTP+SSE. Plain `node:http`: the path of a request is
 * matched here, before anything else. Endpoints: `/mcp`, `/mcp/<server>`, `/sse`, `/messages`, `/healthz`, `/readyz`,
 * the metadata of RFC 9728, and pages below `/oauth/`.
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
  #opening: Promise<HttpListener> | undefined
  #connections: ClientConnections | undefined
  /** Of the next connections. */
  #certificates: TlsCredentials | undefined
  readonly #streamable: StreamableHttpFront
  readonly #bodies: Bodies
  readonly #backlogs: Backlogs
  readonly #pages: BrowserPages | undefined
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
    this.#pages = options.pages && new BrowserPages(options.pages)
    const parts = {
      bodies: this.#bodies,
      backlogs: this.#backlogs,
      headers: this.#headers,
      logger: options.logger,
    }
    this.#streamable = new StreamableHttpFront(options.service, config, parts, (request, endpoint) =>
      this.#access(request, endpoint),
    )
    this.#sweeper = setInterval(() => this.#sweep(), SWEEP_MS)
    this.#sweeper.unref()
    if (mount) options.authenticator.listensAt(undefined)
  }

  /** Answers a request, whatever it is. */
  readonly handle = pipelined((request, response) => {
    // Closes a kept connection, too, so that the next request goes to another gateway.
    if (this.#draining && this.#server) response.shouldKeepAlive = false
    this.#route(request, response).catch((error: unknown) =>
      this.#refusals.answer(request, response, error, this.#pages?.refusalOf(request, response)),
    )
  })

  /**
   * @throws GatewayError `config` when the address cannot be used; `shutting_down` when the front takes no requests any
   * more by the time that it would listen
   */
  async listen(): Promise<{ url: string; port: number }> {
    if (this.#draining) throw notOpened()
    const { logger } = this.#options
    this.#opening = openServer(this.#config, this.handle)
    const { server, origin, port, certificates } = await this.#opening
    if (this.#draining) {
      await closeServer(server, 0)
      throw notOpened()
    }
    this.#server = server
    this.#certificates = certificates
    this.#connections = new ClientConnections(server, this.#options.maxConnections, logger)
    this.#origin = origin
    this.#authenticator.listensAt(origin)
    return { url: `${origin}/mcp`, port }
  }

  /** Open sessions of every kind. */
  get sessions(): number {
    return this.#streamable.sessions + (this.#sse?.sessions ?? 0)
  }

  get authenticator(): Authenticator {
    return this.#authenticator
  }

  /** `undefined`: it does not listen, or not yet. */
  get origin(): string | undefined {
    return this.#origin
  }

  /** Its mount in another program's server. `undefined`: it listens itself. */
  get mount(): MountPlace | undefined {
    return this.#options.mount
  }

  get clients(): Iterable<ServedClient> {
    return this.#clients()
  }

  *#clients(): Generator<ServedClient> {
    yield* this.#streamable.clients()
    if (this.#sse) yield* this.#sse.clients
  }

  /** Sets the authenticator and the certificates for new requests and connections. Called before `reconfigured`. */
  use({ authenticator, certificates, thisMachineOnly }: AccessSettings): void {
    if (certificates && this.#server && 'setSecureContext' in this.#server) {
      ;(this.#server as HttpsServer).setSecureContext(certificates)
      if (String(certificates.ca) !== String(this.#certificates?.ca)) this.#connections?.endCertified()
      this.#certificates = certificates
    }
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
    const renewed = (endpoint: string, credential: Credential) => this.#renewed(endpoint, credential)
    this.#streamable.reconfigured(http, renewed)
    this.#sse?.reconfigured(http, renewed)
  }

  /** The access of a caller under the new configuration, or the reason why it may not use anything. */
  #renewed(endpoint: string, credential: Credential): EndpointAccess | GatewayError {
    const { service } = this.#options
    const renewed = this.#authenticator.renewed(credential, endpoint)
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
    this.#streamable.drain()
    this.#sse?.drain()
  }

  async untilDisconnected(ms: number): Promise<void> {
    if (this.#server) await untilDisconnected(this.#server, ms)
  }

  /** Ends every stream and session, then stops listening. Clients have `flushMs` to read their answers. Idempotent. */
  async close(flushMs: number): Promise<void> {
    if (this.#closing) return
    this.drain()
    this.#closing = true
    clearInterval(this.#sweeper)
    this.#authenticator.close()
    this.#streamable.close()
    this.#sse?.close()
    if (this.#server) await closeServer(this.#server, flushMs)
    // Its address is free again when the gateway is closed.
    else await this.#opening?.then(({ server }) => closeServer(server, 0)).catch(() => undefined)
  }

  async #route(request: IncomingMessage, response: ServerResponse): Promise<void> {
    if (this.#closing && !this.#server) return refuseUnavailable(response, 'null', this.#headers)
    const url = request.url as string
    const query = url.indexOf('?')
    const path = query < 0 ? url : url.slice(0, query)
    if (path === '/healthz') return json(response, 200, { status: 'ok' })
    if (path.startsWith(RESOURCE_METADATA)) return this.#metadata(request, response, path)
    if (this.#pages && path.startsWith(PAGES_PATH)) {
      this.#guard.checkPage(request)
      return await this.#pages.answer(request, response, path)
    }
    this.#guard.check(request)
    if (query >= 0) checkQuery(url)
    if (path === '/mcp' || path.startsWith('/mcp/')) {
      // Pages have to be able to read refusals, too.
      if (request.headers.origin !== undefined) allowOrigin(request, response)
      // A preflight carries no credentials.
      if (request.method === 'OPTIONS') return preflight(response)
      const access = await this.#access(request, path.length <= 5 ? '' : decodeURIComponent(path.slice(5)))
      return await this.#streamable.handle(request, response, access)
    }
    if (path === '/sse' || path.startsWith('/sse/') || path === '/messages')
      return await this.#deprecated(request, response, path)
    if (path === '/readyz') return await this.#ready(request, response)
    nothing(request, response, path, this.#authenticator.noLogin)
  }

  /** @throws HttpError 404 for an endpoint that the caller does not have, after 401 and 403 for other callers */
  async #access(request: IncomingMessage, endpoint: string): Promise<EndpointAccess> {
    const { epoch } = this.#options.service
    const shown = this.#authenticator.authenticate(request, endpoint)
    const credential = shown instanceof Promise ? await shown : shown
    this.#connections?.admit(request, credential.principal)
    const { service } = this.#options
    const known = service.known(endpoint, credential.principal)
    if (known) await known
    // Identity and access have to be decided by the current configuration.
    if (epoch !== service.epoch) return await this.#access(request, endpoint)
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

  async #deprecated(request: IncomingMessage, response: ServerResponse, path: string): Promise<void> {
    const { service, logger } = this.#options
    const endpoint = path === '/messages' ? this.#sse?.endpointOf(request) : decodeURIComponent(path.slice(5))
    let access = await this.#access(request, endpoint ?? '')
    if (!this.#sse) {
      const { SseFront } = await import('./sse.ts')
      const messagesPath = `${this.#options.mount?.prefix ?? ''}/messages`
      const bounds = { messagesPath, headers: this.#headers, bodies: this.#bodies, backlogs: this.#backlogs }
      this.#sse ??= new SseFront(service, this.#config, bounds, logger)
    }
    const post = path === '/messages'
    // The session that a request names has the view of the configuration in effect.
    while (access.epoch !== service.epoch) access = await this.#access(request, access.endpoint)
    // A session whose stream has ended no longer exists.
    if (this.#draining && (!post || endpoint === undefined))
      return refuseUnavailable(response, 'null', this.#headers)
    if (post)
      await this.#sse
        .post(request, response, access.credential)
        .catch((caught: unknown) => turnDownPost(service, access, caught))
    else if (request.method === 'GET') {
      if (!(await admitStream(service, access, response))) return
      while (access.epoch !== service.epoch) access = await this.#access(request, access.endpoint)
      if (response.destroyed) return
      if (this.#draining) return refuseUnavailable(response, 'null', this.#headers)
      this.#sse.open(response, access)
    }
    // A client of both transports first sends a POST. This status makes it use the older transport.
    else throw new HttpError(405, 'This is the deprecated event stream; use GET.', { allow: 'GET' })
  }

  #sweep(): void {
    const now = monotonicNow()
    // Credentials expire by wall-clock time.
    const wall = Date.now()
    this.#streamable.sweep(now, wall)
    this.#sse?.sweep(now, wall)
    this.#bodies.sweep()
    this.#backlogs.sweep()
  }
}
