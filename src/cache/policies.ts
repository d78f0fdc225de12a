import type { ServerSnapshot } from '../catalog/snapshot.ts'
import type { CacheRule, ServerConfig, ToolConfig } from '../config/types.ts'
import type { JsonObject } from '../core/exchange.ts'
import { isJsonObject } from '../core/json-object.ts'
import { wildcard } from '../policy/pattern.ts'
import { Invalidations, type Invalidation } from './invalidation.ts'
import { argPaths, sha256, type ArgPath } from './key.ts'
import { READS, type CacheStats, type Counters } from './stats.ts'
import { toolTag } from './tags.ts'

/** Version of the format in tiers. Results of another version are not found. */
const LAYOUT = 1

/** Caching of the calls of one tool, or of the reads of one server. Created once for each definition. */
export interface CachePolicy {
  readonly server: string
  /** `undefined`: resources. */
  readonly tool: string | undefined
  /** Whether results depend on the credentials of the caller, so that no other one may get them. */
  readonly perClient: boolean
  readonly changes: Invalidations
  /** How results are cached. `undefined`: not at all. */
  readonly rule: CacheRule | undefined
  /** What calls invalidate. `undefined`: nothing. */
  readonly outdates: Invalidation | undefined
  /**
   * Beginning of every key: identifies the server, the definition, and the parts of the rule that an entry depends on.
   * 43 characters.
   */
  readonly prefix: string
  /** Tags of the results, for invalidation. */
  readonly tags: readonly string[]
  readonly ignored: readonly ArgPath[]
  readonly counters: Counters
}

/** Bound for resources of servers without a rule, whose own time to live applies. */
const RESOURCE_MAX_BYTES = 1024 * 1024

/** Policies of one server, from its current lists. */
class ServerCachePolicies {
  readonly config: ServerConfig
  readonly changes: Invalidations
  readonly matchers: readonly { readonly matches: (tool: string) => boolean; readonly tool: ToolConfig }[]
  /** Whether results of any tool may be cached. */
  readonly keeps: boolean
  snapshot: ServerSnapshot | undefined
  tools = new Map<string, CachePolicy>()
  reads: CachePolicy | undefined

  constructor(config: ServerConfig, changes: Invalidations) {
    this.config = config
    this.changes = changes
    this.matchers = config.tools.map(tool => ({ matches: wildcard(tool.glob), tool }))
    this.keeps = config.cache !== undefined || config.tools.some(({ cache }) => cache)
  }

  /** Whether the server neither caches nor invalidates anything. */
  get idle(): boolean {
    return !this.keeps && !this.reads
  }
}

/** The current lists of servers. */
export interface ListsOfServers {
  /** Those for the least capable clients. */
  readonly snapshot: (server: string) => ServerSnapshot | undefined
  /** Those for every kind of client. */
  readonly shown: (server: string) => readonly ServerSnapshot[]
}

/** What results of a server depend on, besides the request. Its roots are the folders that it works on. */
function identityOf({ name, fingerprint, roots }: ServerConfig): readonly unknown[] {
  return [LAYOUT, name, fingerprint, roots ?? null]
}

function toolsOf(snapshots: readonly ServerSnapshot[]): ReadonlySet<string> {
  return new Set(snapshots.flatMap(({ lists }) => lists.tools.map(({ key }) => key)))
}

export class CachePolicies {
  readonly #servers = new Map<string, ServerCachePolicies>()
  readonly #lists: ListsOfServers
  readonly #stats: CacheStats

  constructor(
    servers: readonly ServerConfig[],
    lists: ListsOfServers,
    stats: CacheStats,
    former?: CachePolicies,
  ) {
    for (const server of servers) {
      // Invalidations do not depend on how results are cached.
      const changes = former?.changes(server.name) ?? new Invalidations()
      this.#servers.set(server.name, new ServerCachePolicies(server, changes))
    }
    this.#lists = lists
    this.#stats = stats
  }

  changes(server: string): Invalidations | undefined {
    return this.#servers.get(server)?.changes
  }

