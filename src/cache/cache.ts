import type { ServerConfig } from '../config/types.ts'
import { monotonicNow } from '../core/clock.ts'
import { UNHEARD, type EventSink } from '../core/event-bus.ts'
import type { Exchange, JsonObject, Outcome, ServerResult } from '../core/exchange.ts'
import { isJsonObject } from '../core/json-object.ts'
import type { Principal } from '../core/principal.ts'
import type { Route } from '../core/route.ts'
import { TASKS } from '../protocol/capabilities.ts'
import type { Invalidation } from './invalidation.ts'
import { tellHit, tellInvalidated, tellStored } from './cache-events.ts'
import { CacheEntry, type From } from './entry.ts'
import { paramsKey, sha256 } from './key.ts'
import { MemoryCache, type MemoryCacheOptions } from './memory.ts'
import { CachePolicies, type CachePolicy, type ListsOfServers } from './policies.ts'
import { CacheStats } from './stats.ts'
import { toolTag, uriTag } from './tags.ts'
import type { TierEntry, Tier } from './tier.ts'
import { Wait } from './wait.ts'

export interface CacheOptions extends ListsOfServers {
  readonly servers: readonly ServerConfig[]
  readonly bounds: MemoryCacheOptions
  /** Called when a client gets a result that names resources. */
  readonly onLinks: (principal: string, server: string, result: JsonObject) => void
  /** Raw JSON of the gateway's own `serverInfo`. */
  readonly serverInfo: string
  /** The tier behind the memory, asked after a miss. Default: none. */
  readonly tier?: Tier | undefined
  /** Called for everything that this process has invalidated. Without tags: everything of the server. */
  readonly onInvalidated?: ((server: string, tags: readonly string[] | undefined) => void) | undefined
  /** Absent: no listener. */
  readonly events?: EventSink | undefined
  /** Returns Unix milliseconds. Default: the system clock. */
  readonly now?: (() => number) | undefined
}

/** Identity of the answer to a request. */
export interface CacheLookup {
  readonly policy: CachePolicy
  /** Tags of the answer for invalidation, as far as known before it is there. */
  readonly tags: readonly string[]
  /** Equal for requests that may get the same answer. */
  readonly key: string
  /** The key under which it is stored for all clients, if only the answer shows whether that is allowed. */
  readonly publicKey: string | undefined
  /** A principal, or `''` for all clients. */
  readonly scope: string
}

/** The server whose results a call invalidates. */
type Changed = Pick<CachePolicy, 'server' | 'changes'>

/** How long a call waits for the tier behind the memory: less than for most servers, enough for a database. */
const TIER_WAIT_MS = 20
const TIER_WAIT_STEP_MS = 4
/** Maximum time to live given by a server, unless a rule allows more. */
const MAX_OWN_TTL_MS = 24 * 60 * 60 * 1000
/** Tolerated difference between clocks. A result from later than that has an unknown age. */
const MAX_AHEAD_MS = 1000
/** Longer scopes and URIs are hashed, so that keys stay short. */
const MAX_PLAIN_CHARS = 128

/** `late`: may be served while it is renewed; `last`: only if the server fails. */
export type Freshness = 'fresh' | 'late' | 'last'

/** Cache of results: their keys, their clients, their time to live, and their invalidation. */
export class Cache {
  readonly stats = new CacheStats()
  policies: CachePolicies
  readonly now: () => number
  readonly #options: CacheOptions
  readonly #events: EventSink
  readonly #memory: MemoryCache
  #tier: Tier | undefined
  readonly #wait = new Wait(TIER_WAIT_MS, TIER_WAIT_STEP_MS)
  /** Look-ups in progress in the tier behind the memory, by key. */
  readonly #looking = new Map<string, Promise<CacheEntry | undefined>>()

  constructor(options: CacheOptions) {
    this.#options = options
    this.#events = options.events ?? UNHEARD
    this.#memory = new MemoryCache(options.bounds)
    this.#tier = options.tier
    this.now = options.now ?? monotonicNow
    this.policies = new CachePolicies(options.servers, options, this.stats)
  }

