import type { Endpoint } from '../../config/replica-types.ts'
import type { Logger } from '../../core/logger.ts'
import { sseFallback } from './http/sse-fallback.ts'
import { StreamableHttpTransport } from './http/streamable-http.ts'
import { HTTP_TRAITS } from './http/traits.ts'
import type { TransportTraits } from './shared/traits.ts'
import type { Transport } from './shared/transport.ts'
import { SseTransport } from './sse/sse.ts'
import { SSE_TRAITS } from './sse/traits.ts'
import type { PrintedByOne } from './stdio/printed.ts'
import { createStdioTransport } from './stdio/stdio.ts'
import { STDIO_TRAITS } from './stdio/traits.ts'

/** What every transport is given. Each takes of it what it needs. */
export interface TransportOptions {
  /** Configured name, for messages. */
  readonly server: string
  /** Of the largest message of the server. */
  readonly maxMessageBytes: number
  readonly logger: Logger
  /** What a process may use with its children. */
  readonly memoryBytes: number
  /** Leads to the log what a process prints beside messages. */
  readonly printed: PrintedByOne | undefined
}

/** One transport. */
interface Row<E extends Endpoint> {
  readonly traits: TransportTraits
  /** Not opened yet. */
  readonly create: (options: TransportOptions & { readonly endpoint: E }) => Transport
  /** Where a server may be found after an attempt at `endpoint` failed with `error`. */
  readonly fallback?: (endpoint: E, error: unknown) => Endpoint | undefined
}

/** Every transport, by the kind of endpoint that it leads to. The only place that knows the kinds. */
const TRANSPORTS: { readonly [K in Endpoint['kind']]: Row<Extract<Endpoint, { readonly kind: K }>> } = {
  stdio: { traits: STDIO_TRAITS, create: createStdioTransport },
  http: {
    traits: HTTP_TRAITS,
    create: options => new StreamableHttpTransport(options),
    fallback: sseFallback,
  },
  sse: { traits: SSE_TRAITS, create: options => new SseTransport(options) },
}

/** What a transport to the endpoint can do, before there is one. */
export function traitsOf(endpoint: Endpoint): TransportTraits {
  return TRANSPORTS[endpoint.kind].traits
}

/** A transport to the endpoint, not opened yet. */
export function createTransport(endpoint: Endpoint, options: TransportOptions): Transport {
  return rowOf(endpoint).create({ ...options, endpoint })
}

/** Another endpoint at which the same server may be found after an attempt at this one failed. */
export function fallbackOf(endpoint: Endpoint, error: unknown): Endpoint | undefined {
  return rowOf(endpoint).fallback?.(endpoint, error)
}

/** The row of an endpoint's kind takes endpoints of that kind, which the compiler cannot follow. */
function rowOf(endpoint: Endpoint): Row<Endpoint> {
  return TRANSPORTS[endpoint.kind] as Row<Endpoint>
}
