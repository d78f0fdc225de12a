import { isIP, type LookupFunction } from 'node:net'
import type { UrlEndpoint } from '../../../config/replica-types.ts'

const CONNECT_TIMEOUT_MS = 10_000

/** Options of undici's connectors. */
export interface HttpConnectOptions {
  readonly timeout: number
  readonly lookup?: LookupFunction
}

/**
 * How to connect to an endpoint: at its own addresses where it has some, in place of the resolved host of its URL. TLS
 * and the Host header are those of the URL in any case.
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
