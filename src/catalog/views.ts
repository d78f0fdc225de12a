import { LRUCache } from 'lru-cache'
import type { Config, ProfileConfig, ServerConfig } from '../config/types.ts'
import { describeError } from '../core/errors.ts'
import type { Logger } from '../core/logger.ts'
import { onceLogger } from '../core/once-logger.ts'
import type { ListKind } from '../core/route.ts'
import { atOnce, SlicedWork, type Steps } from '../core/slices.ts'
import { compilePatterns } from '../policy/pattern.ts'
import type { Policy } from '../policy/policy.ts'
import type { ClientKind } from '../protocol/client-kind.ts'
import { sameCaching } from './freshness.ts'
import type { Member, EndpointCatalog } from './endpoint-catalog.ts'
import { merging } from './merging.ts'
import { sameLists, haveSameResources, type ServerSnapshot } from './snapshot.ts'
import { changedKinds, View, type Pages } from './view.ts'
import {
  endpointOf,
  everyonesOf,
  kindIn,
  nameFor,
  policyIn,
  unrestricted,
  ViewNames,
  WHOLE,
} from './view-names.ts'

export interface ViewsOptions {
  readonly config: Config
  /** Raw JSON of the gateway's `serverInfo`. */
  readonly serverInfo: string
  readonly logger: Logger
  /** What is known of a server. */
  readonly snapshot: (server: string, kind?: ClientKind) => ServerSnapshot | undefined
  /** All that is known of it. */
  readonly variants: (server: string) => readonly ServerSnapshot[]
  /** A policy by its key. */
  readonly policy: (key: string) => Policy
  /** Names of the views whose clients want to hear of changes. */
  readonly watched: () => Iterable<string>
  /** The view of this name has been replaced, and these of its lists look different to clients. */
  readonly onChange: (name: string, kinds: readonly ListKind[]) => void
}

/** Names of views of clients with rules, and bytes of lists, that are kept; what is dropped is made again when it is needed. */
const MAX_VIEWS = 4000
const MAX_PAGE_BYTES = 64 * 1024 * 1024

/**
 * What callers see of the endpoints: everything of an endpoint, merged once, and over it a view for each policy. Where servers show some kinds of clients other
 * lists, there is one more of each for every lot of kinds that are shown the same. A view is found again by its name, so that one that was dropped is nothing
 * lost. Lists may be long: what can wait for a view waits until it is `ready`, so that making it holds up nothing else.
 */
