import type { LogLevel } from '../core/logger.ts'
import type { AUTH, JWT, PROXY } from './options/auth.ts'
import type { CACHE_RULE } from './options/cache.ts'
import type { CLIENT } from './options/client.ts'
import type { ASKS, AUDIT, GATEWAY, HTTP, LISTEN } from './options/gateway.ts'
import type { IDP, OAUTH, REDIRECT } from './options/oauth.ts'
import type { Resolved } from './options/option.ts'
import type { SERVER, TOOL } from './options/server.ts'
import type { VAULT } from './options/vault.ts'
import type { ReplicaConfig } from './replica-types.ts'

/**
 * A complete resolved configuration: variables expanded, defaults filled in, units converted. Later code needs no `??`.
 * The meaning, default and bounds of an option are in its descriptor in `options/`.
 */
export interface Config {
  /** Path of its file, for messages; `undefined` when given as an object. */
  readonly file: string | undefined
  /** In the order of the file. */
  readonly servers: readonly ServerConfig[]
  /** In the order of the file. Without clients, HTTP serves every caller. */
  readonly clients: readonly ClientConfig[]
  readonly roles: readonly RoleConfig[]
  readonly profiles: readonly ProfileConfig[]
  readonly gateway: GatewayConfig
  /** Sentences about accepted but questionable settings. */
  readonly warnings: readonly string[]
}

export interface ServerConfig extends Resolved<(typeof SERVER)['options']> {
  /** Key in `mcpServers`. */
  readonly name: string
  /** Prefix of exposed names; `false` exposes bare names. */
  readonly prefix: string | false
  /**
   * What is wrong with its entry, with place and fix, safe to show. Such a server has no replicas and default values;
   * every request to it fails with this text.
   */
  readonly problem: string | undefined
  /** At least one, unless there is a `problem`. */
  readonly replicas: readonly ReplicaConfig[]
  /** Whether it gets credentials of each principal, which has links and cached results of its own then. */
  readonly perClient: boolean
  /** Names in `${client.NAME}` of its endpoints, sorted. */
  readonly clientValues: readonly string[]
  /** Answer to the server's request for roots; `undefined`: the roots of each client, when the client supports them. */
  readonly roots: readonly Root[] | undefined
  /** URI schemes of resources that the server serves without listing them. */
  readonly uriSchemes: readonly string[]
  /** Per-tool settings, first match wins; keys are globs over the server's own tool names. */
  readonly tools: readonly ToolConfig[]
  /** Shared by all clients. */
  readonly quota: QuotaConfig
  /**
   * Which results may be cached: of all tools (a rule), or (`hints`) of tools that the server marks as read-only and
   * idempotent; `undefined`: only of tools with a rule of their own.
   */
  readonly cache: CacheRule | 'hints' | undefined
  /** The rule for tools that are cached because of their hints. */
  readonly hintsRule: CacheRule
  /**
   * SHA-256 of the identity of the server (endpoint, arguments, environment, headers): a change invalidates stored
   * data.
   */
  readonly fingerprint: string
  /** How the gateway logs in there; `false`: never. */
  readonly oauth: OAuthConfig | false
}

/** A login at a server. */
export interface OAuthConfig extends Resolved<(typeof OAUTH)['options']> {
  readonly clientId: string | undefined
  readonly clientSecret: string | undefined
  /** PEM or JWK. */
  readonly privateKey: string | undefined
  /** `undefined`: what the server asks for; an empty list: none. */
  readonly scopes: readonly string[] | undefined
  /** A full URL, or a port and path of this machine; `undefined`: not configured. */
  readonly redirect: string | Resolved<(typeof REDIRECT)['options']> | undefined
  readonly extraParams: Readonly<Record<string, string>>
  readonly idp: Resolved<(typeof IDP)['options']> | undefined
}

/** A folder or file that a server may work on (MCP roots). */
export interface Root {
  /** `file://…` */
  readonly uri: string
  readonly name?: string
}

export interface ToolConfig extends Resolved<(typeof TOOL)['options']> {
  readonly glob: string
  /** `undefined`: as configured for the server; `false`: never. */
  readonly cache: CacheRule | false | undefined
  /** Shared by all clients. */
  readonly quota: QuotaConfig
}

