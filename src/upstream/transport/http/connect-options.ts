import { isIP, type LookupFunction } from 'node:net'
import type { UrlEndpoint } from '../../../config/replica-types.ts'

const CONNECT_TIMEOUT_MS = 10_000

/** What undici's connectors take. */
export interface HttpConnectOptions {
  readonly timeout: number
  readonly lookup?: LookupFunction
}

/**
 * How an endpoint is connected to: at its own addresses where it has some, in place of what the host of its URL resolves to. TLS and the Host header are those of
 * the URL in any case.
 */
export function httpConnectOptions({ addresses = [] }: UrlEndpoint): HttpConnectOptions {
  const found = addresses.map(address => ({ address, family: isIP(address) }))
  const [first] = found
  if (!first) return { timeout: CONNECT_TIMEOUT_MS }
  return {
    timeout: CONNECT_TIMEOUT_MS,
    lookup: (_host, { all }, callback) => {
      if (all) callback(null, found)
      else callback(null, first.address, first.family)
    },
  }
}
