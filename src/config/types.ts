import type { LogLevel } from '../core/logger.ts'
import type { DnsConfig, FallbackConfig, ReplicaConfig, ResilienceConfig } from './replica-types.ts'

/** A whole configuration, resolved: variables expanded, defaults filled in, units converted. Nothing later says `??`. */
export interface Config {
  /** File it came from, for messages; `undefined` when given as an object. */
  readonly file: string | undefined
  /** In the order of the file. */
  readonly servers: readonly ServerConfig[]
  /** In the order of the file. Without any, HTTP serves whoever reaches it. */
  readonly clients: readonly ClientConfig[]
  readonly roles: readonly RoleConfig[]
  readonly profiles: readonly ProfileConfig[]
  readonly gateway: GatewayConfig
  /** Sentences about what is accepted but should be looked at. */
  readonly warnings: readonly string[]
}

export interface ServerConfig extends ResilienceConfig {
  /** Key in `mcpServers`. */
  readonly name: string
  /** Prefix of exposed names; `false` exposes bare names. */
  readonly prefix: string | false
  /**
   * What is wrong with its entry in the file and how to mend it, safe to show. Such a server has no replicas and the defaults of everything; whatever is
   * asked of it fails with this.
   */
  readonly problem: string | undefined
  /** At least one, unless there is a `problem`. */
  readonly replicas: readonly ReplicaConfig[]
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
  /** Whose calls share a link, and with it whatever the server keeps for a conversation. `auto`: see `upstream/pool/pool.ts`. */
  readonly isolation: 'auto' | 'shared' | 'client' | 'session' | 'call'
  /** Links at once; on stdio each is a process. */
  readonly maxLinks: number
  /** Links for the calls of one client with `isolation: "call"`. */
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
  /** Calls that this process lets the server work on at once. */
  readonly concurrency: number
  /** Calls that may wait for their turn; 0 means none. */
  readonly queue: number
  /** How long one may wait. */
  readonly queueTimeoutMs: number
  /** Units that a call costs, unless its tool says otherwise. */
  readonly cost: number
  /** For all clients together. */
  readonly quota: QuotaConfig
  /** Which results may be kept: of all tools, of those that the server marks as read-only and idempotent, or of those alone that say so. */
  readonly cache: CacheRule | 'hints' | undefined
  /** How, for tools that only their hints speak for. */
  readonly hintsRule: CacheRule
  /** SHA-256 of what makes the server what it is (endpoint, arguments, environment, headers): a changed one invalidates what is remembered. */
  readonly fingerprint: string
}

/** A folder or file that a server may work on, as MCP has it. */
export interface Root {
  /** `file://…` */
  readonly uri: string
  readonly name?: string
}

export interface ToolConfig {
  readonly glob: string
  /** Neither listed nor callable. */
  readonly hidden: boolean
  /** Units that a call costs; `undefined`: as the server says. */
  readonly cost: number | undefined
  /** `undefined`: as the server says; `false`: never. */
  readonly cache: CacheRule | false | undefined
  /** What a call that changes something makes out of date: all the server said, nothing, or what has one of these tags. */
  readonly invalidates: 'server' | 'none' | readonly string[]
  /** Whether calls change nothing; `undefined`: not known. */
  readonly readOnly: boolean | undefined
  /** Whether a call may run twice; `undefined`: as the server says. */
  readonly retry: boolean | undefined
  /** `undefined`: as the server says. */
  readonly fallback: FallbackConfig | undefined
  /** For all clients together. */
  readonly quota: QuotaConfig
}

/** What may be used up. Empty when nothing is limited. */
export interface QuotaConfig {
  /** At most `count` in any span of `periodMs`. */
  readonly rate: { readonly count: number; readonly periodMs: number } | undefined
  readonly concurrency: number | undefined
  readonly budgets: readonly BudgetConfig[]
}

/** `calls`: number; `compute`: milliseconds that servers worked; `cost`: units; `bytes`: size of results. */
export const MEASURES = ['calls', 'compute', 'cost', 'bytes'] as const
export type Measure = (typeof MEASURES)[number]

/** Calendar periods in the gateway's time zone. */
export const PERIODS = ['minute', 'hour', 'day', 'month'] as const
export type Period = (typeof PERIODS)[number]

export interface BudgetConfig {
  readonly measure: Measure
  readonly amount: number
  readonly period: Period
}

/** A named caller. */
export interface ClientConfig {
  readonly name: string
  /** SHA-256 of API keys, 64 lower-case hexadecimal digits. */
  readonly keys: readonly string[]
  /** `sub` of tokens, or `iss`, a space and `sub`. */
  readonly subjects: readonly string[]
  /** Common names of TLS client certificates. */
  readonly certificates: readonly string[]
  /** Names in the header of a trusted proxy. */
  readonly users: readonly string[]
  readonly roles: readonly string[]
  readonly rules: readonly RuleConfig[]
  /** What becomes of things that no rule is about. */
  readonly default: 'allow' | 'deny'
  /** Nothing is denied by policy, only logged. */
  readonly shadow: boolean
  readonly quota: QuotaConfig
  readonly limits: readonly LimitConfig[]
  readonly weight: number
}

export interface RoleConfig {
  readonly name: string
  readonly rules: readonly RuleConfig[]
}