/** Quotas. Empty when nothing is limited. */
export interface QuotaConfig {
  /** At most `count` in any span of `periodMs`. */
  readonly rate: { readonly count: number; readonly periodMs: number } | undefined
  readonly concurrency: number | undefined
  readonly budgets: readonly BudgetConfig[]
}

/** `calls`: number; `compute`: milliseconds of server work; `cost`: units; `bytes`: size of results. */
export const MEASURES = ['calls', 'compute', 'cost', 'bytes'] as const
export type Measure = (typeof MEASURES)[number]

/** Calendar periods in the gateway's time zone. */
const PERIODS = ['minute', 'hour', 'day', 'month'] as const
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
  /** Secret values for `${client.NAME}`, by name. */
  readonly values: Readonly<Record<string, string>>
  /** The decision for things that no rule matches. */
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
  /** Location in the file: `clients.ci.deny`, `roles.reader.rules[2]`. */
  readonly location: string
  readonly effect: 'allow' | 'deny'
  /**
   * `server/name` with wildcards, prefixed with `tool:`, `prompt:` or `resource:` for one kind; an empty list matches
   * everything.
   */
  readonly match: readonly string[]
  /** A valid CEL expression. */
  readonly when: string | undefined
  /** Whether a denial is only logged. */
  readonly shadow: boolean
}

/** A quota for a part of the things a client may use. */
export interface LimitConfig {
  readonly match: string
  readonly quota: QuotaConfig
}

/** A named selection of servers and tools with its own endpoint. */
export interface ProfileConfig {
  readonly name: string
  /** Names of servers, in the order of the file's servers. */
  readonly servers: readonly string[]
  /** As `RuleConfig.match`; empty matches everything of these servers. */
  readonly match: readonly string[]
}

export interface GatewayConfig extends Resolved<(typeof GATEWAY)['options']> {
  readonly http: HttpFrontConfig
  /** `memory`, `lmdb:<absolute path>` or `redis://…`; the last may contain a password. */
  readonly state: string
  readonly log: LogLevel
  readonly auth: AuthConfig
  /** Rules for every client, before its own. */
  readonly rules: readonly RuleConfig[]
  readonly audit: AuditConfig | undefined
  readonly vault: VaultConfig
}

export interface VaultConfig extends Resolved<(typeof VAULT)['options']> {
  /** Absolute path of the folder of a key file. */
  readonly folder: string
}

export interface AuthConfig extends Resolved<(typeof AUTH)['options']> {
  readonly jwt: readonly JwtConfig[]
  readonly proxy: ProxyAuthConfig | undefined
  /** Whether the operator has allowed anonymous access on every address. */
  readonly allowAnonymous: boolean
}

export interface JwtConfig extends Resolved<(typeof JWT)['options']> {
  readonly issuer: string
  /** Roles by OAuth scope. */
  readonly scopes: Readonly<Record<string, readonly string[]>>
}

export interface ProxyAuthConfig extends Resolved<(typeof PROXY)['options']> {
  /** In lower case. */
  readonly header: string
}

export interface AuditConfig extends Resolved<(typeof AUDIT)['options']> {
  /** Absolute path. */
  readonly file: string
}

/** Paths are absolute. */
export interface TlsConfig {
  readonly cert: string
  readonly key: string
  readonly ca: string | undefined
  readonly clientCertificates: 'none' | 'request' | 'require'
  /** SHA-256 of the content of these files; a new value means that they were renewed. */
  readonly contentDigest: string
}

export interface HttpFrontConfig extends Resolved<(typeof HTTP)['options']> {
  /** Origin under which clients reach the gateway, without a trailing slash; `undefined`: the listen address. */
  readonly publicUrl: string | undefined
  readonly tls: TlsConfig | undefined
}

/** Limits on requests of servers to clients. */
export interface AsksConfig extends Resolved<(typeof ASKS)['options']> {}

/** Listen streams of modern clients. */
export interface ListenConfig extends Resolved<(typeof LISTEN)['options']> {}

/** How results of a tool are cached. */
export interface CacheRule extends Resolved<(typeof CACHE_RULE)['options']> {}
