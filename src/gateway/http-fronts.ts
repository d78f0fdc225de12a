import { checkExposure, checkMount, servesThisMachineOnly } from '../auth/exposure.ts'
import type { ClientConfig, Config } from '../config/types.ts'
import type { Gatekeeper } from '../auth/gatekeeper.ts'
import type { IssuerKeySets } from '../auth/issuer-key-sets.ts'
import { describeError } from '../core/errors.ts'
import { SILENT, type Logger } from '../core/logger.ts'
import { isLoopback } from '../core/loopback.ts'
import { Turns } from '../core/turns.ts'
import { descriptorShares } from '../descriptors.ts'
import type { Credential } from '../front/authenticator.ts'
import type { Fronts } from '../front/fronts.ts'
import type { TlsCredentials } from '../front/http/listener.ts'
import type { HttpFront, HttpFrontOptions } from '../front/http/endpoint.ts'
import { checkPrefix, mounted, type RequestHandler } from '../front/http/mount.ts'
import type { Store } from '../state/store.ts'
import type { ServerLogins } from './server-logins.ts'

export interface HttpFrontsOptions extends Pick<HttpFrontOptions, 'service' | 'readiness' | 'onRefused'> {
  readonly config: Config
  readonly logins: Pick<ServerLogins, 'pages' | 'callerTokens'>
  /** Called when the credentials of a caller were checked by something that had to be waited for. */
  readonly onChecked: (durationMs: number) => void
  readonly store: Store
  readonly logger: Logger
  /** Where fronts are added, which end together. */
  readonly fronts: Fronts
}

/** What another configuration needs of the fronts, ready to be used. */
export interface PreparedFronts {
  /** As `Authenticator.renewed`, for a caller of any front. */
  renewed(credential: Credential, endpoint: string): Credential | undefined
  use(): void
  /** It is not used. */
  discard(): void
}

/** Where in another program's server the endpoints are. */
export interface HandlerOptions {
  /** Path in front of the gateway's own, as in `/gateway`; default: none. */
  readonly prefix?: string
}

interface LoadedAuth {
  readonly Made: typeof Gatekeeper
  readonly issuerKeys: IssuerKeySets
}

/** What a gateway serves over HTTP: its own address, and handlers in other programs. Each has its own sessions. */
export class HttpFronts {
  readonly #options: HttpFrontsOptions
  #config: Config
  readonly #open: HttpFront[] = []
  /** Whether there is a handler, also one that is still being loaded. */
  #mounted = false
  /** What is opened is opened by one configuration: neither while another is prepared, nor between that and its use. */
  readonly #turns = new Turns()
  /** Known once the first front has been made. */
  #auth: LoadedAuth | undefined

  constructor(options: HttpFrontsOptions) {
    this.#options = options
    this.#config = options.config
    options.logins.callerTokens.want(needsCallerTokens(options.config))
  }

  /**
   * Checks what another configuration says of callers and certificates, and has it ready. Nothing changes before `use`.
   * Nothing is opened until `use` or `discard`.
   * @throws GatewayError `config`
   */
  async prepare(config: Config): Promise<PreparedFronts> {
    const end = await this.#turns.take()
    try {
      return await this.#prepare(config, end)
    } catch (error) {
      end()
      throw error
    }
  }

