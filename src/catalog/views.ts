import { LRUCache } from 'lru-cache'
import type { Config, ProfileConfig } from '../config/types.ts'
import type { Logger } from '../core/logger.ts'
import type { ListKind } from '../core/route.ts'
import { compilePatterns } from '../policy/pattern.ts'
import type { Policy } from '../policy/policy.ts'
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
  readonly snapshot: (server: string) => ServerSnapshot | undefined
  /** A policy by its key. */
  readonly policy: (key: string) => Policy
  /** Names of the views whose clients want to hear of changes. */
  readonly watched: () => Iterable<string>
  /** A view has been replaced, and these of its lists look different to clients. */
  readonly onChange: (view: View, kinds: readonly ListKind[]) => void
}

/** Views of clients with rules, and the bytes of their lists, that are kept; what is dropped is made again when it is needed. */
const MAX_VIEWS = 2000
const MAX_PAGE_BYTES = 64 * 1024 * 1024
/** How long making views that have changed may hold up everything else. */
const SLICE_MS = 5

/** Between the endpoint and the policy in the name of a view; keys of policies have none. */
const SEPARATOR = '\n'

/**
 * What callers see of the endpoints: everything of an endpoint, merged once, and over it a view for each policy. A view is found again by its name, so that one
 * that was dropped is nothing lost.
 */
export class Views {
  readonly #options: ViewsOptions
  readonly #servers: ReadonlySet<string>
  readonly #profiles: ReadonlyMap<string, ProfileConfig>
  readonly #personal: boolean
  #endpoints = new Map<string, View>()
  /** In the order in which they were made. Looked up with every call, hence no cache that notes what was used last. */
  readonly #restrictedViews = new Map<string, View>()
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
    let view = this.#endpoints.get(name) ?? this.#restrictedViews.get(name) ?? this.#endpoint(name)
    if (!view) {
      const endpoint = this.#endpoint(endpointOf(name))
      if (!endpoint || !name.includes(SEPARATOR)) return undefined
      view = this.#restricted(endpoint, name)
      if (this.#restrictedViews.size >= MAX_VIEWS) this.#dropFirst()
      this.#restrictedViews.set(name, view)
    }
    return view
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
      const endpoint = before.get(endpointOf(name))
      if (before.has(name) || !endpoint || this.#outdated.has(name)) continue
      const known = this.#restrictedViews.get(name)
      this.#outdated.set(name, () => known ?? this.#restricted(endpoint, name))
    }
    this.#restrictedViews.clear()
    this.#endpoints = new Map()
    for (const [name, old] of before) {
      const view = this.#endpoint(name)
      const kinds = view ? changedKinds(old, view) : []
      if (view && kinds.length > 0) this.#options.onChange(view, kinds)
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
      if (view && kinds.length > 0) this.#options.onChange(view, kinds)
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
      const { config, logger, snapshot } = this.#options
      const profile = this.#profiles.get(name)
      const alone = this.#servers.has(name)
      const members = config.servers
        .filter(server => !alone || server.name === name)
        .filter(server => !profile || profile.servers.includes(server.name))
        // Alone at its endpoint, a server keeps the names it uses itself.
        .map(server => ({
          server,
          prefix: alone ? (false as const) : server.prefix,
          snapshot: snapshot(server.name),
        }))
      const merged = new Merged({
        members,
        maxNameLength: config.gateway.catalog.maxNameLength,
        selection: (profile?.match ?? []).flatMap(text => compilePatterns(text, [...this.#servers])),
        logger,
      })
      view = this.#over(merged, name)
      this.#endpoints.set(name, view)
    }
    return view
  }

  #restricted(endpoint: View, name: string): View {
    const policy = this.#options.policy(name.slice(name.lastIndexOf(SEPARATOR) + 1))
    return this.#over(endpoint.merged, name, policy, this.#pages)
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
