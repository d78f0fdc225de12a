import { LRUCache } from 'lru-cache'
import type { Config, ProfileConfig } from '../config/types.ts'
import type { Logger } from '../core/logger.ts'
import { onceLogger } from '../core/once-logger.ts'
import type { ListKind } from '../core/route.ts'
import { compilePatterns } from '../policy/pattern.ts'
import type { Policy } from '../policy/policy.ts'
import type { ClientKind } from '../protocol/client-kind.ts'
import { Merged } from './merge.ts'
import type { ServerSnapshot } from './snapshot.ts'
import { changedKinds, View, type Pages } from './view.ts'

/** The name of the endpoint of everything. */
export const WHOLE = ''

export interface ViewsOptions {
  readonly config: Config
  /** Raw JSON of the gateway's `serverInfo`. */
  readonly serverInfo: string
  readonly logger: Logger
  /** What is known of a server. */
  readonly snapshot: (server: string, kind?: ClientKind) => ServerSnapshot | undefined
  /** A policy by its key. */
  readonly policy: (key: string) => Policy
  /** Names of the views whose clients want to hear of changes. */
  readonly watched: () => Iterable<string>
  /** The view of this name has been replaced, and these of its lists look different to clients. */
  readonly onChange: (name: string, kinds: readonly ListKind[]) => void
}

/** Views of clients with rules, and the bytes of their lists, that are kept; what is dropped is made again when it is needed. */
const MAX_VIEWS = 2000
const MAX_PAGE_BYTES = 64 * 1024 * 1024
/** How long making views that have changed may hold up everything else. */
const SLICE_MS = 5

/** Between the endpoint and the policy in the name of a view; keys of policies have none. */
const SEPARATOR = '\n'
/** Before the kind of client at the end of the name of a view. */
const KIND = '\f'

/** The kind of client in the name of a view; `undefined` in the name of a view for whoever it may be. */
export function kindIn(name: string): ClientKind | undefined {
  const at = name.lastIndexOf(KIND)
  return at < 0 ? undefined : name.slice(at + 1)
}

/**
 * What callers see of the endpoints: everything of an endpoint, merged once, and over it a view for each policy. A view is found again by its name, so that one
 * that was dropped is nothing lost.
 */
