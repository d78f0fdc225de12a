import { LRUCache } from 'lru-cache'
import type { Config, ProfileConfig, ServerConfig } from '../config/types.ts'
import { endpointOf } from '../core/endpoint.ts'
import type { Logger } from '../core/logger.ts'
import { onceLogger } from '../core/once-logger.ts'
import type { ListKind } from '../core/route.ts'
import { atOnce, SlicedWork, type Steps } from '../core/slices.ts'
import { compilePatterns } from '../policy/pattern.ts'
import type { Policy } from '../policy/policy.ts'
import type { ClientKind } from '../protocol/client-kind.ts'
import { changesSince, Comparisons, type ToldView } from './comparisons.ts'
import { sameCaching } from './freshness.ts'
import type { EndpointMember, EndpointCatalog } from './endpoint-catalog.ts'
import { merging } from './merging.ts'
import { Retries } from './retries.ts'
import { sameLists, haveSameResources, type ServerSnapshot } from './snapshot.ts'
import { View, type Pages } from './view.ts'
import { everyonesOf, kindIn, nameFor, policyIn, unrestricted, ViewNames, WHOLE } from './view-names.ts'

export interface ViewsOptions {
  readonly config: Config
  /** Raw JSON of the gateway's `serverInfo`. */
  readonly serverInfo: string
  readonly logger: Logger
  /** The last snapshot of a server. */
  readonly snapshot: (server: string, kind?: ClientKind) => ServerSnapshot | undefined
  /** All snapshots of a server. */
  readonly variants: (server: string) => readonly ServerSnapshot[]
  /** As `EndpointMember.needsLogin`. */
  readonly needsLogin?: (server: string) => boolean
  /** A policy by its key. */
  readonly policy: (key: string) => Policy
  /** Names of the views whose clients have subscribed to changes. */
  readonly watched: () => Iterable<string>
  /** Called when the view of this name has been replaced and these of its lists have changed for clients. */
  readonly onChange: (name: string, kinds: readonly ListKind[]) => void
}

/** Maximum number of cached restricted views, and bytes of cached lists. Dropped ones are built again on demand. */
const MAX_VIEWS = 4000
const MAX_PAGE_BYTES = 64 * 1024 * 1024

/**
 * The views of the endpoints: everything of an endpoint, merged once, and on top of it a view for each policy. Where
 * servers list something else for some kinds of clients, each set of kinds with the same lists has its own views. A
 * view is found by its name, so a dropped view can be built again. Lists may be long: code that can wait for a view
 * awaits `ready`, so that the building delays nothing else.
 */
export class Views {
  readonly #options: ViewsOptions
  /** Logger for what every merge reports again. */
  readonly #logger: Logger
  readonly #servers: ReadonlyMap<string, ServerConfig>
  readonly #profiles: ReadonlyMap<string, ProfileConfig>
  readonly #personal: boolean
  /**
   * Everything of an endpoint, for each kind of client. Kinds with the same lists share a view, named after the first.
   */
  #endpoints = new Map<string, View>()
  /** Views by name, in order of creation. Looked up with every call, so the cache does not track the last use. */
  readonly #restrictedViews = new Map<string, View>()
  /** At most 32 kinds. `undefined` stands for all clients. */
  readonly #kinds = new Set<ClientKind | undefined>([undefined])
  readonly #names = new ViewNames()
  /** One for all generations of a gateway: a view that is taken over goes on to use it. */
  #pages = cachedPages()
  /** Work that requests wait for. Separate, so that it is not delayed by work for notifications. */
  readonly #asked = new SlicedWork()
  readonly #renewal = new SlicedWork()
  readonly #comparisons: Comparisons
  /** The next replacement of all views. It uses everything that is known when it begins. */
  #replacement: Promise<void> | undefined
  /** Resolves when the last requested replacement is done. */
  #latest: Promise<void> | undefined
  readonly #retries = new Retries(() => void this.rebuild().catch(() => {}))
  #superseded = false
  #closed = false