  async #prepare(config: Config, end: () => void): Promise<PreparedFronts> {
    // Tokens that were recognised already were not kept: they are looked at once more.
    const isSame =
      sameCallers(config, this.#config) && needsCallerTokens(config) === needsCallerTokens(this.#config)
    const listens = this.#open.some(({ mount }) => !mount)
    if (listens) checkExposure(config, SILENT)
    if (this.#mounted) checkMount(config)
    // Servers of other programs have certificates of their own.
    const certificates = listens ? await certificatesOf(config) : undefined
    const made = new Map<HttpFront, Gatekeeper>()
    if (!isSame) for (const front of this.#open) made.set(front, this.#authenticator(config, front))
    return {
      renewed: (credential, endpoint) => {
        // The address that a token is for differs between fronts. The others refuse it.
        for (const front of this.#open) {
          const found = (made.get(front) ?? front.authenticator).renewed(credential, endpoint)
          if (found) return found
        }
        return undefined
      },
      use: () => {
        try {
          this.#config = config
          this.#options.logins.callerTokens.want(needsCallerTokens(config))
          const thisMachineOnly = servesThisMachineOnly(config)
          for (const front of this.#open) {
            const next = isSame ? undefined : (made.get(front) ?? this.#authenticator(config, front))
            next?.succeed(front.authenticator)
            const authenticator = next ?? front.authenticator
            front.use({ authenticator, certificates, thisMachineOnly })
          }
          this.#auth?.issuerKeys.keep(config.gateway.auth.jwt)
        } finally {
          end()
        }
      },
      discard: () => {
        for (const authenticator of made.values()) authenticator.close()
        this.#auth?.issuerKeys.keep(this.#config.gateway.auth.jwt)
        end()
      },
    }
  }

  #authenticator(
    { clients, gateway: { auth, http } }: Config,
    { mount, origin }: Pick<HttpFront, 'mount' | 'origin'>,
  ): Gatekeeper {
    const { logins, store, logger, onChecked } = this.#options
    const { callerTokens } = logins
    // Tokens are issued for the address of an endpoint, with what is in front of its path.
    const publicUrl = http.publicUrl && http.publicUrl + (mount?.prefix ?? '')
    const { Made, issuerKeys } = this.#auth as LoadedAuth
    return new Made({
      auth,
      http: { publicUrl },
      origin,
      clients,
      issuerKeys,
      callerTokens,
      store,
      logger,
      onChecked,
    })
  }

  /** Legacy sessions that are open. */
  get sessions(): number {
    return this.#open.reduce((sum, { sessions }) => sum + sessions, 0)
  }

  /**
   * Address under which browsers reach the pages of a front, with the path in front of its own; `undefined` where it is
   * not known.
   */
  get pagesAt(): string | undefined {
    const { publicUrl } = this.#config.gateway.http
    for (const { mount, origin } of this.#open) {
      if (publicUrl !== undefined) return publicUrl + (mount?.prefix ?? '')
      if (origin !== undefined && isLoopback(new URL(origin).hostname)) return origin
    }
    return undefined
  }

  /**
   * @throws GatewayError `config` when the configured address cannot be used, or must not be; `shutting_down` when the
   * gateway is closed meanwhile
   */
  async listen(): Promise<{ url: string; port: number }> {
    return await this.#turns.during(async () => {
      checkExposure(this.#config, this.#options.logger)
      const front = await this.#make(undefined)
      try {
        return await front.listen()
      } catch (error) {
        this.#open.splice(this.#open.indexOf(front), 1)
        this.#options.fronts.delete(front)
        await front.close(0)
        throw error
      }
    })
  }

  /** @throws GatewayError `config` for a prefix that is no path, and for tokens without a `publicUrl` */
  handler({ prefix = '' }: HandlerOptions = {}): RequestHandler {
    const { logger } = this.#options
    checkPrefix(prefix)
    checkMount(this.#config)
    this.#mounted = true
    let front: HttpFront | undefined
    const made = this.#turns.during(() => this.#make(prefix))
    made.then(
      ready => (front = ready),
      (error: unknown) => logger.error('The HTTP handler cannot be loaded.', { cause: describeError(error) }),
    )
    return mounted(prefix, (request, response) => {
      if (front) front.handle(request, response)
      else
        made.then(
          ready => ready.handle(request, response),
          () => response.writeHead(500).end(),
        )
    })
  }

  /**
   * A front at `prefix`, or one that listens itself. It is loaded when first needed: a gateway on stdio starts without.
   */
  async #make(prefix: string | undefined): Promise<HttpFront> {
    const { service, readiness, onRefused, logins, logger, fronts } = this.#options
    const [{ HttpFront }, gatekeeper, keySets] = await Promise.all([
      import('../front/http/endpoint.ts'),
      import('../auth/gatekeeper.ts'),
      import('../auth/issuer-key-sets.ts'),
    ])
    this.#auth ??= { Made: gatekeeper.Gatekeeper, issuerKeys: new keySets.IssuerKeySets(logger) }
    const config = this.#config
    const mount =
      prefix === undefined ? undefined : { prefix, thisMachineOnly: servesThisMachineOnly(config) }
    const front = new HttpFront({
      service,
      config: config.gateway.http,
      authenticator: this.#authenticator(config, { mount, origin: undefined }),
      logger,
      maxConnections: descriptorShares().clients,
      readiness,
      pages: logins.pages,
      ...(onRefused && { onRefused }),
      ...(mount && { mount }),
    })
    this.#open.push(front)
    fronts.add(front)
    return front
  }
}

/** The certificates of the HTTP front, read and checked; `undefined` without TLS. @throws GatewayError `config` */
async function certificatesOf({ gateway }: Config): Promise<TlsCredentials | undefined> {
  const { tls } = gateway.http
  if (!tls) return undefined
  // Loaded with the front, and not before.
  const { readCertificates } = await import('../front/http/listener.ts')
  return await readCertificates(tls)
}

/** Whether a server exchanges the token of its caller at an identity provider. */
function needsCallerTokens({ servers }: Config): boolean {
  return servers.some(({ oauth }) => oauth !== false && oauth.idp?.subjectToken === 'caller')
}

/**
 * Whether two configurations recognise the same callers over HTTP. They share the objects of what is equal.
 */
function sameCallers(a: Config, b: Config): boolean {
  const isClient = (client: ClientConfig, other: ClientConfig | undefined): boolean =>
    client === other ||
    (client.name === other?.name &&
      client.keys === other.keys &&
      client.subjects === other.subjects &&
      client.certificates === other.certificates &&
      client.users === other.users)
  return (
    a.gateway.auth === b.gateway.auth &&
    a.gateway.http.publicUrl === b.gateway.http.publicUrl &&
    a.clients.length === b.clients.length &&
    a.clients.every((client, at) => isClient(client, b.clients[at]))
  )
}
