import { monotonicNow } from '../../core/clock.ts'
import { isLoopback } from '../../core/loopback.ts'
import { isIP } from 'node:net'
import { describeError } from '../../core/errors.ts'
import type { Logger } from '../../core/logger.ts'
import type { DnsConfig, ReplicaConfig, UrlEndpoint } from '../../config/replica-types.ts'
import { mainOf, replicasOf, type Location } from './dns-records.ts'
import { NameResolver } from './dns-resolver.ts'

export interface DnsDiscoveryOptions {
  readonly dns: DnsConfig
  /** Whether the server is in use. Only then are its names looked up. */
  readonly inUse: () => boolean
  /** Called with the new replicas. */
  readonly onChange: (replicas: readonly ReplicaConfig[]) => void
  readonly logger: Logger
  /** Default: a resolver with the settings in `dns`. */
  readonly resolver?: Pick<NameResolver, 'own' | 'addresses' | 'services' | 'close'>
}

/** Minimum interval of look-ups. A failed connection causes a look-up, but not many times a second. */
const SOONEST_MS = 1000

/**
 * Creates replicas from the names in the URLs of configured ones: one for each address of a name, one for each target
 * of a service (`SRV`). A name is looked up before the first use of a server, and then every `refreshMs` while the
 * server is in use. A failed look-up changes nothing.
 */
export class DnsDiscovery {
  readonly #options: DnsDiscoveryOptions
  #dns: DnsConfig
  #made: DnsDiscoveryOptions['resolver']
  #entries: readonly ReplicaConfig[]
  /** Results by what was looked up. */
  readonly #found = new Map<string, Location>()
  readonly #failing = new Set<string>()
  /** Whether the results are recent enough to be used without waiting. */
  #fresh: boolean
  #looking: Promise<void> | undefined
  #lookedAt = -Infinity
  #timer: NodeJS.Timeout | undefined
  #closed = false

  constructor(entries: readonly ReplicaConfig[], options: DnsDiscoveryOptions) {
    this.#options = options
    this.#dns = options.dns
    this.#entries = entries
    this.#made = options.resolver
    this.#fresh = !entries.some(hasName)
  }

  /** Resolves when the server can be used. `undefined`: it can be now. Never rejects. */
  get pending(): Promise<void> | undefined {
    return this.#fresh || this.#closed ? undefined : this.#look()
  }

