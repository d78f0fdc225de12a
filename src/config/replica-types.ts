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
export interface ReplicaConfig {
  /** Unique within its server. */
  readonly name: string
  readonly endpoint: Endpoint
  /** Share of the calls; 0: none. */
  readonly weight: number
  readonly tier: number
  readonly zone: string | undefined
  /** SRV service of the host of its URL, such as `_mcp._tcp`. */
  readonly service: string | undefined
}

/** What is done about replicas that fail. */
export interface ResilienceConfig {
  /** Whether calls of tools may run twice; a tool may say otherwise. */
  readonly retry: boolean
  /** Repeats of one call. */
  readonly retries: number
  /** Repeats of calls that may have been run, as a fraction of calls. */
  readonly retryBudget: number
  /** Whether what may run twice is tried at a second replica when the first is slow. */
  readonly hedge: boolean
  readonly health: HealthConfig
  readonly fallback: FallbackConfig | undefined
  /** Starts in a row that may fail, or not last. */
  readonly crashes: number
  /** What a command and its children may use. */
  readonly memoryBytes: number
  /** Processes that wait to be needed. */
  readonly spares: number
}

export interface HealthConfig {
  /** What is asked: the protocol's own request, or a tool. */
  readonly check: 'protocol' | { readonly tool: string; readonly args: Readonly<Record<string, unknown>> }
  /** 0: never. */
  readonly everyMs: number
  readonly timeoutMs: number
  /** In a row. */
  readonly failures: number
  /** A fraction. */
  readonly errorRate: number
  /** Times slower than the others. */
  readonly slowBy: number
  /** A fraction. */
  readonly panic: number
  readonly ejectMs: number
  /** 0: at once. */
  readonly slowStartMs: number
}

/** Where a call goes that no replica can take. */
export interface FallbackConfig {
  readonly server: string
  /** The other server's name of the tool; `undefined`: the same. */
  readonly tool: string | undefined
  /** Their argument → ours; empty: the same. */
  readonly args: Readonly<Record<string, string>>
}

/** How names of replicas are resolved. */
export interface DnsConfig {
  /** 0: never again. */
  readonly refreshMs: number
  /** `address` or `address:port`; empty: the system's resolver. */
  readonly servers: readonly string[]
}