  constructor(options: ViewsOptions) {
    this.#options = options
    this.#logger = onceLogger(options.logger)
    this.#comparisons = new Comparisons({
      work: this.#renewal,
      latest: name => this.#making(name),
      onChange: options.onChange,
      logger: options.logger,
    })
    const { clients, gateway } = options.config
    // What a client sees may then depend on its identity, so shared caches must not pass it to another client.
    this.#personal = clients.length > 0 || gateway.auth.jwt.length > 0 || gateway.auth.proxy !== undefined
    this.#servers = new Map(options.config.servers.map(server => [server.name, server]))
    this.#profiles = new Map(options.config.profiles.map(profile => [profile.name, profile]))
  }

  /**
   * Name of the view that callers with a policy have of an endpoint: `''` for everything, or a profile or a server.
   * `undefined`: there is no such endpoint, or the policy allows nothing at it.
   */
  of(endpoint: string, policy: Policy): string | undefined {
    if (!this.#isEndpoint(endpoint)) return undefined
    const name = policy.unrestricted ? endpoint : this.#names.of(endpoint, policy)
    return endpoint === WHOLE || (this.view(name)?.servers.size ?? 0) > 0 ? name : undefined
  }

  /** Resolves when `of` can be called without delay. `undefined`: it can be now. Never rejects. */
  known(endpoint: string, policy: Policy): Promise<unknown> | undefined {
    if (!this.#isEndpoint(endpoint)) return undefined
    return this.ready(policy.unrestricted ? endpoint : this.#names.of(endpoint, policy))
  }

  /** The name of the same view for clients of a kind. */
  named(name: string, kind: ClientKind): string {
    return this.#names.ofKind(name, kind)
  }

  /** A view by its name. Built synchronously if it is missing. */
  view(name: string): View | undefined {
    return this.#known(name) ?? atOnce(this.#making(name))
  }

  /** Resolves when the view of this name is built. `undefined`: it is available. Never rejects. */
  ready(name: string): Promise<unknown> | undefined {
    // The code that then asks for the view receives the error.
    return this.#known(name) ? undefined : this.#asked.do(() => this.#making(name)).catch(() => undefined)
  }

  /** A view by its name, after everything known now is included. */
  async made(name: string): Promise<View | undefined> {
    if (this.#superseded && !this.#isCurrent(name)) await this.rebuild()
    if (this.#latest && !this.#isCurrent(name)) await this.#latest
    return this.#known(name) ?? (await this.#asked.do(() => this.#making(name)))
  }

  /**
   * Takes over the views of a former configuration that stay the same, and merges the other endpoints that were in use
   * there. The former views do not change. `samePolicies`: both configurations have the same rules.
   */
  adopt(former: Views, samePolicies: boolean): Promise<void> {
    return this.#renewal.do(() => this.#adopting(former, samePolicies))
  }

  *#adopting(former: Views, samePolicies: boolean): Steps<void> {
    this.#pages = former.#pages
    for (const kind of former.#kinds) this.#kinds.add(kind)
    const isKept = new Map<string, boolean>()
    for (const [name, view] of former.#endpoints) {
      const endpoint = endpointOf(name)
      if (!this.#isEndpoint(endpoint)) continue
      if (!isKept.has(endpoint)) isKept.set(endpoint, this.#shape(endpoint) === former.#shape(endpoint))
      this.#endpoints.set(
        name,
        yield* this.#shown(name, this.#endpoints, isKept.get(endpoint) ? view : undefined),
      )
      yield
    }
    if (!samePolicies) return
    for (const [name, view] of former.#restrictedViews)
      if (this.#endpoints.get(unrestricted(name)) === former.#endpoints.get(unrestricted(name)))
        this.#restrictedViews.set(name, view)
  }

  /** Everything in the configuration that affects the views of an endpoint, apart from rules. */
  #shape(endpoint: string): string {
    const { maxNameLength, pageSize, ttlMs } = this.#options.config.gateway.catalog
    const servers = this.#membersOf(endpoint, undefined).map(({ server, prefix }) => {
      const hidden = server.tools.some(tool => tool.hidden) ? server.tools.map(t => [t.glob, t.hidden]) : []
      return [server.name, prefix, hidden, server.uriSchemes]
    })
    const match = this.#profiles.get(endpoint)?.match ?? []
    // A pattern may refer to a server that is not in the profile.
    const all = match.length > 0 ? [...this.#servers.keys()] : []
    return JSON.stringify([maxNameLength, pageSize, ttlMs, this.#personal, servers, match, all])
  }

  /** Stops notifications of changes. A request for an outdated view still builds it again. */
  supersede(): void {
    this.#superseded = true
    this.#retries.close()
    this.#comparisons.stop()
  }

  /** A view as its clients were last told of it. Builds nothing. `undefined`: its endpoint was never shown. */
  told(name: string): ToldView | undefined {
    const endpoint = this.#endpoints.get(unrestricted(name))
    return this.#comparisons.told(name) ?? (endpoint && this.#shownIn(endpoint, name))
  }

  /** The view of this name that is built on the view of an endpoint, if it has not been dropped. */
  #shownIn({ merged }: View, name: string): ToldView {
    return { view: this.#known(name), make: () => this.#restricted(merged, name) }
  }

  /** Whether a replacement leaves the endpoint of a view unchanged. */
  #isCurrent(name: string): boolean {
    const view = this.#endpoints.get(unrestricted(name))
    return !view || shows(view, this.#membersOf(endpointOf(name), kindIn(name)))
  }

  /** The result of a list method. @throws as `View.listing` */
  async list(view: View, kind: ListKind, revision: string, cursor: unknown): Promise<Buffer> {
    const kept = view.kept(kind, revision, cursor)
    return kept ?? (await this.#asked.do(() => view.listing(kind, revision, cursor)))
  }

  /** Lists that differ for clients that know one view and see another one by now. */
  changed(told: ToldView, after: View): Promise<ListKind[]> {
    return this.#renewal.do(() => changesSince(told, after))
  }

  /** The view if it is available. Called with every request. */
  #known(name: string): View | undefined {
    return this.#endpoints.get(name) ?? this.#restrictedViews.get(name)
  }

  /** Builds a view. Starts again if the endpoint is replaced in the meantime. */
  *#making(name: string): Steps<View | undefined> {
    for (;;) {
      const known = this.#known(name)
      if (known) return known
      const endpoint = yield* this.#endpoint(unrestricted(name))
      if (!endpoint || unrestricted(name) === name) return endpoint
      // Kinds that share the view of the endpoint share this view, too.
      const shared = nameFor(everyonesOf(name), kindIn(endpoint.name))
      const view = yield* shared === name ? this.#restricted(endpoint.merged, name) : this.#making(shared)
      if (this.#endpoints.get(unrestricted(name)) !== endpoint || this.#restrictedViews.has(name)) continue
      if (this.#restrictedViews.size >= MAX_VIEWS) this.#dropFirst()
      if (view) this.#restrictedViews.set(name, view)
      return view
    }
  }

  #dropFirst(): void {
    for (const name of this.#restrictedViews.keys()) {
      this.#restrictedViews.delete(name)
      return
    }
  }

  /**
   * Replaces the views of servers whose lists have changed, then notifies the clients whose lists differ. Until then
   * the former views serve. @throws the error of the building; nothing is replaced then, and a retry is scheduled
   */
  rebuild(): Promise<void> {
    if (!this.#replacement) {
      this.#replacement = this.#renewal.do(() => this.#replacing())
      const done = (hasFailed: boolean | void): void => {
        if (this.#latest === latest) this.#latest = undefined
        if (!hasFailed) this.#retries.cancel(WHOLE)
        else if (!this.#superseded && !this.#closed) this.#retries.later(WHOLE)
      }
      const latest = this.#replacement.then(done, () => done(true))
      this.#latest = latest
    }
    return this.#replacement
  }

  /** Resolves when the views include everything known now. `undefined`: they do. Never rejects. */
  get upToDate(): Promise<void> | undefined {
    return this.#latest
  }

  *#replacing(): Steps<void> {
    // A change from now on needs another replacement.
    this.#replacement = undefined
    const views = new Map<string, View>()
    // Views that are built in the meantime are included.
    for (const [name, old] of this.#endpoints) {
      if (this.#closed) return
      views.set(name, yield* this.#shown(name, views, old))
      yield
    }
    this.#replace(views)
  }

  #replace(views: Map<string, View>): void {
    const before = this.#endpoints
    const isKept = (name: string): boolean => views.get(unrestricted(name)) === before.get(unrestricted(name))
    for (const name of this.#superseded ? [] : new Set(this.#options.watched())) {
      const endpoint = before.get(unrestricted(name))
      if (endpoint && !isKept(name)) this.#comparisons.add(name, this.#shownIn(endpoint, name))
    }
    for (const name of this.#restrictedViews.keys()) if (!isKept(name)) this.#restrictedViews.delete(name)
    this.#endpoints = views
    this.#comparisons.start()
  }

  close(): void {
    this.#closed = true
    this.#retries.close()
    this.#comparisons.stop()
  }

  #isEndpoint(name: string): boolean {
    return name === WHOLE || this.#servers.has(name) || this.#profiles.has(name)
  }

  /** Everything of an endpoint, as listed for a kind of client. Starts again if views are replaced in the meantime. */
  *#endpoint(name: string): Steps<View | undefined> {
    const kind = kindIn(name)
    for (;;) {
      const views = this.#endpoints
      const known = views.get(name)
      if (known || !this.#isEndpoint(endpointOf(name))) return known
      this.#kinds.add(kind)
      // The view for all clients comes first, so that only differing views are built below.
      if (kind !== undefined) yield* this.#endpoint(endpointOf(name))
      const view = yield* this.#shown(name, views)
      if (views === this.#endpoints && !views.has(name)) views.set(name, view)
    }
  }

  /** One of these views if its lists are the same for the kind of client, or the former view, or a new one. */
  *#shown(name: string, views: ReadonlyMap<string, View>, old?: View): Steps<View> {
    const [endpoint, kind] = [endpointOf(name), kindIn(name)]
    const members = this.#membersOf(endpoint, kind)
    for (const other of this.#kinds) {
      const view = views.get(nameFor(endpoint, other))
      if (view && shows(view, members)) return view
    }
    if (old?.name === name && shows(old, members)) return old
    const merged = yield* this.#merging(endpoint, members)
    return yield* this.#over(merged, name, kind === undefined ? undefined : this.#pages)
  }

  /** The servers of an endpoint, with their lists for a kind of client. */
  #membersOf(name: string, kind: ClientKind | undefined): EndpointMember[] {
    const { config, snapshot, variants, needsLogin } = this.#options
    const alone = this.#servers.get(name)
    const profile = this.#profiles.get(name)
    return (
      (alone ? [alone] : config.servers)
        .filter(server => !profile || profile.servers.includes(server.name))
        // A server that is alone at its endpoint keeps its own names.
        .map(server => ({
          server,
          prefix: alone ? (false as const) : server.prefix,
          snapshot: snapshot(server.name, kind),
          variants: variants(server.name),
          needsLogin: needsLogin?.(server.name) ?? false,
        }))
    )
  }

  *#merging(name: string, members: readonly EndpointMember[]): Steps<EndpointCatalog> {
    const { config } = this.#options
    const selection = this.#profiles.get(name)?.match ?? []
    return yield* merging({
      members,
      maxNameLength: config.gateway.catalog.maxNameLength,
      selection: selection.flatMap(text => compilePatterns(text, [...this.#servers.keys()])),
      logger: this.#logger,
    })
  }

  *#restricted(merged: EndpointCatalog, name: string): Steps<View> {
    const policy = this.#options.policy(policyIn(name))
    return yield* this.#over(merged, name, this.#pages, policy)
  }

  *#over(merged: EndpointCatalog, name: string, pages?: Pages, policy?: Policy): Steps<View> {
    const { config, serverInfo } = this.#options
    const { pageSize, ttlMs } = config.gateway.catalog
    const personal = this.#personal
    return yield* View.making({ name, merged, policy, pages, pageSize, ttlMs, personal, serverInfo })
  }
}

/** A function of its own: what it closes over lives as long as the cache, which outlives the views that made it. */
function cachedPages(): LRUCache<string, Buffer> {
  return new LRUCache({ maxSize: MAX_PAGE_BYTES, sizeCalculation: page => Math.max(1, page.length) })
}

/** Whether a view of the same endpoint has the same lists as these members. */
function shows({ merged }: View, members: readonly EndpointMember[]): boolean {
  const isShown = ({ snapshot, variants, needsLogin }: EndpointMember, shown?: EndpointMember): boolean =>
    needsLogin === shown?.needsLogin &&
    isAlike(snapshot, shown?.snapshot) &&
    haveSameResources(variants, shown?.variants)
  return members.every((member, at) => isShown(member, merged.members[at]))
}

/** Whether two snapshots are the same for clients. */
function isAlike(a: ServerSnapshot | undefined, b: ServerSnapshot | undefined): boolean {
  return a === b || (a !== undefined && b !== undefined && sameLists(a, b) && sameCaching(a, b))
}
