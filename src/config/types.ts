import type { LogLevel } from '../core/logger.ts'
import type { AUTH, JWT, PROXY } from './options/auth.ts'
import type { CACHE_RULE } from './options/cache.ts'
import type { CLIENT } from './options/client.ts'
import type { ASKS, AUDIT, CACHE, CATALOG, GATEWAY, HTTP, LISTEN } from './options/gateway.ts'
import type { Resolved } from './options/option.ts'
import type { SERVER, TOOL } from './options/server.ts'
import type { ReplicaConfig } from './replica-types.ts'

/**
 * A whole configuration, resolved: variables expanded, defaults filled in, units converted. Nothing later says `??`. What an option is about, its default and
 * its bounds are said by its descriptor in `options/`.
 */
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

export interface ServerConfig extends Resolved<(typeof SERVER)['options']> {
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
  /** What the server is told when it asks for roots; `undefined`: each client's own, as far as it can be asked. */
  readonly roots: readonly Root[] | undefined
  /** URI schemes of resources that the server owns without listing them. */
  readonly uriSchemes: readonly string[]
  /** Per-tool settings, first match wins; keys are globs over the server's own tool names. */
  readonly tools: readonly ToolConfig[]
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

export interface ToolConfig extends Resolved<(typeof TOOL)['options']> {
  readonly glob: string
  /** `undefined`: as the server says; `false`: never. */
  readonly cache: CacheRule | false | undefined
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
export interface ClientConfig extends Resolved<(typeof CLIENT)['options']> {
  readonly name: string
  /** SHA-256 of API keys, 64 lower-case hexadecimal digits. */
  readonly keys: readonly string[]
  readonly rules: readonly RuleConfig[]
  /** What becomes of things that no rule is about. */
  readonly default: 'allow' | 'deny'
  readonly quota: QuotaConfig
  readonly limits: readonly LimitConfig[]
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

export interface GatewayConfig extends Resolved<(typeof GATEWAY)['options']> {
  readonly http: HttpFrontConfig
  /** `memory`, `lmdb:<absolute path>` or `redis://…`; the last may hold a password. */
  readonly state: string
  readonly log: LogLevel
  /** IANA name. */
  readonly timeZone: string
  readonly auth: AuthConfig
  /** Rules for every client, before its own. */
  readonly rules: readonly RuleConfig[]
  readonly audit: AuditConfig | undefined
}

export interface AuthConfig extends Resolved<(typeof AUTH)['options']> {
  readonly jwt: readonly JwtConfig[]
  readonly proxy: ProxyAuthConfig | undefined
  /** The operator has said that everyone may come, with every address. */
  readonly allowAnonymous: boolean
}

export interface JwtConfig extends Resolved<(typeof JWT)['options']> {
  readonly issuer: string
  /** Roles by scope. */
  readonly scopes: Readonly<Record<string, readonly string[]>>
}

export interface ProxyAuthConfig extends Resolved<(typeof PROXY)['options']> {
  /** Lower case. */
  readonly header: string
}

export interface AuditConfig extends Resolved<(typeof AUDIT)['options']> {
  /** Absolute. */
  readonly file: string
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

export interface HttpFrontConfig extends Resolved<(typeof HTTP)['options']> {
  /** Origin under which clients reach the gateway, without a slash at its end; `undefined`: the address it listens on. */
  readonly publicUrl: string | undefined
  readonly tls: TlsConfig | undefined
}

/** What servers may ask of clients. */
export interface AsksConfig extends Resolved<(typeof ASKS)['options']> {}

/** What of a server a running gateway takes over. */
export type LiveServer = Pick<ServerConfig, 'name' | 'replicas' | 'problem'>

/** Listen streams of modern clients. */
export interface ListenConfig extends Resolved<(typeof LISTEN)['options']> {}

export interface CatalogConfig extends Resolved<(typeof CATALOG)['options']> {}

/** How results of a tool are kept. */
export interface CacheRule extends Resolved<(typeof CACHE_RULE)['options']> {}

/** What is kept altogether. */
export interface CacheConfig extends Resolved<(typeof CACHE)['options']> {}
