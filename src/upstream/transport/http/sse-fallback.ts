import type { Endpoint, HttpEndpoint } from '../../../config/replica-types.ts'
import { GatewayError } from '../../../core/errors.ts'
import { HttpStatusError } from './http-error.ts'

/**
 * Specification 2025-11-25, transports, backwards compatibility: these statuses in answer to a POST may mean the older
 * transport.
 */
const MAY_BE_SSE: ReadonlySet<number> = new Set([400, 404, 405])

/** The endpoint of the older transport at the same URL, if the server may support only that. */
export function sseFallback(endpoint: HttpEndpoint, error: unknown): Endpoint | undefined {
  if (!endpoint.sseFallback || !(error instanceof GatewayError)) return undefined
  const { cause } = error
  if (!(cause instanceof HttpStatusError) || !MAY_BE_SSE.has(cause.status)) return undefined
  const { url, headers, addresses } = endpoint
  return { kind: 'sse', url, headers, ...(addresses && { addresses }) }
}
