import { checkExposure, checkMount, servesThisMachineOnly } from '../auth/exposure.ts'
import type { Config } from '../config/types.ts'
import { describeError } from '../core/errors.ts'
import type { Logger } from '../core/logger.ts'
import { descriptorShares } from '../descriptors.ts'
import type { Fronts } from '../front/fronts.ts'
import type { HttpFront, HttpFrontOptions } from '../front/http/endpoint.ts'
import { checkPrefix, mounted, type RequestHandler } from '../front/http/mount.ts'
import type { Store } from '../state/store.ts'

export interface HttpFrontsOptions extends Pick<HttpFrontOptions, 'service' | 'readiness' | 'onRefused'> {
  readonly config: Config
  readonly store: Store
  readonly logger: Logger
  /** Where fronts are added, which end together. */
  readonly fronts: Fronts
}

/** Where in another program's server the endpoints are. */
export interface HandlerOptions {
  /** Path in front of the gateway's own, as in `/gateway`; default: none. */
  readonly prefix?: string
}

/** What a gateway serves over HTTP: an address of its own, and handlers in servers of other programs. Each has sessions of its own. */
export class HttpFronts {
  readonly #options: HttpFrontsOptions
  readonly #open: HttpFront[] = []

  constructor(options: HttpFrontsOptions) {
    this.#options = options
  }

  /** Legacy sessions that are open. */
  get sessions(): number {
    return this.#open.reduce((sum, { sessions }) => sum + sessions, 0)
  }

  /** @throws GatewayError `config` when the configured address cannot be used, or must not be */
  async listen(): Promise<{ url: string; port: number }> {
    const { config, logger } = this.#options
    checkExposure(config, logger)
    const front = await this.#make(undefined)
    try {
      return await front.listen()
    } catch (error) {
      this.#open.splice(this.#open.indexOf(front), 1)
      this.#options.fronts.delete(front)
      await front.close(0)
      throw error
    }
  }

  /** @throws GatewayError `config` when the prefix is no path, or tokens are accepted and no `publicUrl` is configured */
  handler({ prefix = '' }: HandlerOptions = {}): RequestHandler {
    const { config, logger } = this.#options
    checkPrefix(prefix)
    checkMount(config)
    let front: HttpFront | undefined
    const made = this.#make({ prefix, thisMachineOnly: servesThisMachineOnly(config) })
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

  /** Loaded when first needed: a gateway on stdio starts without it. */
  async #make(mount: HttpFrontOptions['mount']): Promise<HttpFront> {
    const { service, readiness, onRefused, config, store, logger, fronts } = this.#options
    const { clients, gateway } = config
    const { auth, http } = gateway
    const [{ HttpFront }, { Gatekeeper }] = await Promise.all([
      import('../front/http/endpoint.ts'),
      import('../auth/gatekeeper.ts'),
    ])
    // Tokens are issued for the address of an endpoint, with what is in front of its path.
    const publicUrl = http.publicUrl && http.publicUrl + (mount?.prefix ?? '')
    const front = new HttpFront({
      service,
      config: http,
      authenticator: new Gatekeeper({ auth, http: { publicUrl }, clients, store, logger }),
      logger,
      maxConnections: descriptorShares().clients,
      readiness,
      ...(onRefused && { onRefused }),
      ...(mount && { mount }),
    })
    this.#open.push(front)
    fronts.add(front)
    return front
  }
}