  get names(): readonly string[] {
    return [...this.#servers.keys()]
  }

  /** `undefined`: calls are neither cached nor do they invalidate anything. */
  tool(server: string, own: string): CachePolicy | undefined {
    const policies = this.#current(server)
    if (!policies || policies.idle) return undefined
    let policy = policies.tools.get(own)
    if (!policy) {
      policy = this.#toolPolicy(policies, own)
      policies.tools.set(own, policy)
    }
    return policy
  }

  /** `undefined`: no result of a read has a time to live. */
  reads(server: string): CachePolicy | undefined {
    return this.#current(server)?.reads
  }

  /** Whether a call that began with this policy would be cached in the same way now. */
  applies(policy: CachePolicy): boolean {
    const { server, tool, prefix, changes, rule } = policy
    const now = tool === undefined ? this.reads(server) : this.tool(server, tool)
    if (now === policy) return true
    const isSame = now?.prefix === prefix && now.changes === changes
    return isSame && JSON.stringify(now.rule) === JSON.stringify(rule)
  }

  /** What tasks of a server may change. `undefined`: nothing of the server is cached. */
  tasks(server: string): Pick<CachePolicy, 'server' | 'changes'> | undefined {
    const policies = this.#current(server)
    return policies && !policies.idle ? { server, changes: policies.changes } : undefined
  }

  #current(server: string): ServerCachePolicies | undefined {
    const policies = this.#servers.get(server)
    if (!policies) return undefined
    const snapshot = this.#lists.snapshot(server)
    if (snapshot !== policies.snapshot) {
      policies.snapshot = snapshot
      policies.tools = new Map()
      if (snapshot) this.#stats.keepTools(server, toolsOf(this.#lists.shown(server)))
      // Only results of the modern era have a time to live.
      const reads = snapshot?.era === 'modern' && 'resources' in snapshot.capabilities
      policies.reads = reads ? this.#readsPolicy(policies) : undefined
    }
    return policies
  }

  #toolPolicy({ config, changes, matchers, snapshot }: ServerCachePolicies, own: string): CachePolicy {
    const tool = matchers.find(({ matches }) => matches(own))?.tool
    const text = snapshot?.lists.tools.find(({ key }) => key === own)?.text
    const { rule, writes } = decided(config, tool, () => hintsOf(text))
    const invalidates = tool?.invalidates ?? 'server'
    const { tags = [], ignoreArgs = [] } = rule ?? {}
    return {
      server: config.name,
      tool: own,
      perClient: config.perClient,
      changes,
      // A tool without a definition is not cached.
      rule: text === undefined ? undefined : rule,
      outdates: !writes || invalidates === 'none' ? undefined : invalidates,
      // An entry has the tags it was stored with, and depends on the arguments ignored then.
      prefix: sha256(JSON.stringify([...identityOf(config), 'tool', own, text, tags, ignoreArgs])),
      tags: [toolTag(own), ...tags],
      ignored: argPaths(ignoreArgs),
      counters: this.#stats.of(config.name, own),
    }
  }

  #readsPolicy({ config, changes }: ServerCachePolicies): CachePolicy {
    const given = config.cache === 'hints' ? config.hintsRule : config.cache
    const tags = given?.tags ?? []
    return {
      server: config.name,
      tool: undefined,
      perClient: config.perClient,
      changes,
      rule: {
        ttlMs: 0,
        scope: 'client',
        staleWhileRevalidateMs: given?.staleWhileRevalidateMs ?? 0,
        staleIfErrorMs: given?.staleIfErrorMs ?? 0,
        ignoreArgs: [],
        maxBytes: given?.maxBytes ?? RESOURCE_MAX_BYTES,
        tags: [],
      },
      outdates: undefined,
      prefix: sha256(JSON.stringify([...identityOf(config), 'resource', tags])),
      tags,
      ignored: [],
      counters: this.#stats.of(config.name, READS),
    }
  }
}

/**
 * Whether a tool changes something, and how its results are cached if it does not. The setting of the tool comes first,
 * then that of its server, then the server's annotations, if they are trusted. Without any of these, the tool counts as
 * changing everything.
 */
function decided(
  { cache, hintsRule }: ServerConfig,
  tool: ToolConfig | undefined,
  hints: () => JsonObject,
): { readonly rule: CacheRule | undefined; readonly writes: boolean } {
  const trusted = cache === 'hints' ? hints() : undefined
  let rule: CacheRule | undefined
  if (tool?.cache !== undefined) rule = tool.cache || undefined
  else if (typeof cache === 'object') rule = cache
  else if (trusted?.readOnlyHint === true && trusted.idempotentHint === true) rule = hintsRule
  let writes: boolean
  if (tool?.readOnly !== undefined) writes = !tool.readOnly
  else if (rule) writes = false
  else writes = trusted?.readOnlyHint !== true
  return { rule: writes ? undefined : rule, writes }
}

function hintsOf(definition: string | undefined): JsonObject {
  const { annotations } = definition === undefined ? {} : (JSON.parse(definition) as JsonObject)
  return isJsonObject(annotations) ? annotations : {}
}