export class Views {
  readonly #options: ViewsOptions
  /** For what every merge finds again. */
  readonly #logger: Logger
  readonly #servers: ReadonlySet<string>
  readonly #profiles: ReadonlyMap<string, ProfileConfig>
  readonly #personal: boolean
  #endpoints = new Map<string, View>()
  /** In the order in which they were made. Looked up with every call, hence no cache that notes what was used last. */
  readonly #restrictedViews = new Map<string, View>()
  /** Views by names that say a kind of client. Where servers show it what they show everyone, it is the view of everyone. */
  readonly #ofKinds = new Map<string, View>()
  /** Views of kinds that servers show something else, by what they are shown: kinds that are shown the same share one. */
  readonly #differing = new Map<string, View>()
  readonly #numbers = new WeakMap<ServerSnapshot, number>()
  #lastNumber = 0
  readonly #kindNames = new Map<ClientKind, Map<string, string>>()
  readonly #pages = new LRUCache<string, Buffer>({
    maxSize: MAX_PAGE_BYTES,
    sizeCalculation: page => Math.max(1, page.length),
  })
  readonly #names = new WeakMap<Policy, Map<string, string>>()
  /** Views that may look different than their clients know, as they knew them. */
  readonly #outdated = new Map<string, () => View>()
  #comparing: NodeJS.Immediate | undefined
  #closed = false

  constructor(options: ViewsOptions) {
    this.#options = options
    this.#logger = onceLogger(options.logger)
    const { clients, gateway } = options.config
    // What anyone sees may then depend on who it is, so that nothing in between may give it to another.
    this.#personal = clients.length > 0 || gateway.auth.jwt.length > 0 || gateway.auth.proxy !== undefined
    this.#servers = new Set(options.config.servers.map(({ name }) => name))
    this.#profiles = new Map(options.config.profiles.map(profile => [profile.name, profile]))
  }

  /**
   * Name of the view that callers with a policy have of an endpoint: `''` for everything, else a profile or a server. `undefined`: there is no such endpoint, or
   * nothing at it that they may see.
   */
  of(endpoint: string, policy: Policy): string | undefined {
    if (!this.#isEndpoint(endpoint)) return undefined
    const name = policy.unrestricted ? endpoint : this.#nameOf(endpoint, policy)
    return endpoint === WHOLE || (this.view(name)?.servers.size ?? 0) > 0 ? name : undefined
  }

  /** A view by its name. Made when first asked for. */
  view(name: string): View | undefined {
    let view =
      this.#endpoints.get(name) ??
      this.#restrictedViews.get(name) ??
      this.#ofKinds.get(name) ??
      this.#endpoint(name) ??
      this.#ofKind(name)
    if (!view) {
      const endpoint = this.#endpoint(endpointOf(name))
      if (!endpoint || !name.includes(SEPARATOR)) return undefined
      view = this.#restricted(endpoint, name)
      if (this.#restrictedViews.size >= MAX_VIEWS) this.#dropFirst()
      this.#restrictedViews.set(name, view)
    }
    return view
  }

  /** The name of the same view for clients of a kind. The same text each time. */
  named(name: string, kind: ClientKind): string {
    let names = this.#kindNames.get(kind)
    if (!names) this.#kindNames.set(kind, (names = new Map()))
    let named = names.get(name)
    if (named === undefined) {
      if (names.size >= MAX_VIEWS) names.clear()
      names.set(name, (named = `${name}${KIND}${kind}`))
    }
    return named
  }

  #ofKind(name: string): View | undefined {
    const kind = kindIn(name)
    if (kind === undefined) return undefined
    const everyones = name.slice(0, name.lastIndexOf(KIND))
    const view = this.view(everyones)
    if (!view) return undefined
    if (this.#ofKinds.size >= MAX_VIEWS) this.#ofKinds.clear()
    const differing = this.#differingFor(everyones, view, kind)
    this.#ofKinds.set(name, differing)
    return differing
  }

  /** The view of a kind of client, which is that of everyone unless a server shows it something else. */
  #differingFor(everyones: string, view: View, kind: ClientKind): View {
    const { snapshot } = this.#options
    const parts = view.merged.members.flatMap(({ server: { name }, snapshot: shown }) => {
      const own = snapshot(name, kind)
      return own === shown ? [] : `${name} ${this.#numberOf(own)}`
    })
    if (parts.length === 0) return view
    const key = `${everyones}${KIND}${parts.join(KIND)}`
    let differing = this.#differing.get(key)
    if (!differing) {
      const isRestricted = everyones.includes(SEPARATOR)
      const merged = this.#merged(isRestricted ? endpointOf(everyones) : everyones, kind)
      differing = this.#over(
        merged,
        everyones,
        isRestricted ? this.#policyOf(everyones) : undefined,
        this.#pages,
      )
      if (this.#differing.size >= MAX_VIEWS) this.#differing.clear()
      this.#differing.set(key, differing)
    }
    return differing
  }

  #numberOf(snapshot: ServerSnapshot | undefined): number {
    if (!snapshot) return 0
    let number = this.#numbers.get(snapshot)
    if (number === undefined) this.#numbers.set(snapshot, (number = ++this.#lastNumber))
    return number
  }

  #dropFirst(): void {
    for (const name of this.#restrictedViews.keys()) {
      this.#restrictedViews.delete(name)
      return
    }
  }

  /** Replaces every view in use; clients of those that look different now are told. */
  rebuild(): void {
    const before = this.#endpoints
    for (const name of new Set(this.#options.watched())) {
      const known = this.#restrictedViews.get(name) ?? this.#ofKinds.get(name)
      if (known && !this.#outdated.has(name)) this.#outdated.set(name, () => known)
      const endpoint = before.get(endpointOf(name))
      if (before.has(name) || kindIn(name) !== undefined || !endpoint || this.#outdated.has(name)) continue
      this.#outdated.set(name, () => this.#restricted(endpoint, name))
    }
    this.#restrictedViews.clear()
    this.#ofKinds.clear()
    this.#differing.clear()
    this.#endpoints = new Map()
    for (const [name, old] of before) {
      const view = this.#endpoint(name)
      const kinds = view ? changedKinds(old, view) : []
      if (kinds.length > 0) this.#options.onChange(name, kinds)
    }
    if (this.#outdated.size > 0) this.#comparing ??= setImmediate(() => this.#compare())
  }

  /** Finds out which clients with rules see a change; a part at a time, since there may be many of them. */
  #compare(): void {
    this.#comparing = undefined
    const until = performance.now() + SLICE_MS
    for (const [name, before] of this.#outdated) {
      if (this.#closed) return
      this.#outdated.delete(name)
      const view = this.view(name)
      const kinds = view ? changedKinds(before(), view) : []
      if (kinds.length > 0) this.#options.onChange(name, kinds)
      if (performance.now() > until) break
    }
    if (this.#outdated.size > 0) this.#comparing = setImmediate(() => this.#compare())
  }

  close(): void {
    this.#closed = true
    clearImmediate(this.#comparing)
  }

  /** Kept, so that it need not be put together and hashed with every request. */
  #nameOf(endpoint: string, policy: Policy): string {
    let names = this.#names.get(policy)
    if (!names) this.#names.set(policy, (names = new Map()))
    let name = names.get(endpoint)
    if (name === undefined) names.set(endpoint, (name = `${endpoint}${SEPARATOR}${policy.key}`))
    return name
  }

  #isEndpoint(name: string): boolean {
    return name === WHOLE || this.#servers.has(name) || this.#profiles.has(name)
  }

  /** Everything of an endpoint. */
  #endpoint(name: string): View | undefined {
    let view = this.#endpoints.get(name)
    if (!view && this.#isEndpoint(name)) {
      view = this.#over(this.#merged(name, undefined), name)
      this.#endpoints.set(name, view)
    }
    return view
  }

  /** Everything of an endpoint, as it is shown to a kind of client. */
  #merged(name: string, kind: ClientKind | undefined): Merged {
    const { config, snapshot } = this.#options
    const profile = this.#profiles.get(name)
    const alone = this.#servers.has(name)
    const members = config.servers
      .filter(server => !alone || server.name === name)
      .filter(server => !profile || profile.servers.includes(server.name))
      // Alone at its endpoint, a server keeps the names it uses itself.
      .map(server => ({
        server,
        prefix: alone ? (false as const) : server.prefix,
        snapshot: snapshot(server.name, kind),
      }))
    return new Merged({
      members,
      maxNameLength: config.gateway.catalog.maxNameLength,
      selection: (profile?.match ?? []).flatMap(text => compilePatterns(text, [...this.#servers])),
      logger: this.#logger,
    })
  }

  #restricted(endpoint: View, name: string): View {
    return this.#over(endpoint.merged, name, this.#policyOf(name), this.#pages)
  }

  #policyOf(name: string): Policy {
    return this.#options.policy(name.slice(name.lastIndexOf(SEPARATOR) + 1))
  }

  #over(merged: Merged, name: string, policy?: Policy, pages?: Pages): View {
    const { config, serverInfo } = this.#options
    const { pageSize, ttlMs } = config.gateway.catalog
    const personal = this.#personal
    return new View({ name, merged, policy, pages, pageSize, ttlMs, personal, serverInfo })
  }
}

function endpointOf(view: string): string {
  return view.slice(0, Math.max(0, view.lastIndexOf(SEPARATOR)))
}
