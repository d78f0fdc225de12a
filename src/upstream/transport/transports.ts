import type { Endpoint } from '../../config/replica-types.ts'
import type { Logger } from '../../core/logger.ts'
import type { UpstreamCredentials } from '../../core/upstream-credentials.ts'
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

/** Options of every transport. Each uses those it needs. */
export interface TransportOptions {
  /** Configured name, for messages. */
  readonly server: string
  /** Size of the largest message of the server. */
  readonly maxMessageBytes: number
  readonly logger: Logger
  /** The current memory limit of a process with its children. */
  readonly memoryBytes: () => number
  /** Logs the output of a process other than messages. */
  readonly printed: PrintedByOne | undefined
  /** What the requests of a transport with headers present. */
  readonly credentials?: UpstreamCredentials | undefined
}

/** One transport. */
interface Row<E extends Endpoint> {
  readonly traits: TransportTraits
  /** Creates a transport that is not opened yet. */
  readonly create: (options: TransportOptions & { readonly endpoint: E }) => Transport
  /** Another endpoint for a server after an attempt at `endpoint` failed with `error`. */
  readonly fallback?: (endpoint: E, error: unknown) => Endpoint | undefined
}

/** Every transport, by the kind of its endpoint. No other code distinguishes the kinds. */
const TRANSPORTS: { readonly [K in Endpoint['kind']]: Row<Extract<Endpoint, { readonly kind: K }>> } = {
  stdio: { traits: STDIO_TRAITS, create: createStdioTransport },
  http: {
    traits: HTTP_TRAITS,
    create: options => new StreamableHttpTransport(options),
    fallback: sseFallback,
  },
  sse: { traits: SSE_TRAITS, create: options => new SseTransport(options) },
}

/** The traits of a transport to the endpoint, available before the transport. */
export function traitsOf(endpoint: Endpoint): TransportTraits {
  return TRANSPORTS[endpoint.kind].traits
}

/** A transport to the endpoint, not opened yet. */
export function createTransport(endpoint: Endpoint, options: TransportOptions): Transport {
  return rowOf(endpoint).create({ ...options, endpoint })
}

/** Another endpoint for the same server after an attempt at this one failed. */
export function fallbackOf(endpoint: Endpoint, error: unknown): Endpoint | undefined {
  return rowOf(endpoint).fallback?.(endpoint, error)
}

/** The row of a kind takes endpoints of that kind, which the compiler cannot infer. */
function rowOf(endpoint: Endpoint): Row<Endpoint> {
  return TRANSPORTS[endpoint.kind] as Row<Endpoint>
}
