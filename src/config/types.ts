import type { LogLevel } from '../core/logger.ts'

/** A whole configuration, resolved: variables expanded, defaults filled in, units converted. Nothing later says `??`. */
export interface Config {
  /** File it came from, for messages; `undefined` when given as an object. */
  readonly file: string | undefined
  /** In the order of the file. */
  readonly servers: readonly ServerConfig[]
  readonly gateway: GatewayConfig
  /** Sentences about what is accepted but should be looked at. */
  readonly warnings: readonly string[]
}

export interface ServerConfig {
  /** Key in `mcpServers`. */
  readonly name: string
  /** Prefix of exposed names; `false` exposes bare names. */
  readonly prefix: string | false
  readonly endpoint: Endpoint
  /** The gateway is not ready without it. */
  readonly required: boolean
  /** Starting and handshake. */
  readonly startTimeoutMs: number
  /** A call, counted anew from each progress notification; 0 means none. */
  readonly timeoutMs: number
  /** A page of a list. */
  readonly listTimeoutMs: number
  /** A link that served nothing for so long is closed; 0 means never. */
  readonly idleMs: number
  /** Largest single message of the server. */
  readonly maxMessageBytes: number
  /** Whose calls share a link, and with it whatever the server keeps for a conversation. `auto`: see `upstream/pool.ts`. */
  readonly isolation: 'auto' | 'shared' | 'client' | 'session'
  /** Links at once; on stdio each is a process. */
  readonly maxLinks: number
  /** Links for the calls of one client without a session that must not meet. */
  readonly maxExclusiveLinks: number
  /** How long a call waits for one of these. */
  readonly linkWaitMs: number
  /** Questions open at once for one call. */
  readonly maxQuestions: number
  /** What the server is told when it asks for roots; `undefined`: each client's own, as far as it can be asked. */
  readonly roots: readonly Root[] | undefined
  /** URI schemes of resources that the server owns without listing them. */
  readonly uriSchemes: readonly string[]
  /** Per-tool settings, first match wins; keys are globs over the server's own tool names. */
  readonly tools: readonly ToolConfig[]
  /** SHA-256 of what makes the server what it is (endpoint, arguments, environment, headers): a changed one invalidates what is remembered. */
  readonly fingerprint: string
}

/** A folder or file that a server may work on, as MCP has it. */
export interface Root {
  /** `file://…` */
  readonly uri: string
  readonly name?: string
}

export type Endpoint = StdioEndpoint | HttpEndpoint

export interface StdioEndpoint {
  readonly kind: 'stdio'
  readonly command: string
  readonly args: readonly string[]
  /** On top of the few variables that every child inherits. */
  readonly env: Readonly<Record<string, string>>
  /** Absolute. */
  readonly cwd: string
}

export interface HttpEndpoint {
  readonly kind: 'http'
  readonly url: string
  /** Names in lower case. */
  readonly headers: Readonly<Record<string, string>>
  /** `auto`: Streamable HTTP, and deprecated HTTP+SSE where the server knows nothing else. */
  readonly transport: 'auto' | 'streamable' | 'sse'
}

export interface ToolConfig {
  readonly glob: string
  /** Neither listed nor callable. */
  readonly hidden: boolean
}

export interface GatewayConfig {
  readonly http: HttpFrontConfig
  /** `memory` or `lmdb:<absolute path>`. */
  readonly state: string
  readonly log: LogLevel
  readonly catalog: CatalogConfig
  readonly asks: AsksConfig
  readonly listen: ListenConfig
  /** Links of one identified client, over all servers. */
  readonly maxLinksPerClient: number
}

export interface HttpFrontConfig {
  readonly host: string
  readonly port: number
  /** Largest request body. */
  readonly maxBodyBytes: number
  /** Host names accepted in `Host`, besides loopback names and `host` itself. */
  readonly allowedHosts: readonly string[]
  /** Origins accepted in `Origin`, besides loopback ones. */
  readonly allowedOrigins: readonly string[]
  /** Legacy sessions kept at once. */
  readonly maxSessions: number
  /** A legacy session without a request or an open stream for so long is closed. */
  readonly sessionIdleMs: number
  /** Comment lines on silent streams. */
  readonly keepAliveMs: number
  /** Events kept for each session whose stream may break, by number and size. */
  readonly maxEvents: number
  readonly maxEventBytes: number
}

/** What servers may ask of clients. */
export interface AsksConfig {
  /** How long a client may take to answer; also how long a `requestState` is good for. */
  readonly answerTimeoutMs: number
  /** Calls of modern clients that are under way or wait for them, at servers that can ask in the middle. */
  readonly maxParked: number
  /** Questions open at once at one session. */
  readonly maxPerSession: number
  /** Times a modern server may ask in one call. */
  readonly maxRounds: number
}

/** Listen streams of modern clients. */
export interface ListenConfig {
  readonly maxStreams: number
  /** Resources one stream may name. */
  readonly maxResources: number
  /** How long the acknowledgement waits for servers to take the subscriptions. */
  readonly acknowledgeTimeoutMs: number
}

export interface CatalogConfig {
  /** Longest exposed name of a tool or prompt, in characters. */
  readonly maxNameLength: number
  /** Entries in one page of a list. */
  readonly pageSize: number
  /** A remembered list older than this is fetched again in the background. */
  readonly refreshAfterMs: number
  /** How long the first list waits for servers that have never been listed. */
  readonly firstListTimeoutMs: number
}
