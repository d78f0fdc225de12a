import type { ServerSnapshot } from '../catalog/snapshot.ts'
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
import { CachePolicies, type CachePolicy } from './policies.ts'
import { CacheStats } from './stats.ts'
import { toolTag, uriTag } from './tags.ts'
import type { TierEntry, Tier } from './tier.ts'
import { Wait } from './wait.ts'

export interface CacheOptions {
  readonly servers: readonly ServerConfig[]
  readonly bounds: MemoryCacheOptions
  /** What a server offers at the moment. */
  readonly snapshot: (server: string) => ServerSnapshot | undefined
  /** A client sees a result that names resources. */
  readonly onLinks: (principal: string, server: string, result: JsonObject) => void
  /** Raw JSON of the gateway's own `serverInfo`. */
  readonly serverInfo: string
  /** Asked where the memory does not know; default: nothing is behind it. */
  readonly tier?: Tier | undefined
  /** Hears of everything that has become outdated through this process; without tags, all a server said. */
  readonly onInvalidated?: ((server: string, tags: readonly string[] | undefined) => void) | undefined
  /** Absent: nothing listens. */
  readonly events?: EventSink | undefined
  /** Unix milliseconds; default: those of the system. */
  readonly now?: (() => number) | undefined
}

/** What a request asks for. */
export interface CacheLookup {
  readonly plan: CachePolicy
  /** By which the answer is forgotten, as far as that is known before it is there. */
  readonly tags: readonly string[]
  /** Equal for whatever may be given the same answer. */
  readonly key: string
  /** The key under which it is kept for everyone, where only the answer tells whether it may be. */
  readonly publicKey: string | undefined
  /** A principal, or `''` for everyone. */
  readonly scope: string
}

/** Whose results a call changes. */
type Changed = Pick<CachePolicy, 'server' | 'changes'>

/** How long a call waits for what is behind the memory: less than most servers take, enough for a database, a network, and decompressing. */
const TIER_WAIT_MS = 20
const TIER_WAIT_STEP_MS = 4
/** A result is not kept longer than that without its rule saying so. */
const MAX_OWN_TTL_MS = 24 * 60 * 60 * 1000
/** Clocks may differ by that much; what comes from later than that has no known age. */
const MAX_AHEAD_MS = 1000
/** Longer scopes and URIs are hashed, so that keys stay short. */
const MAX_PLAIN_CHARS = 128

/** `late`: may be served while it is renewed; `last`: only if nothing else is to be had. */
export type Freshness = 'fresh' | 'late' | 'last'

/** Results that may be served again: what they are kept under, for whom, how long, and when they are forgotten. */
export class Cache {
  readonly stats = new CacheStats()
  plans: CachePolicies
  readonly now: () => number
  readonly #options: CacheOptions
  readonly #events: EventSink
  readonly #memory: MemoryCache
  #tier: Tier | undefined
  readonly #wait = new Wait(TIER_WAIT_MS, TIER_WAIT_STEP_MS)
  /** Look-ups behind the memory under way, by key. */
  readonly #looking = new Map<string, Promise<CacheEntry | undefined>>()

  constructor(options: CacheOptions) {
    this.#options = options
    this.#events = options.events ?? UNHEARD
    this.#memory = new MemoryCache(options.bounds)
    this.#tier = options.tier
    this.now = options.now ?? monotonicNow
    this.plans = new CachePolicies(options.servers, options.snapshot, this.stats)
  }