  /**
   * Applies other rules. Stored results stay, except those of removed servers; a stricter rule applies from the next
   * look-up on. `tier`: the new tier behind the memory.
   */
  reconfigure(servers: readonly ServerConfig[], bounds: MemoryCacheOptions, tier: Tier | undefined): void {
    const names = new Set(servers.map(({ name }) => name))
    for (const name of this.policies.names) if (!names.has(name)) this.clear(name)
    this.stats.keepServers(names)
    this.#tier = tier
    this.#memory.resize(bounds)
    this.policies = new CachePolicies(servers, this.#options, this.stats, this.policies)
  }

  /** Bytes and number of the results in memory. */
  get bytes(): number {
    return this.#memory.bytes
  }

  get size(): number {
    return this.#memory.size
  }

  /** Servers that have results in memory. */
  get servers(): Iterable<string> {
    return new Set(Array.from(this.#memory.values(), ({ server }) => server))
  }

  get hasTier(): boolean {
    return this.#tier !== undefined
  }

  /**
   * `undefined` for a request with more than a name and arguments. `uris` identifies the renaming of URIs in the
   * server's results for the client, `''` without renaming; equal texts rename equally.
   */
  lookup(
    policy: CachePolicy,
    exchange: Exchange,
    { own, exposed }: Pick<Route, 'own' | 'exposed'>,
    uris: string,
  ): CacheLookup | undefined {
    const { params } = exchange.request
    if (!params || !policy.rule) return undefined
    const isRead = policy.tool === undefined
    let part = paramsKey(params, isRead ? 'uri' : 'name', policy.ignored)
    if (part === undefined) return undefined
    // The result contains the URI of the resource as the client sent it.
    if (isRead) part = shortened(exposed === own ? own : JSON.stringify([own, exposed]))
    const extensions = exchange.features === '' ? '' : extensionsOf(exchange.features)
    const more = uris === '' && extensions === '' ? '' : `\t${sha256(JSON.stringify([uris, extensions]))}`
    const base = `${policy.prefix}${part}${more}\n`
    const scope =
      policy.rule.scope === 'shared' && !policy.perClient ? '' : scopeOf(exchange.principal, policy.perClient)
    return {
      policy,
      tags: isRead ? [...policy.tags, uriTag(own)] : policy.tags,
      key: scope === '' ? base : base + scope,
      publicKey: isRead && !policy.perClient ? base : undefined,
      scope,
    }
  }

  /** The stored result, whatever its age, unless it has been invalidated. */
  find({ policy, key, publicKey }: CacheLookup): CacheEntry | undefined {
    return this.#find(policy, key) ?? (publicKey === undefined ? undefined : this.#find(policy, publicKey))
  }

  /** As `find`, in the tier behind the memory. Resolves soon in any case: a late result is available the next time. */
  async findBehind({ policy, tags, key, publicKey, scope }: CacheLookup): Promise<CacheEntry | undefined> {
    const own = await this.#findBehind(policy, tags, key, scope)
    return own ?? (publicKey === undefined ? undefined : await this.#findBehind(policy, tags, publicKey, ''))
  }

  /** `undefined` when it is too old for any use. */
  freshness({ rule }: CachePolicy, { ttlMs, storedAt }: CacheEntry, now: number): Freshness | undefined {
    if (!rule) return undefined
    const late = now - storedAt - (ttlMs ?? rule.ttlMs)
    if (storedAt - now > MAX_AHEAD_MS) return undefined
    if (late < 0) return 'fresh'
    if (late < rule.staleWhileRevalidateMs) return 'late'
    return late < rule.staleIfErrorMs ? 'last' : undefined
  }

  drop(kept: CacheEntry): void {
    this.#memory.delete(kept.key)
  }

  /** Builds the outcome with a stored result for a client. */
  hit(policy: CachePolicy, kept: CacheEntry, exchange: Exchange, from: From, stale: boolean): Outcome {
    const { server, counters } = policy
    if (stale) counters.staleHits++
    else counters.hits++
    counters.bytesSaved += kept.size
    counters.upstreamMsSaved += kept.upstreamMs
    exchange.trace.servedFrom(stale ? 'stale' : 'hit')
    if (kept.links) this.#options.onLinks(exchange.principal.id, server, kept.links)
    const { bytes } = kept
    const ageMs = Math.max(0, this.now() - kept.storedAt)
    const outcome = kept.outcome(exchange, this.#options.serverInfo, ageMs, from, stale)
    if (kept.bytes !== bytes) this.#memory.grown(kept)
    tellHit(this.#events, policy, kept, exchange.principal, from, stale)
    return outcome
  }

  /**
   * Stores an answer of a server, if its kind may be stored. `epoch` and `since` are the start of the call. A result
   * that a later change may have invalidated is not stored, nor is one by a rule that no longer applies.
   */
  store(
    { policy, tags: known, key: own, publicKey }: CacheLookup,
    owner: Principal,
    outcome: Outcome,
    epoch: number,
    since: number,
    upstreamMs: number,
  ): void {
    const { rule, changes, counters } = policy
    if (!rule || !isComplete(outcome) || outcome.text.length > rule.maxBytes) return
    const { text, value, modern } = outcome
    const ttlMs = policy.tool === undefined ? ownTtl(outcome) : undefined
    const usableMs = (ttlMs ?? rule.ttlMs) + Math.max(rule.staleWhileRevalidateMs, rule.staleIfErrorMs)
    if ((policy.tool === undefined && ttlMs === undefined) || usableMs <= 0) return
    const tags = policy.tool === undefined ? readTags(known, value) : known
    if (!changes.isCurrent(epoch, tags) || !changes.isQuiet(tags, since)) return
    if (!this.policies.applies(policy)) return
    if (Buffer.byteLength(text) > rule.maxBytes) return
    const entry: TierEntry = { text, modern, storedAt: this.now(), upstreamMs, tags }
    const key = publicKey !== undefined && value.cacheScope === 'public' ? publicKey : own
    this.#memory.set(
      new CacheEntry({ key, server: policy.server, owner: owner.id, entry, value, epoch, ttlMs }),
    )
    counters.stores++
    tellStored(this.#events, policy, text)
    this.#tier?.set(policy.server, key, entry, usableMs)
  }

  /** Records the start of a call that changes something. */
  begin({ server, changes }: Changed, what: Invalidation): void {
    changes.begin(what, this.now())
    this.#tell(server, what)
  }

  /** Records its end. `lingers`: the server may still be working on it. */
  end({ server, changes }: Changed, what: Invalidation, lingers: boolean): void {
    changes.end(what, this.now(), lingers)
    this.#tell(server, what)
  }

  /** Invalidates results of a server. `here`: other processes have been notified already. */
  invalidate(server: string, what: Invalidation, here = false): void {
    this.policies.changes(server)?.outdate(what, this.now())
    if (!here) this.#tell(server, what)
  }

  /** Invalidates the content of a resource. */
  resourceChanged(server: string, uri: string): void {
    if (this.policies.reads(server)) this.invalidate(server, [uriTag(uri)])
  }

  /** Drops everything, or the results of a server or of a tool. Results being fetched are not stored either. */
  clear(server?: string, tool?: string): void {
    const what: Invalidation = tool === undefined ? 'server' : [toolTag(tool)]
    for (const name of server === undefined ? this.policies.names : [server]) {
      this.invalidate(name, what)
      const invalidations = this.policies.changes(name)
      for (const kept of invalidations ? this.#memory.values() : [])
        if (kept.server === name && !invalidations?.isCurrent(kept.epoch, kept.tags))
          this.#memory.delete(kept.key)
    }
  }

  #find({ changes }: CachePolicy, key: string): CacheEntry | undefined {
    const kept = this.#memory.get(key)
    if (!kept || changes.isCurrent(kept.epoch, kept.tags)) return kept
    this.#memory.delete(key)
    return undefined
  }

  async #findBehind(
    policy: CachePolicy,
    tags: readonly string[],
    key: string,
    owner: string,
  ): Promise<CacheEntry | undefined> {
    const tier = this.#tier
    if (!tier || !policy.changes.isQuiet(tags, this.now())) return undefined
    let looking = this.#looking.get(key)
    if (!looking) {
      looking = this.#fetch(tier, policy, key, owner).catch(() => undefined)
      this.#looking.set(key, looking)
      void looking.then(() => this.#looking.delete(key))
    }
    return await Promise.race([looking, this.#wait.end()])
  }

  async #fetch(tier: Tier, policy: CachePolicy, key: string, owner: string): Promise<CacheEntry | undefined> {
    const epoch = policy.changes.now
    const entry = await tier.get(policy.server, key)
    if (!entry) return undefined
    const value: unknown = JSON.parse(entry.text)
    if (!isJsonObject(value)) return undefined
    const ttlMs = policy.tool === undefined ? ownTtl({ kind: 'result', ...entry, value }) : undefined
    if (policy.tool === undefined && ttlMs === undefined) return undefined
    const { tags } = entry
    if (!policy.changes.isCurrent(epoch, tags) || entry.storedAt <= policy.changes.outdatedAt(tags))
      return undefined
    const kept = new CacheEntry({ key, server: policy.server, owner, entry, value, epoch, ttlMs })
    if (!this.freshness(policy, kept, this.now())) return undefined
    this.#memory.set(kept)
    return kept
  }

  #tell(server: string, what: Invalidation): void {
    tellInvalidated(this.#events, server, what)
    this.#options.onInvalidated?.(server, what === 'server' ? undefined : what)
  }
}

type Complete = ServerResult & { readonly value: JsonObject }

/** Whether it is the complete, successful answer to a call. */
function isComplete(outcome: Outcome): outcome is Complete {
  if (outcome.kind !== 'result' || !isJsonObject(outcome.value)) return false
  const { isError, resultType, task } = outcome.value
  return isError !== true && task === undefined && (resultType === undefined || resultType === 'complete')
}

/** Time to live that a modern server gives a result. `undefined`: none, or zero. */
function ownTtl({ modern, value }: Complete): number | undefined {
  const { ttlMs } = value
  return modern && typeof ttlMs === 'number' && ttlMs > 0 ? Math.min(ttlMs, MAX_OWN_TTL_MS) : undefined
}

/** The content of a resource depends on the requested URI, and on every URI in the result. */
function readTags(tags: readonly string[], { contents }: JsonObject): readonly string[] {
  const held = (Array.isArray(contents) ? (contents as unknown[]) : []).flatMap(content =>
    isJsonObject(content) && typeof content.uri === 'string' ? [uriTag(content.uri)] : [],
  )
  return [...new Set([...tags, ...held])]
}

/** `perClient`: the result also depends on what the configured client of the principal presents. */
function scopeOf(principal: Principal, perClient: boolean): string {
  const id = perClient ? JSON.stringify([principal.client ?? null, principal.id]) : principal.id
  return id.length > MAX_PLAIN_CHARS || id.includes('\n') ? `h ${sha256(id)}` : id
}

function shortened(uri: string): string {
  // oxlint-disable-next-line no-control-regex
  return uri.length > MAX_PLAIN_CHARS || /[\0-\x1f]/.test(uri) ? `h${sha256(uri)}` : `c${uri}`
}

/**
 * Raw JSON of the extensions that a client declares, `''` for none: a server may answer differently to a client with
 * extensions. The tasks extension is not included.
 */
function extensionsOf(features: string): string {
  if (!features.includes('"extensions"')) return ''
  const { extensions } = JSON.parse(features) as { extensions?: JsonObject }
  const { [TASKS]: _, ...others } = extensions ?? {}
  return Object.keys(others).length === 0 ? '' : JSON.stringify(others)
}
