import { isIP } from 'node:net'
import type { Endpoint, ReplicaConfig, UrlEndpoint } from '../../config/replica-types.ts'
import type { Service } from './dns-resolver.ts'

/** An endpoint of any kind that a URL names. */
type NamedEndpoint = Extract<Endpoint, UrlEndpoint>

/** What DNS says of a configured replica. */
export type Location =
  | {
      readonly kind: 'addresses'
      /** Preferred family first. */
      readonly addresses: readonly string[]
      /** Whether there were several at some time: what was apart stays so, since merging would end conversations for nothing. */
      readonly several: boolean
      /** Whether a connection by name would lead elsewhere. */
      readonly byAddress: boolean
    }
  | { readonly kind: 'services'; readonly targets: readonly Target[] }

/** Where a service is to be had. */
export interface Target extends Service {
  /** Where its host is; empty: the system knows. */
  readonly addresses: readonly string[]
}

/** The replicas that an entry of the configuration stands for. */
export function replicasOf(entry: ReplicaConfig, location: Location | undefined): readonly ReplicaConfig[] {
  if (!location) return [entry]
  return location.kind === 'services' ? ofServices(entry, location.targets) : ofAddresses(entry, location)
}

/** Of one family: the other one is a second way to the same replicas, tried where the first leads nowhere. */
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

/** Those of the family that is preferred. */
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
