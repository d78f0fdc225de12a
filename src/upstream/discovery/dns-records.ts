import { isIP } from 'node:net'
import type { Endpoint, ReplicaConfig, UrlEndpoint } from '../../config/replica-types.ts'
import type { SrvRecord } from './dns-resolver.ts'

/** An endpoint of any kind with a URL. */
type NamedEndpoint = Extract<Endpoint, UrlEndpoint>

/** The DNS result for a configured replica. */
export type Location =
  | {
      readonly kind: 'addresses'
      /** Preferred family first. */
      readonly addresses: readonly string[]
      /**
       * Whether there were ever several addresses. Separate replicas stay separate, because merging would end sessions
       * needlessly.
       */
      readonly several: boolean
      /** Whether a connection by name would lead to another address. */
      readonly byAddress: boolean
    }
  | { readonly kind: 'services'; readonly targets: readonly Target[] }

/** Target of a service. */
export interface Target extends SrvRecord {
  /** Addresses of its host. Empty: the system resolves it. */
  readonly addresses: readonly string[]
}

/** The replicas for an entry of the configuration. */
export function replicasOf(entry: ReplicaConfig, location: Location | undefined): readonly ReplicaConfig[] {
  if (!location) return [entry]
  return location.kind === 'services' ? ofServices(entry, location.targets) : ofAddresses(entry, location)
}

/**
 * The replicas for the addresses of one family. The other family is an alternative path to the same replicas, tried
 * when the first one fails.
 */
function ofAddresses(
  entry: ReplicaConfig,
  { addresses, several, byAddress }: Extract<Location, { kind: 'addresses' }>,
): readonly ReplicaConfig[] {
  if (!several && !byAddress) return [entry]
  const main = mainOf(addresses)
  const other = addresses.slice(main.length)
  return main.map((address, at) => {
    const second = other.length === 0 ? [] : [other[at % other.length] as string]
    return {
      ...entry,
      name: several ? `${entry.name}/${address}` : entry.name,
      endpoint: { ...(entry.endpoint as NamedEndpoint), addresses: [address, ...second] },
      weight: entry.weight / main.length,
    }
  })
}

/** The addresses of the preferred family. */
export function mainOf(addresses: readonly string[]): readonly string[] {
  const family = isIP(addresses[0] ?? '')
  return addresses.filter(address => isIP(address) === family)
}

function ofServices(entry: ReplicaConfig, targets: readonly Target[]): readonly ReplicaConfig[] {
  const priorities = [...new Set(targets.map(({ priority }) => priority))].sort((a, b) => a - b)
  const endpoint = entry.endpoint as NamedEndpoint
  const replicas = targets.map(({ host, port, priority, weight, addresses }): ReplicaConfig => {
    const url = new URL(endpoint.url)
    url.hostname = host
    url.port = String(port)
    return {
      ...entry,
      name: `${entry.name}/${host}:${port}`,
      endpoint: { ...endpoint, url: url.href, ...(addresses.length > 0 && { addresses }) },
      weight: entry.weight * Math.max(1, weight),
      priority: entry.priority + priorities.indexOf(priority),
    }
  })
  const named = new Map(replicas.map(replica => [replica.name, replica]))
  return [...named.values()].sort((a, b) => (a.name < b.name ? -1 : 1))
}