export class Views {
  readonly #options: ViewsOptions
  /** For what every merge finds again. */
  readonly #logger: Logger
  readonly #servers: ReadonlyMap<string, ServerConfig>
  readonly #profiles: ReadonlyMap<string, ProfileConfig>
  readonly #personal: boolean
  /** Everything of an endpoint, for everyone and for kinds of clients. Kinds that are shown the same share a view; its name is that of the first of them. */
  #endpoints = new Map<string, View>()
  /** By every name, in the order in which they came. Looked up with every call, hence no cache that notes what was used last. */
  readonly #restrictedViews = new Map<string, View>()
  /** There are 32 at most. `undefined` stands for everyone. */
  readonly #kinds = new Set<ClientKind | undefined>([undefined])
  readonly #names = new ViewNames()
  readonly #pages = new LRUCache<string, Buffer>({
    maxSize: MAX_PAGE_BYTES,
    sizeCalculation: page => Math.max(1, page.length),
  })
  /** Views that may look different than their clients know, as they knew them. */
  readonly #outdated = new Map<string, Former>()
  /** What requests wait for does not wait for what all clients are told of. */
  readonly #asked = new SlicedWork()
  readonly #renewal = new SlicedWork()
  /** The next replacement of all views; it sees everything that is known when it begins. */
  #replacement: Promise<void> | undefined
  /** Until the last one that was asked for is done. */
  #latest: Promise<void> | undefined
  #comparing = false
  #superseded = false
  #closed = false

  constructor(options: ViewsOptions) {
    this.#options = options
    this.#logger = onceLogger(options.logger)
    const { clients, gateway } = options.config
    // What anyone sees may then depend on who it is, so that nothing in between may give it to another.
    this.#personal = clients.length > 0 || gateway.auth.jwt.length > 0 || gateway.auth.proxy !== undefined
    this.#servers = new Map(options.config.servers.map(server => [server.name, server]))
    this.#profiles = new Map(options.config.profiles.map(profile => [profile.name, profile]))
  }

  /**
   * Name of the view that callers with a policy have of an endpoint: `''` for everything, else a profile or a server. `undefined`: there is no such endpoint, or
   * nothing at it that they may see.
   */
  of(endpoint: string, policy: Policy): string | undefined {
    if (!this.#isEndpoint(endpoint)) return undefined
    const name = policy.unrestricted ? endpoint : this.#names.of(endpoint, policy)
    return endpoint === WHOLE || (this.view(name)?.servers.size ?? 0) > 0 ? name : undefined
  }

  /** Until `of` can be answered at once; `undefined`: it can. Never rejects. */
  known(endpoint: string, policy: Policy): Promise<unknown> | undefined {
    if (!this.#isEndpoint(endpoint)) return undefined
    return this.ready(policy.unrestricted ? endpoint : this.#names.of(endpoint, policy))
  }

  /** The name of the same view for clients of a kind. */
  named(name: string, kind: ClientKind): string {
    return this.#names.ofKind(name, kind)
  }

  /** A view by its name. Made at once where it is not there yet. */
  view(name: string): View | undefined {
    return this.#known(name) ?? atOnce(this.#making(name))
  }

  /** Until the view of this name is made; `undefined`: it is there. Never rejects. */
  ready(name: string): Promise<unknown> | undefined {
    // What asks for the view hears why it cannot be made.
    return this.#known(name) ? undefined : this.#asked.do(() => this.#making(name)).catch(() => undefined)
  }

  /** A view by its name, once what is known now is shown. */
  async made(name: string): Promise<View | undefined> {
    if (this.#superseded && !this.#isCurrent(name)) await this.rebuild()
    if (this.#latest && !this.#isCurrent(name)) await this.#latest
    return this.#known(name) ?? (await this.#asked.do(() => this.#making(name)))
  }

  /**
   * Takes from the views of another configuration what is the same here, and merges the other endpoints that were in use there. Nothing changes for the former.
   * `samePolicies`: both have the same rules.
   */
  adopt(former: Views, samePolicies: boolean): Promise<void> {
    return this.#renewal.do(() => this.#adopting(former, samePolicies))
  }

  *#adopting(former: Views, samePolicies: boolean): Steps<void> {
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

  /** All of the configuration that shows in the views of an endpoint, apart from rules. */
  #shape(endpoint: string): string {
    const { maxNameLength, pageSize, ttlMs } = this.#options.config.gateway.catalog
    const servers = this.#membersOf(endpoint, undefined).map(({ server, prefix }) => {
      const hidden = server.tools.some(tool => tool.hidden) ? server.tools.map(t => [t.glob, t.hidden]) : []
      return [server.name, prefix, hidden, server.uriSchemes]
    })
    const match = this.#profiles.get(endpoint)?.match ?? []
    // A pattern may mean a server that is not in the profile.
    const all = match.length > 0 ? [...this.#servers.keys()] : []
    return JSON.stringify([maxNameLength, pageSize, ttlMs, this.#personal, servers, match, all])
  }

  /** Nobody is told of changes any more. A view is still made anew where a request asks for what has changed since. */
  supersede(): void {
    this.#superseded = true
    this.#outdated.clear()
  }

  /** Whether a replacement leaves the endpoint of a view as it is. */
  #isCurrent(name: string): boolean {
    const view = this.#endpoints.get(unrestricted(name))
    return !view || shows(view, this.#membersOf(endpointOf(name), kindIn(name)))
  }

  /** The result of a list method. @throws as `View.listing` */
  async list(view: View, kind: ListKind, revision: string, cursor: unknown): Promise<Buffer> {
    const kept = view.kept(kind, revision, cursor)
    return kept ?? (await this.#asked.do(() => view.listing(kind, revision, cursor)))
  }

  /** Lists that look different to clients in two views. */
  changed(before: View, after: View): Promise<ListKind[]> {
    return this.#asked.do(() => changes(before, after))
  }

  /** Looked up with every call. */
  #known(name: string): View | undefined {
    return this.#endpoints.get(name) ?? this.#restrictedViews.get(name)
  }

  /** Begins anew where the endpoint is replaced meanwhile. */
  *#making(name: string): Steps<View | undefined> {
    for (;;) {
      const known = this.#known(name)
      if (known) return known
      const endpoint = yield* this.#endpoint(unrestricted(name))
      if (!endpoint || unrestricted(name) === name) return endpoint
      // Kinds that share the view of the endpoint share this one as well.
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
   * Replaces the views of servers that show something else now; clients to whom they look different are told then. Until all are made, those of before serve.
   * Resolves when they are replaced. @throws what the making throws; nothing is replaced then
   */
  rebuild(): Promise<void> {
    if (!this.#replacement) {
      this.#replacement = this.#renewal.do(() => this.#replacing())
      const done = (): void => {
        if (this.#latest === latest) this.#latest = undefined
      }
      const latest = this.#replacement.then(done, done)
      this.#latest = latest
    }
    return this.#replacement
  }

  /** Until the views are those of what is known now; `undefined`: they are. Never rejects. */
  get upToDate(): Promise<void> | undefined {
    return this.#latest
  }

  *#replacing(): Steps<void> {
    // What becomes known from now on needs another one.
    this.#replacement = undefined
    const views = new Map<string, View>()
    // Views that are made meanwhile are among them.
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
      if (endpoint && !isKept(name) && !this.#outdated.has(name))
        this.#outdated.set(name, { view: this.#known(name), merged: endpoint.merged })
    }
    for (const name of this.#restrictedViews.keys()) if (!isKept(name)) this.#restrictedViews.delete(name)
    this.#endpoints = views
    if (!this.#comparing) void this.#compare()
  }

  /** Finds out which clients see a change. */
  async #compare(): Promise<void> {
    this.#comparing = true
    for (const [name, before] of this.#outdated) {
      this.#outdated.delete(name)
      try {
        const kinds = await this.#renewal.do(() => this.#changed(name, before))
        if (this.#closed) break
        if (kinds.length > 0) this.#options.onChange(name, kinds)
      } catch (error) {
        this.#options.logger.warn('It could not be found out whether lists look different now.', {
          cause: describeError(error),
        })
      }
    }
    this.#comparing = false
  }

  *#changed(name: string, { view: known, merged }: Former): Steps<ListKind[]> {
    const view = yield* this.#making(name)
    return view ? yield* changes(known ?? (yield* this.#restricted(merged, name)), view) : []
  }

  close(): void {
    this.#closed = true
  }

  #isEndpoint(name: string): boolean {
    return name === WHOLE || this.#servers.has(name) || this.#profiles.has(name)
  }

  /** Everything of an endpoint, as a kind of client is shown it. Begins anew where views are replaced meanwhile. */
  *#endpoint(name: string): Steps<View | undefined> {
    const kind = kindIn(name)
    for (;;) {
      const views = this.#endpoints
      const known = views.get(name)
      if (known || !this.#isEndpoint(endpointOf(name))) return known
      this.#kinds.add(kind)
      // What everyone is shown comes first, and what is made anew below is what differs.
      if (kind !== undefined) yield* this.#endpoint(endpointOf(name))
      const view = yield* this.#shown(name, views)
      if (views === this.#endpoints && !views.has(name)) views.set(name, view)
    }
  }

  /** One of these views, where a kind of client is shown the same; else the one of before, or a new one. */
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

  /** The servers of an endpoint, as they show themselves to a kind of client. */
  #membersOf(name: string, kind: ClientKind | undefined): Member[] {
    const { config, snapshot, variants } = this.#options
    const alone = this.#servers.get(name)
    const profile = this.#profiles.get(name)
    return (
      (alone ? [alone] : config.servers)
        .filter(server => !profile || profile.servers.includes(server.name))
        // Alone at its endpoint, a server keeps the names it uses itself.
        .map(server => ({
          server,
          prefix: alone ? (false as const) : server.prefix,
          snapshot: snapshot(server.name, kind),
          variants: variants(server.name),
        }))
    )
  }

  *#merging(name: string, members: readonly Member[]): Steps<EndpointCatalog> {
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

/** What clients knew of a view that has been replaced: the view, or, where it had been dropped, what it was made of. */
interface Former {
  readonly view: View | undefined
  readonly merged: EndpointCatalog
}

/** Whether a view of the same endpoint shows its servers as these members do. */
function shows({ merged }: View, members: readonly Member[]): boolean {
  const isShown = ({ snapshot, variants }: Member, shown?: Member): boolean =>
    isAlike(snapshot, shown?.snapshot) && haveSameResources(variants, shown?.variants)
  return members.every((member, at) => isShown(member, merged.members[at]))
}

/** Whether clients see the same of a server. */
function isAlike(a: ServerSnapshot | undefined, b: ServerSnapshot | undefined): boolean {
  return a === b || (a !== undefined && b !== undefined && sameLists(a, b) && sameCaching(a, b))
}

/** Lists that look different to clients in two views, found out with pauses. */
function* changes(before: View, after: View): Steps<ListKind[]> {
  if (before === after) return []
  yield* before.signing()
  yield* after.signing()
  return changedKinds(before, after)
}
