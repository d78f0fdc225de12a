import { isIP } from 'node:net'
import { describeError } from '../core/errors.ts'
import type { Logger } from '../core/logger.ts'
import type { DnsConfig, HttpEndpoint, ReplicaConfig } from '../config/replica-types.ts'
import { NameResolver, type Service } from './resolver.ts'

export interface AddressesOptions {
  readonly dns: DnsConfig
  /** Whether anybody uses the server: names of others are not looked up. */
  readonly inUse: () => boolean
  /** The replicas there are from now on. */
  readonly onChange: (replicas: readonly ReplicaConfig[]) => void
  readonly logger: Logger
  /** Default: as `dns` says. */
  readonly resolver?: Pick<NameResolver, 'own' | 'addresses' | 'services' | 'close'>
}

/** A failed connection is a reason to ask again, but not many times a second. */
const SOONEST_MS = 1000

/**
 * Makes replicas of the names in the URLs of configured ones: of a name with several addresses one for each, of a service (`SRV`) one for each target. Looked up before
 * the first use of a server, and then every `refreshMs` for as long as it is in use. A look-up that fails changes nothing.
 */
export class Addresses {
  readonly #options: AddressesOptions
  #made: AddressesOptions['resolver']
  #entries: readonly ReplicaConfig[]
  /** What each entry was found to be, by the entry. */
  readonly #found = new Map<ReplicaConfig, readonly ReplicaConfig[]>()
  readonly #failing = new Set<string>()
  /** Whether what is known is fresh enough that nobody has to wait. */
  #fresh: boolean
  #looking: Promise<void> | undefined
  #lookedAt = -Infinity
  #timer: NodeJS.Timeout | undefined
  #closed = false

  constructor(entries: readonly ReplicaConfig[], options: AddressesOptions) {
    this.#options = options
    this.#entries = entries
    this.#made = options.resolver
    this.#fresh = !entries.some(hasName)
  }

  /** For whoever is about to use the server: what to wait for, `undefined` when there is nothing. Never rejects. */
  get pending(): Promise<void> | undefined {
    return this.#fresh || this.#closed ? undefined : this.#look()
  }

