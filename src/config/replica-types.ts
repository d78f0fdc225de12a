import type { DNS } from './options/gateway.ts'
import type { Resolved } from './options/option.ts'
import type { HEALTH, REPLICA, RESILIENCE } from './options/resilience.ts'

/** Endpoints of servers, and what is done when they fail; resolved, as everything in `types.ts`. */

/** One kind for each transport (`upstream/transport/transports.ts`). */
export type Endpoint = StdioEndpoint | HttpEndpoint | SseEndpoint

export interface StdioEndpoint {
  readonly kind: 'stdio'
  readonly command: string
  readonly args: readonly string[]
  /** On top of the few variables that every child inherits. */
  readonly env: Readonly<Record<string, string>>
  /** Absolute. */
  readonly cwd: string
  /** It has none. */
  readonly url?: undefined
  readonly addresses?: undefined
}

/** An endpoint that a URL names. */
export interface UrlEndpoint {
  readonly url: string
  /** Names in lower case. */
  readonly headers: Readonly<Record<string, string>>
  /** Where to connect to, in this order, in place of what the host of `url` resolves to. */
  readonly addresses?: readonly string[]
}

/** Streamable HTTP. */
export interface HttpEndpoint extends UrlEndpoint {
  readonly kind: 'http'
  /** Whether a server that knows only HTTP+SSE is connected to over that. */
  readonly sseFallback: boolean
}

/** Deprecated HTTP+SSE. */
export interface SseEndpoint extends UrlEndpoint {
  readonly kind: 'sse'
}

/** One endpoint of a server. */
export interface ReplicaConfig extends Resolved<typeof REPLICA> {
  /** Unique within its server. */
  readonly name: string
  readonly endpoint: Endpoint
}

/** What is done about replicas that fail. */
export interface ResilienceConfig extends Resolved<typeof RESILIENCE> {}

export interface HealthConfig extends Resolved<(typeof HEALTH)['options']> {}

/** Where a call goes that no replica can take. */
export interface FallbackConfig {
  readonly server: string
  /** The other server's name of the tool; `undefined`: the same. */
  readonly tool: string | undefined
  /** Their argument → ours; empty: the same. */
  readonly args: Readonly<Record<string, string>>
}

/** How names of replicas are resolved. */
export interface DnsConfig extends Resolved<(typeof DNS)['options']> {}