  /** Applies other settings. Names of a server in use are looked up again at once, others before the next use. */
  configure(dns: DnsConfig): void {
    if (JSON.stringify(dns) === JSON.stringify(this.#dns)) return
    this.#dns = dns
    if (!this.#options.resolver) {
      this.#made?.close()
      this.#made = undefined
    }
    if (!this.#closed && this.#entries.some(hasName)) this.#renew()
  }

  #renew(): void {
    if (this.#options.inUse()) void this.#look()
    else this.#fresh = false
  }

  /** Applies the replicas of another configuration. */
  update(entries: readonly ReplicaConfig[]): void {
    this.#entries = entries
    const keys = new Set(entries.map(keyOf))
    for (const key of this.#found.keys()) if (!keys.has(key)) this.#found.delete(key)
    this.#tell()
    const unknown = this.#entries.some(entry => hasName(entry) && !this.#found.has(keyOf(entry)))
    if (unknown) this.#renew()
  }

  /** Looks up again, because a replica could not be connected to and may have another address now. */
  again(): void {
    if (this.#closed || !this.#entries.some(hasName)) return
    if (monotonicNow() - this.#lookedAt >= SOONEST_MS) void this.#look()
  }

  close(): void {
    this.#closed = true
    clearTimeout(this.#timer)
    this.#made?.close()
  }

  /** Created on first use, because most servers need none. */
  get #resolver(): NonNullable<DnsDiscoveryOptions['resolver']> {
    return (this.#made ??= new NameResolver(this.#dns))
  }

  #look(): Promise<void> {
    this.#looking ??= this.#lookUp().finally(() => (this.#looking = undefined))
    return this.#looking
  }

  async #lookUp(): Promise<void> {
    clearTimeout(this.#timer)
    this.#lookedAt = monotonicNow()
    const dns = this.#dns
    const entries = this.#entries.filter(hasName)
    const found = await Promise.all(entries.map(entry => this.#locate(entry)))
    if (this.#closed) return
    entries.forEach((entry, at) => {
      const location = found[at]
      if (location) this.#found.set(keyOf(entry), location)
    })
    const asked = new Set(entries.map(keyOf))
    // The configuration may have changed in the meantime.
    if (dns !== this.#dns || this.#entries.some(entry => hasName(entry) && !asked.has(keyOf(entry))))
      return this.#lookUp()
    this.#fresh = true
    this.#tell()
    this.#wait()
  }

  async #locate(entry: ReplicaConfig): Promise<Location | undefined> {
    const { hostname } = new URL((entry.endpoint as UrlEndpoint).url)
    const name = entry.service === undefined ? hostname : `${entry.service}.${hostname}`
    const dns = this.#dns
    try {
      const location =
        entry.service === undefined
          ? await this.#addressesOf(entry, hostname)
          : await this.#servicesOf(entry, name)
      this.#failing.delete(name)
      return location
    } catch (error) {
      // Cancelled, because other name servers are asked instead.
      if (dns !== this.#dns) return undefined
      // The former result may still be right. Logged once, not twice a minute.
      if (!this.#failing.has(name) && !this.#closed)
        this.#options.logger[this.#levelOf(entry)](
          'A name could not be looked up; what is known of it is kept.',
          {
            name,
            cause: describeError(error),
          },
        )
      this.#failing.add(name)
      return undefined
    }
  }

  /** Without any result, the system looks up the same name for the connection, which then fails with this reason. */
  #levelOf(entry: ReplicaConfig): 'warn' | 'debug' {
    const follows = entry.service === undefined && !this.#resolver.own && !this.#found.has(keyOf(entry))
    return follows ? 'debug' : 'warn'
  }

  async #addressesOf(entry: ReplicaConfig, host: string): Promise<Location> {
    const addresses = await this.#resolver.addresses(host)
    const before = this.#found.get(keyOf(entry))
    const several = mainOf(addresses).length > 1 || (before?.kind === 'addresses' && before.several)
    return { kind: 'addresses', addresses, several, byAddress: this.#resolver.own }
  }

  async #servicesOf(entry: ReplicaConfig, name: string): Promise<Location> {
    const services = await this.#resolver.services(name)
    const before = this.#found.get(keyOf(entry))
    const known = (host: string): readonly string[] =>
      (before?.kind === 'services' && before.targets.find(target => target.host === host)?.addresses) || []
    const targets = services.map(async service => ({
      ...service,
      // The system's resolver may lack names of the configured name servers.
      addresses: this.#resolver.own
        ? await this.#resolver.addresses(service.host).catch(() => known(service.host))
        : [],
    }))
    return { kind: 'services', targets: await Promise.all(targets) }
  }

  #tell(): void {
    this.#options.onChange(this.#entries.flatMap(entry => replicasOf(entry, this.#found.get(keyOf(entry)))))
  }

  /** Schedules the next look-up. */
  #wait(): void {
    const { refreshMs } = this.#dns
    clearTimeout(this.#timer)
    if (refreshMs === 0 || this.#closed) return
    this.#timer = setTimeout(() => this.#renew(), refreshMs)
    this.#timer.unref()
  }
}

/** Whether the host of its URL is a name that can be looked up. */
function hasName({ endpoint }: ReplicaConfig): boolean {
  if (endpoint.url === undefined) return false
  const { hostname } = new URL(endpoint.url)
  return !isLoopback(hostname) && isIP(hostname.replace(/^\[|\]$/g, '')) === 0
}

/** Two entries with the same name are looked up separately. */
function keyOf({ name, endpoint, service }: ReplicaConfig): string {
  return endpoint.url === undefined ? '' : JSON.stringify([name, endpoint.url, service])
}
