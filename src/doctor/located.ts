import { isIP } from 'node:net'
import { isLoopback } from '../core/loopback.ts'
import { withTimeout } from '../core/timeout.ts'
import { NameResolver } from '../upstream/discovery/dns-resolver.ts'
import { replicasOf } from '../upstream/discovery/dns-records.ts'
import type { DnsConfig } from '../config/replica-types.ts'
import type { ProbedEndpoint } from './targets.ts'

/** Where an endpoint is, or why that is unknown. */
type FoundPlace =
  { readonly targets: readonly ProbedEndpoint[] } | { readonly name: string; readonly why: string }

const TIMEOUT_MS = 5000
/** Targets of one service that are looked at. */
const MOST_TARGETS = 8

/**
 * Looks the name of an endpoint up as a gateway does: at the name servers of the configuration, or else at those of the
 * system. What is asked of it then is asked at the addresses that a gateway uses.
 */
export async function located(target: ProbedEndpoint, dns: DnsConfig): Promise<FoundPlace> {
  const { endpoint, service } = target.replica
  const host = endpoint.url === undefined ? '' : new URL(endpoint.url).hostname.replace(/^\[|\]$/g, '')
  const isFixed = (endpoint.addresses ?? []).length > 0 || isIP(host) > 0
  if (endpoint.url === undefined || (service === undefined && isFixed)) return { targets: [target] }
  // A name of this machine is that of the system.
  const resolver = new NameResolver(isLoopback(host) ? { servers: [] } : dns)
  const name = service === undefined ? host : `${service}.${host}`
  const late = (): never => {
    throw new Error(`the name service did not answer within ${TIMEOUT_MS / 1000} s`)
  }
  try {
    const found =
      service === undefined ? atAddresses(target, resolver, host) : ofService(target, resolver, name)
    return { targets: await withTimeout(found, TIMEOUT_MS, late) }
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException
    return { name, why: code ?? message }
  } finally {
    resolver.close()
  }
}

async function atAddresses(
  target: ProbedEndpoint,
  resolver: NameResolver,
  host: string,
): Promise<readonly ProbedEndpoint[]> {
  const addresses = await resolver.addresses(host)
  // A connection by name leads to the same place, and tries all addresses by itself.
  if (!resolver.own) return [target]
  const endpoint = { ...target.replica.endpoint, addresses } as ProbedEndpoint['replica']['endpoint']
  return [{ ...target, replica: { ...target.replica, endpoint } }]
}

async function ofService(
  target: ProbedEndpoint,
  resolver: NameResolver,
  name: string,
): Promise<readonly ProbedEndpoint[]> {
  const services = (await resolver.services(name)).slice(0, MOST_TARGETS)
  const targets = await Promise.all(
    services.map(async service => ({
      ...service,
      addresses: resolver.own ? await resolver.addresses(service.host) : [],
    })),
  )
  return replicasOf(target.replica, { kind: 'services', targets }).map(replica => ({
    ...target,
    replica,
    label: `${target.server.name}, replica ${replica.name}`,
  }))
}