  /**
   * Goes by other rules. What is kept stays, apart from what servers said that are gone; a rule that is stricter now decides with the next look-up. `tier`: what is behind
   * the memory from now on.
   */
  reconfigure(servers: readonly ServerConfig[], bounds: MemoryCacheOptions, tier: Tier | undefined): void {
    const names = new Set(servers.map(({ name }) => name))
    for (const name of this.plans.names) if (!names.has(name)) this.clear(name)
    this.#tier = tier
    this.#memory.resize(bounds)
    this.plans = new CachePolicies(servers, this.#options.snapshot, this.stats, this.plans)
  }

  /** Bytes that are kept in memory, and how many results. */
  get bytes(): number {
    return this.#memory.bytes
  }

  get size(): number {
    return this.#memory.size
  }

  /** Servers of which something is kept in memory. */
  get servers(): Iterable<string> {
    return new Set(Array.from(this.#memory.values(), ({ server }) => server))
  }

  get hasTier(): boolean {
    return this.#tier !== undefined
  }

  /**
   * `undefined` for a request that says more than what is called with which arguments. `uris` says how URIs in the server's results are renamed for the client, `''` where
   * they are not; equal texts rename equally.
   */
  wanted(
    plan: CachePolicy,
    exchange: Exchange,
    { own, exposed }: Pick<Route, 'own' | 'exposed'>,
    uris: string,
  ): CacheLookup | undefined {
    const { params } = exchange.request
    if (!params || !plan.rule) return undefined
    const isRead = plan.tool === undefined
    let part = paramsKey(params, isRead ? 'uri' : 'name', plan.ignored)
    if (part === undefined) return undefined
    // The result names the resource as the client did.
    if (isRead) part = shortened(exposed === own ? own : JSON.stringify([own, exposed]))
    const extensions = exchange.features === '' ? '' : extensionsOf(exchange.features)
    const more = uris === '' && extensions === '' ? '' : `\t${sha256(JSON.stringify([uris, extensions]))}`
    const base = `${plan.prefix}${part}${more}\n`
    const scope = plan.rule.scope === 'shared' ? '' : scopeOf(exchange.principal)
    return {
      plan,
      tags: isRead ? [...plan.tags, uriTag(own)] : plan.tags,
      key: scope === '' ? base : base + scope,
      publicKey: isRead ? base : undefined,
      scope,
    }
  }

  /** What is kept and still holds, however old it is. */
  find({ plan, key, publicKey }: CacheLookup): CacheEntry | undefined {
    return this.#find(plan, key) ?? (publicKey === undefined ? undefined : this.#find(plan, publicKey))
  }

  /** As `find`, behind the memory. Resolves soon, whatever happens there; what comes too late is there the next time. */
  async findBehind({ plan, tags, key, publicKey, scope }: CacheLookup): Promise<CacheEntry | undefined> {
    const own = await this.#findBehind(plan, tags, key, scope)
    return own ?? (publicKey === undefined ? undefined : await this.#findBehind(plan, tags, publicKey, ''))
  }

  /** `undefined` when it is too old for anything. */
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

  /** The result for a client. */
  hit(plan: CachePolicy, kept: CacheEntry, exchange: Exchange, from: From, stale: boolean): Outcome {
    const { server, counters } = plan
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
    tellHit(this.#events, plan, kept, exchange.principal, from, stale)
    return outcome
  }

  /**
   * Keeps what a server has answered, if it is of the kind that may be kept. `epoch` and `since` are the moment at which the call began; a result that may have
   * been overtaken by a change since then is not kept.
   */
  store(
    { plan, tags: known, key: own, publicKey }: CacheLookup,
    owner: Principal,
    outcome: Outcome,
    epoch: number,
    since: number,
    upstreamMs: number,
  ): void {
    const { rule, changes, counters } = plan
    if (!rule || !isComplete(outcome) || outcome.text.length > rule.maxBytes) return
    const { text, value, modern } = outcome
    const ttlMs = plan.tool === undefined ? ownTtl(outcome) : undefined
    const usableMs = (ttlMs ?? rule.ttlMs) + Math.max(rule.staleWhileRevalidateMs, rule.staleIfErrorMs)
    if ((plan.tool === undefined && ttlMs === undefined) || usableMs <= 0) return
    const tags = plan.tool === undefined ? readTags(known, value) : known
    if (!changes.isCurrent(epoch, tags) || !changes.isQuiet(tags, since)) return
    if (Buffer.byteLength(text) > rule.maxBytes) return
    const entry: TierEntry = { text, modern, storedAt: this.now(), upstreamMs, tags }
    const key = publicKey !== undefined && value.cacheScope === 'public' ? publicKey : own
    this.#memory.set(
      new CacheEntry({ key, server: plan.server, owner: owner.id, entry, value, epoch, ttlMs }),
    )
    counters.stores++
    tellStored(this.#events, plan, text)
    this.#tier?.set(plan.server, key, entry, usableMs)
  }

  /** A call begins that changes something. */
  begin({ server, changes }: Changed, what: Invalidation): void {
    changes.begin(what, this.now())
    this.#tell(server, what)
  }

  /** It has ended. `lingers`: for the gateway, but perhaps not at the server. */
  end({ server, changes }: Changed, what: Invalidation, lingers: boolean): void {
    changes.end(what, this.now(), lingers)
    this.#tell(server, what)
  }

  /** What a server said has become outdated. `here`: others have heard of it already. */
  invalidate(server: string, what: Invalidation, here = false): void {
    this.plans.changes(server)?.outdate(what, this.now())
    if (!here) this.#tell(server, what)
  }

  /** What a resource holds has changed. */
  resourceChanged(server: string, uri: string): void {
    if (this.plans.reads(server)) this.invalidate(server, [uriTag(uri)])
  }

  /** Forgets everything, or that of one server, or of one tool. Nothing that is being fetched at the moment is kept either. */
  clear(server?: string, tool?: string): void {
    const what: Invalidation = tool === undefined ? 'server' : [toolTag(tool)]
    for (const name of server === undefined ? this.plans.names : [server]) {
      this.invalidate(name, what)
      const plan = this.plans.changes(name)
      for (const kept of plan ? this.#memory.values() : [])
        if (kept.server === name && !plan?.isCurrent(kept.epoch, kept.tags)) this.#memory.delete(kept.key)
    }
  }

  #find({ changes }: CachePolicy, key: string): CacheEntry | undefined {
    const kept = this.#memory.get(key)
    if (!kept || changes.isCurrent(kept.epoch, kept.tags)) return kept
    this.#memory.delete(key)
    return undefined
  }

  async #findBehind(
    plan: CachePolicy,
    tags: readonly string[],
    key: string,
    owner: string,
  ): Promise<CacheEntry | undefined> {
    const tier = this.#tier
    if (!tier || !plan.changes.isQuiet(tags, this.now())) return undefined
    let looking = this.#looking.get(key)
    if (!looking) {
      looking = this.#fetch(tier, plan, key, owner).catch(() => undefined)
      this.#looking.set(key, looking)
      void looking.then(() => this.#looking.delete(key))
    }
    return await Promise.race([looking, this.#wait.end()])
  }

  async #fetch(tier: Tier, plan: CachePolicy, key: string, owner: string): Promise<CacheEntry | undefined> {
    const epoch = plan.changes.now
    const entry = await tier.get(plan.server, key)
    if (!entry) return undefined
    const value: unknown = JSON.parse(entry.text)
    if (!isJsonObject(value)) return undefined
    const ttlMs = plan.tool === undefined ? ownTtl({ kind: 'result', ...entry, value }) : undefined
    if (plan.tool === undefined && ttlMs === undefined) return undefined
    const { tags } = entry
    if (!plan.changes.isCurrent(epoch, tags) || entry.storedAt <= plan.changes.outdatedAt(tags))
      return undefined
    const kept = new CacheEntry({ key, server: plan.server, owner, entry, value, epoch, ttlMs })
    if (!this.freshness(plan, kept, this.now())) return undefined
    this.#memory.set(kept)
    return kept
  }

  #tell(server: string, what: Invalidation): void {
    tellInvalidated(this.#events, server, what)
    this.#options.onInvalidated?.(server, what === 'server' ? undefined : what)
  }
}

type Complete = ServerResult & { readonly value: JsonObject }

/** Whether it is the whole answer to a call, and no failure. */
function isComplete(outcome: Outcome): outcome is Complete {
  if (outcome.kind !== 'result' || !isJsonObject(outcome.value)) return false
  const { isError, resultType, task } = outcome.value
  return isError !== true && task === undefined && (resultType === undefined || resultType === 'complete')
}

/** How long a result of a modern server says that it holds; `undefined` when it does not, or not at all. */
function ownTtl({ modern, value }: Complete): number | undefined {
  const { ttlMs } = value
  return modern && typeof ttlMs === 'number' && ttlMs > 0 ? Math.min(ttlMs, MAX_OWN_TTL_MS) : undefined
}

/** A read depends on what it was asked for, and on every resource that its result holds. */
function readTags(tags: readonly string[], { contents }: JsonObject): readonly string[] {
  const held = (Array.isArray(contents) ? (contents as unknown[]) : []).flatMap(content =>
    isJsonObject(content) && typeof content.uri === 'string' ? [uriTag(content.uri)] : [],
  )
  return [...new Set([...tags, ...held])]
}

function scopeOf({ id }: Principal): string {
  return id.length > MAX_PLAIN_CHARS || id.includes('\n') ? `h ${sha256(id)}` : id
}

function shortened(uri: string): string {
  // oxlint-disable-next-line no-control-regex
  return uri.length > MAX_PLAIN_CHARS || /[\0-\x1f]/.test(uri) ? `h${sha256(uri)}` : `c${uri}`
}

/** Raw JSON of the extensions a client declares, `''` for none: a server may answer otherwise to a client that can show more. Tasks are none of those. */
function extensionsOf(features: string): string {
  if (!features.includes('"extensions"')) return ''
  const { extensions } = JSON.parse(features) as { extensions?: JsonObject }
  const { [TASKS]: _, ...others } = extensions ?? {}
  return Object.keys(others).length === 0 ? '' : JSON.stringify(others)
}