/** One rule of a policy. An `allow` or `deny` list is one rule without a condition. */
export interface RuleConfig {
  /** Where it stands in the file: `clients.ci.deny`, `roles.reader.rules[2]`. */
  readonly location: string
  readonly effect: 'allow' | 'deny'
  /** `server/name` with wildcards, `tool:`, `prompt:` or `resource:` before it; an empty list means everything. */
  readonly match: readonly string[]
  /** CEL, known to compile. */
  readonly when: string | undefined
  /** Only logged when it would deny. */
  readonly shadow: boolean
}

/** A quota for a part of what a client may use. */
export interface LimitConfig {
  readonly match: string
  readonly quota: QuotaConfig
}

/** A named selection of servers and tools with an endpoint of its own. */
export interface ProfileConfig {
  readonly name: string
  /** Names of servers, in the order of the file's servers. */
  readonly servers: readonly string[]
  /** As `RuleConfig.match`; empty means everything of these servers. */
  readonly match: readonly string[]
}

export interface GatewayConfig {
  readonly http: HttpFrontConfig
  /** `memory`, `lmdb:<absolute path>` or `redis://…`; the last may hold a password. */
  readonly state: string
  readonly log: LogLevel
  readonly catalog: CatalogConfig
  /** Calls under way at once in this process. */
  readonly concurrency: number
  readonly queue: number
  /** Whether calls pass while the state of quotas cannot be reached. */
  readonly fail: 'open' | 'closed'
  /** IANA name. */
  readonly timeZone: string
  readonly auth: AuthConfig
  /** Rules for every client, before its own. */
  readonly rules: readonly RuleConfig[]
  readonly audit: AuditConfig | undefined
  readonly asks: AsksConfig
  readonly listen: ListenConfig
  /** Where this gateway is. */
  readonly zone: string | undefined
  readonly dns: DnsConfig
  /** How long calls of a replica that is taken away may go on. */
  readonly drainTimeoutMs: number
  readonly shutdownTimeoutMs: number
  /** Links of one identified client, over all servers. */
  readonly maxLinksPerClient: number
  readonly cache: CacheConfig
}

export interface AuthConfig {
  readonly jwt: readonly JwtConfig[]
  readonly proxy: ProxyAuthConfig | undefined
  /** Name of the client that callers without credentials are; `undefined`: they are refused as soon as there are clients. */
  readonly anonymous: string | undefined
  /** The operator has said that everyone may come, with every address. */
  readonly allowAnonymous: boolean
}

export interface JwtConfig {
  readonly issuer: string
  /** `undefined`: found through the issuer's metadata. */
  readonly jwks: string | undefined
  /** Empty: the addresses of this gateway's own endpoints. */
  readonly audience: readonly string[]
  readonly algorithms: readonly string[]
  /** Roles by scope. */
  readonly scopes: Readonly<Record<string, readonly string[]>>
  readonly requiredScopes: readonly string[]
  readonly client: string | undefined
  readonly clockToleranceMs: number
}

export interface ProxyAuthConfig {
  /** Lower case. */
  readonly header: string
  /** Addresses or CIDR networks. */
  readonly from: readonly string[]
  readonly client: string | undefined
}

export interface AuditConfig {
  /** Absolute. */
  readonly file: string
  readonly args: 'digest' | 'full'
  readonly maxBytes: number
  readonly maxFiles: number
}

/** Paths are absolute. */
export interface TlsConfig {
  readonly cert: string
  readonly key: string
  readonly ca: string | undefined
  readonly clientCertificates: 'none' | 'request' | 'require'
  /** SHA-256 of the content of these files: another one means that they have been renewed. */
  readonly contentDigest: string
}

export interface HttpFrontConfig {
  readonly host: string
  readonly port: number
  /** Origin under which clients reach the gateway, without a slash at its end; `undefined`: the address it listens on. */
  readonly publicUrl: string | undefined
  readonly tls: TlsConfig | undefined
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

/** What of a server a running gateway takes over. */
export type LiveServer = Pick<ServerConfig, 'name' | 'replicas' | 'problem'>

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
  /** How long modern clients may keep lists of servers that do not say it themselves; 0: not known. */
  readonly ttlMs: number
}

/** How results of a tool are kept. */
export interface CacheRule {
  readonly ttlMs: number
  /** Whom a result may be given to: the client that asked, or everyone. */
  readonly scope: 'client' | 'shared'
  /** Beyond `ttlMs`: served while it is renewed. */
  readonly staleWhileRevalidateMs: number
  /** Beyond `ttlMs`: served when the server fails. */
  readonly staleIfErrorMs: number
  /** Members of the arguments that make no difference. */
  readonly ignoreArgs: readonly string[]
  /** Largest result that is kept. */
  readonly maxBytes: number
  /** Names by which `invalidates` refers to results. */
  readonly tags: readonly string[]
}

/** What is kept altogether. */
export interface CacheConfig {
  /** In memory. */
  readonly maxBytes: number
  /** Of these, for one client. */
  readonly maxBytesPerClient: number
  /** Whether results are also kept in the state store. */
  readonly persist: boolean
  /** There, of all processes that share it. */
  readonly maxStoredBytes: number
  /** Larger ones are compressed there. */
  readonly compressOverBytes: number
}
