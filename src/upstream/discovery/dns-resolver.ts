import { ADDRCONFIG } from 'node:dns'
import { lookup, Resolver } from 'node:dns/promises'
import { isIP } from 'node:net'
import type { DnsConfig } from '../../config/replica-types.ts'

/** One answer of `SRV` (RFC 2782). */
export interface SrvRecord {
  readonly host: string
  readonly port: number
  /** Targets with the lowest priority are used first. */
  readonly priority: number
  /** Share within its priority. */
  readonly weight: number
}

const TIMEOUT_MS = 2000
const TRIES = 3

/** Looks up the names of replicas: with the system's resolver, or with the name servers of the configuration. */
export class NameResolver {
  /** Whether it uses configured name servers, so that a connection by name may lead to another address. */
  readonly own: boolean
  readonly #resolver = new Resolver({ timeout: TIMEOUT_MS, tries: TRIES })

  constructor({ servers }: Pick<DnsConfig, 'servers'>) {
    this.own = servers.length > 0
    if (this.own) this.#resolver.setServers(servers.map(toServer))
  }

  /**
   * At least one address, preferred family first, sorted within each. @throws Error when there is none, or the look-up
   * fails
   */
  async addresses(host: string): Promise<readonly string[]> {
    const found = this.own ? await this.#ask(host) : await lookup(host, { all: true, hints: ADDRCONFIG })
    const preferred = found[0]?.family
    if (preferred === undefined) throw new Error(`${host} has no address.`)
    const of = (wanted: boolean): string[] =>
      found.flatMap(({ address, family }) => ((family === preferred) === wanted ? [address] : [])).sort()
    return [...new Set([...of(true), ...of(false)])]
  }

  /** At least one service, in no order. @throws Error when there is none, or the look-up fails */
  async services(name: string): Promise<readonly SrvRecord[]> {
    const found = await this.#resolver.resolveSrv(name)
    const services = found.map(({ name: host, port, priority, weight }) => ({ host, port, priority, weight }))
    // A single "." means that the service is not available there.
    const there = services.filter(({ host, port }) => host !== '' && host !== '.' && port > 0)
    if (there.length === 0) throw new Error(`${name} has no SRV record.`)
    return there
  }

  close(): void {
    this.#resolver.cancel()
  }

  async #ask(host: string): Promise<{ address: string; family: number }[]> {
    const [v4, v6] = await Promise.allSettled([this.#resolver.resolve4(host), this.#resolver.resolve6(host)])
    if (v4.status === 'rejected' && v6.status === 'rejected') throw v4.reason
    return [v4, v6].flatMap(answer =>
      answer.status === 'fulfilled' ? answer.value.map(address => ({ address, family: isIP(address) })) : [],
    )
  }
}

/** Converts to the form of Node.js, with an IPv6 address in brackets. */
function toServer(server: string): string {
  return isIP(server) === 6 ? `[${server}]` : server
}