  /** The configuration has changed. */
  update(entries: readonly ReplicaConfig[]): void {
    const before = this.#entries
    this.#entries = entries.map(entry => before.find(known => same(known, entry)) ?? entry)
    for (const entry of before) if (!this.#entries.includes(entry)) this.#found.delete(entry)
    this.#tell()
    const unknown = this.#entries.some(entry => hasName(entry) && !this.#found.has(entry))
    if (!unknown) return
    if (this.#options.inUse()) void this.#look()
    else this.#fresh = false
  }

  /** A replica could not be connected to: it may be elsewhere by now. */
  again(): void {
    if (this.#closed || !this.#entries.some(hasName)) return
    if (performance.now() - this.#lookedAt >= SOONEST_MS) void this.#look()
  }

  close(): void {
    this.#closed = true
    clearTimeout(this.#timer)
    this.#made?.close()
  }

  /** Most servers need none. */
  get #resolver(): NonNullable<AddressesOptions['resolver']> {
    return (this.#made ??= new NameResolver(this.#options.dns))
  }

  #look(): Promise<void> {
    this.#looking ??= this.#lookUp().finally(() => (this.#looking = undefined))
    return this.#looking
  }

  async #lookUp(): Promise<void> {
    clearTimeout(this.#timer)
    this.#lookedAt = performance.now()
    const entries = this.#entries.filter(hasName)
    const found = await Promise.all(entries.map(entry => this.#lookUpOne(entry)))
    if (this.#closed) return
    entries.forEach((entry, at) => {
      const replicas = found[at]
      if (replicas && this.#entries.includes(entry)) this.#found.set(entry, replicas)
    })
    this.#fresh = true
    this.#tell()
    this.#wait()
  }

  async #lookUpOne(entry: ReplicaConfig): Promise<readonly ReplicaConfig[] | undefined> {
    const { hostname } = new URL((entry.endpoint as HttpEndpoint).url)
    const name = entry.service === undefined ? hostname : `${entry.service}.${hostname}`
    try {
      const replicas =
        entry.service === undefined
          ? this.#ofAddresses(entry, await this.#resolver.addresses(hostname))
          : await this.#ofServices(entry, await this.#resolver.services(name))
      this.#failing.delete(name)
      return replicas
    } catch (error) {
      // What is known may still be right. Said once, not twice a minute.
      if (!this.#failing.has(name) && !this.#closed)
        this.#options.logger.warn('A name could not be looked up; what is known of it is kept.', {
          name,
          cause: describeError(error),
        })
      this.#failing.add(name)
      return undefined
    }
  }

  /** Of one family: the other one is a second way to the same replicas, tried where the first leads nowhere. */
  #ofAddresses(entry: ReplicaConfig, addresses: readonly string[]): readonly ReplicaConfig[] {
    const family = isIP(addresses[0] as string)
    const main = addresses.filter(address => isIP(address) === family)
    const other = addresses.filter(address => isIP(address) !== family)
    // One that was several is not merged again: that would end conversations for nothing.
    const several = main.length > 1 || (this.#found.get(entry)?.[0] ?? entry).name !== entry.name
    if (!several && !this.#resolver.own) return [entry]
    return main.map((address, at) => {
      const second = other.length === 0 ? [] : [other[at % other.length] as string]
      return {
        ...entry,
        name: several ? `${entry.name}/${address}` : entry.name,
        endpoint: { ...(entry.endpoint as HttpEndpoint), addresses: [address, ...second] },
        weight: entry.weight / main.length,
      }
    })
  }

  async #ofServices(entry: ReplicaConfig, services: readonly Service[]): Promise<readonly ReplicaConfig[]> {
    const priorities = [...new Set(services.map(({ priority }) => priority))].sort((a, b) => a - b)
    const endpoint = entry.endpoint as HttpEndpoint
    const replicas = services.map(async ({ host, port, priority, weight }): Promise<ReplicaConfig> => {
      const url = new URL(endpoint.url)
      url.hostname = host
      url.port = String(port)
      // The system may not know what only these name servers do.
      const addresses = this.#resolver.own
        ? await this.#resolver.addresses(host).catch(() => undefined)
        : undefined
      return {
        ...entry,
        name: `${entry.name}/${host}:${port}`,
        endpoint: { ...endpoint, url: url.href, ...(addresses && { addresses }) },
        weight: entry.weight * Math.max(1, weight),
        tier: entry.tier + priorities.indexOf(priority),
      }
    })
    const named = new Map((await Promise.all(replicas)).map(replica => [replica.name, replica]))
    return [...named.values()].sort((a, b) => (a.name < b.name ? -1 : 1))
  }

  #tell(): void {
    this.#options.onChange(this.#entries.flatMap(entry => this.#found.get(entry) ?? [entry]))
  }

  /** Until the next look-up. */
  #wait(): void {
    const { refreshMs } = this.#options.dns
    clearTimeout(this.#timer)
    if (refreshMs === 0 || this.#closed) return
    this.#timer = setTimeout(() => {
      if (this.#options.inUse()) void this.#look()
      else this.#fresh = false
    }, refreshMs)
    this.#timer.unref()
  }
}

/** Whether its URL says where it is by a name that can be looked up. */
function hasName({ endpoint }: ReplicaConfig): boolean {
  if (endpoint.kind !== 'http') return false
  const { hostname } = new URL(endpoint.url)
  return hostname !== 'localhost' && isIP(hostname.replace(/^\[|\]$/g, '')) === 0
}

function same(a: ReplicaConfig, b: ReplicaConfig): boolean {
  return JSON.stringify(a) === JSON.stringify(b)
}
