import { createHash } from 'node:crypto'
import type { JsonObject } from '../core/exchange.ts'
import {
  ITEM_KINDS,
  LIST_KINDS,
  type Decision,
  type ItemKind,
  type ListKind,
  type Route,
} from '../core/route.ts'
import { atOnce, STRIDE, type Steps } from '../core/slices.ts'
import { MAX_URI_CHARS } from '../core/uri-readings.ts'
import { cachingMembers, type Caching } from '../protocol/caching.ts'
import { definitionAt, revisionProfile, type RevisionProfile } from '../protocol/revision-profile.ts'
import { isModernVersion, LATEST_LEGACY, META } from '../protocol/revisions.ts'
import type { Policy } from '../policy/policy.ts'
import { mergedCapabilities } from './capabilities.ts'
import { mergedCaching } from './freshness.ts'
import { mergedInstructions } from './instructions.ts'
import type { CatalogEntry } from './catalog-entry.ts'
import { isReserved, type EndpointMember, type EndpointCatalog } from './endpoint-catalog.ts'
import { cursorAt, Definitions, offsetOf } from './page.ts'
import { similarNames } from './similar.ts'
import { ResourceRules } from './resource-rules.ts'
import { HIDDEN, isPermitted, judged, SEEN, type States } from './visibility.ts'

export interface ViewOptions {
  /** Identifies the view: its endpoint and its policy. */
  readonly name: string
  readonly merged: EndpointCatalog
  /** `undefined`: everything is visible. */
  readonly policy: Policy | undefined
  readonly pageSize: number
  /** Time to live of a list whose server gives none. 0: not known. */
  readonly ttlMs: number
  /** Whether other callers may see something else at the same endpoint. */
  readonly personal: boolean
  /** Raw JSON of the gateway's `serverInfo`. */
  readonly serverInfo: string
  /** Cache of serialised pages. Default: one that lives as long as the view. */
  readonly pages?: Pages | undefined
}

/** Cache of serialised pages of lists. May drop pages. */
export interface Pages {
  get(key: string): Buffer | undefined
  set(key: string, page: Buffer): unknown
}

const OPEN: Decision = { verdict: 'allow', rule: 'default', shadowed: undefined }

/** Maximum number of names whose rule is cached. */
const MAX_RULES = 500

let views = 0

/**
 * The part of an endpoint that a client sees: all items except those that the client's rules deny in every call. Denied
 * items are looked up like those that do not exist, with the same result. The view itself stores only one byte for each
 * entry.
 */
export class View {
  readonly name: string
  /** Everything that the endpoint has. */
  readonly merged: EndpointCatalog
  /** Servers with visible items, or with items that may be visible once they are listed. */
  readonly servers: ReadonlySet<string>
  /** Servers that have never been listed and may have visible items. */
  readonly missing: readonly string[]
  readonly #options: ViewOptions
  readonly #policy: Policy | undefined
  /** Absent when everything is visible. */
  readonly #states: States | undefined
  /** Absent when everything is visible. */
  readonly #resources: ResourceRules | undefined
  readonly #counts: Readonly<Record<ListKind, number>>
  readonly #members: readonly EndpointMember[]
  readonly #pages: Pages
  readonly #id = ++views
  readonly #signatures = new Map<ListKind, string>()
  readonly #rules = new Map<string, string>()
  /** Routes whose rules are checked at each call. The same object each time, so that other parts can cache by it. */
  readonly #checked = new Map<CatalogEntry, Route>()

  /** Creates a view, with pauses. */
  static *making(options: ViewOptions): Steps<View> {
    const { merged, policy } = options
    if (!policy || policy.unrestricted) return new View(options)
    return new View(options, yield* judged(merged, policy), yield* ResourceRules.making(merged, policy))
  }

  private constructor(options: ViewOptions, states?: States, resources?: ResourceRules) {
    const { merged, policy } = options
    this.#options = options
    this.merged = merged
    this.#policy = states && policy
    this.name = options.name
    this.#pages = options.pages ?? new Map<string, Buffer>()
    this.#states = states
    this.#resources = resources
    this.#counts = {
      tools: this.#countOf('tools'),
      prompts: this.#countOf('prompts'),
      resources: this.#countOf('resources'),
      resourceTemplates: this.#countOf('resourceTemplates'),
    }
    this.servers = this.#visible()
    this.#members = merged.members.filter(({ server }) => this.servers.has(server.name))
    this.missing = this.#members.filter(member => !member.snapshot).map(member => member.server.name)
  }

  get instructions(): string | undefined {
    const counts = new Map<string, number>()
    for (const { server } of this.entries('tools')) counts.set(server, (counts.get(server) ?? 0) + 1)
    return mergedInstructions(
      this.#members.flatMap(({ server, prefix, snapshot }) =>
        snapshot
          ? {
              name: server.name,
              prefix,
              instructions: snapshot.instructions,
              tools: counts.get(server.name) ?? 0,
            }
          : [],
      ),
    )
  }

  /** Visible entries of a list. */
  entries(kind: ListKind): readonly CatalogEntry[] {
    const states = this.#states?.[kind]
    const list = this.merged.lists[kind]
    return states ? list.filter((_, at) => states[at] !== HIDDEN) : list
  }

  /** Names of visible entries that are nearest to an unknown name. */
  similar(kind: 'tools' | 'prompts', name: string): string[] {
    return similarNames(name, this.entries(kind))
  }

  /** A tool by its exposed name, or by its own name where only one server has it, as apps of a server use it. */
  tool(name: string): Route | undefined {
    const exposed = this.#at('tools', this.merged.indexOf('tools', name))
    if (exposed) return exposed
    let only: Route | undefined
    for (const at of this.merged.bareTools(name)) {
      const route = this.#at('tools', at)
      if (route && only) return undefined
      only ??= route
    }
    return only
  }

  /** A tool of a server, by the name that the server uses. */
  toolOf(server: string, own: string): Route | undefined {
    for (const at of this.merged.bareTools(own)) {
      const route = this.#at('tools', at)
      if (route?.server === server) return route
    }
    return undefined
  }

  /** Whether the client may use a tool, as far as no arguments decide it (`visibility.ts`). */
  permits(server: string, own: string): boolean {
    const route = this.toolOf(server, own)
    return this.servers.has(server) && isPermitted(this.merged, this.#policy, route, server, own)
  }

  prompt(name: string): Route | undefined {
    return this.#at('prompts', this.merged.indexOf('prompts', name))
  }

  /** A template by its exposed text, which `completion/complete` refers to. */
  template(uriTemplate: string): Route | undefined {
    return this.#at('resourceTemplates', this.merged.indexOf('resourceTemplates', uriTemplate))
  }

  /** Number of entries of a list. */
  count(kind: ListKind): number {
    return this.#counts[kind]
  }

  /** A resource that a server lists. */
  listed(uri: string): Route | undefined {
    return this.#at('resources', this.merged.indexOf('resources', uri))
  }

  /** The owner of a resource that no server lists: by template, by configured scheme, or as the only server. */
  unlisted(uri: string): Route | undefined {
    for (const route of this.merged.owners(uri)) {
      const seen = this.ownedBy(route)
      if (seen) return seen
    }
    const [only, ...others] = this.servers
    return only !== undefined && others.length === 0 && uri.length <= MAX_URI_CHARS
      ? this.ownedBy({ server: only, own: uri, exposed: uri })
      : undefined
  }

  /** A resource that a server has linked in a result. `undefined`: another server owns it. */
  linked(server: string | undefined, uri: string): Route | undefined {
    return server !== undefined && this.merged.mayLink(server, uri)
      ? this.ownedBy({ server, own: uri, exposed: uri })
      : undefined
  }

  /** The route to a resource if the client may read it: by its URI, and by its definition where the server lists it. */
  ownedBy(route: Route): Route | undefined {
    const { server, own } = route
    if (isReserved(own)) return undefined
    if (!this.merged.has(server) || !this.merged.selects('resource', server, own)) return undefined
    return this.#resources ? this.#resources.seen(route) : route
  }

  /** Whether the client may receive notifications of a resource. `own` is the URI at its server. */
  receivesUpdates(server: string, own: string): boolean {
    return this.ownedBy({ server, own, exposed: own }) !== undefined
  }

  /**
   * The decision of the rules on an item that a client has named, visible or not. `undefined`: there is no item of that
   * name. For the audit log only: answers to clients come from the look-ups.
   */
  decisionOn(kind: 'tools' | 'prompts' | 'resources', name: string): Decision | undefined {
    const indexes = [
      this.merged.indexOf(kind, name) ?? (kind === 'tools' ? this.merged.bareTools(name) : []),
    ].flat()
    const entry = indexes.length === 1 ? this.merged.lists[kind][indexes[0] as number] : undefined
    if (entry) return this.#policy?.decide(entry) ?? OPEN
    if (kind !== 'resources') return undefined
    for (const route of this.merged.owners(name)) return this.#resources?.decide(route) ?? OPEN
    return undefined
  }

  /**
   * Position of the rule that shows or hides an item. `undefined`: no rules or no such item. For the audit log only.
   */
  ruleOn(kind: 'tools' | 'prompts' | 'resources', name: string): string | undefined {
    if (!this.#policy) return undefined
    const key = `${kind} ${name}`
    let rule = this.#rules.get(key)
    if (rule === undefined) {
      rule = this.decisionOn(kind, name)?.rule
      if (this.#rules.size >= MAX_RULES) this.#rules.clear()
      if (rule !== undefined) this.#rules.set(key, rule)
    }
    return rule
  }

  /** Maps the URIs in a server's results to exposed URIs. `undefined`: none of them differs. */
  uriMap(server: string): ((uri: string) => string) | undefined {
    return this.merged.uriMap(server)
  }

  /** Signature of a list. It changes exactly when the list changes for clients. */
  signature(kind: ListKind): string {
    return this.#signatures.get(kind) ?? atOnce(this.#signing(kind))
  }

  /** Computes the signatures that `changedKinds` needs, with pauses. */
  *signing(): Steps<void> {
    for (const kind of LIST_KINDS) yield* this.#signing(kind)
  }

  *#signing(kind: ListKind): Steps<string> {
    const known = this.#signatures.get(kind)
    if (known !== undefined) return known
    const states = this.#states?.[kind]
    const hash = createHash('sha256')
    for (const [at, entry] of this.merged.lists[kind].entries()) {
      if ((at + 1) % STRIDE === 0) yield
      if (states?.[at] !== HIDDEN) entry.describe(hash)
    }
    const signature = hash.digest('base64url')
    this.#signatures.set(kind, signature)
    return signature
  }

  /** Time to live and scope, for modern clients, of a list or of the discovery. */
  caching(of: ListKind | 'discover'): Caching {
    const { ttlMs, personal } = this.#options
    return mergedCaching(of, this.#members, ttlMs, personal || this.#policy !== undefined)
  }

  /**
   * The result of a list method. Built with pauses, once per view, era and page, and separately for an older revision
   * where its text differs.
   * @throws GatewayError `invalid_params` for a cursor that does not belong to the current list
   */
  *listing(kind: ListKind, revision: string, cursor: unknown): Steps<Buffer> {
    if (cursor !== undefined) yield* this.#signing(kind)
    return yield* this.#paging(kind, revision, this.#offsetOf(kind, cursor))
  }

  /** The same from the cache. `undefined`: not cached. @throws as `listing` */
  kept(kind: ListKind, revision: string, cursor: unknown): Buffer | undefined {
    if (cursor !== undefined && !this.#signatures.has(kind)) return undefined
    return this.#pages.get(this.#pageKey(kind, revision, this.#offsetOf(kind, cursor)))
  }

  /**
   * Union of the capabilities of the servers. Everything is offered while any server has never been listed, because a
   * legacy client receives capabilities only once.
   */
  capabilities(protocolVersion: string): JsonObject {
    const maySee = (server: string, kind: ItemKind): boolean => this.#maySee(server, kind)
    return mergedCapabilities({ members: this.#members, missing: this.missing, maySee }, protocolVersion)
  }

  #offsetOf(kind: ListKind, cursor: unknown): number {
    return cursor === undefined ? 0 : offsetOf(cursor, this.count(kind), this.signature(kind))
  }

  #pageKey(kind: ListKind, revision: string, offset: number): string {
    const era = isModernVersion(revision) ? 'm' : 'l'
    return `${this.#id}:${kind}:${era}${revisionProfile(revision)?.revision ?? ''}:${offset}`
  }

  *#paging(kind: ListKind, revision: string, offset: number): Steps<Buffer> {
    const key = this.#pageKey(kind, revision, offset)
    const known = this.#pages.get(key)
    if (known) return known
    const level = revisionProfile(revision)
    const made = yield* this.#page(kind, isModernVersion(revision), level, offset)
    // Most lists have the same text in all legacy revisions.
    const newest = level && (yield* this.#paging(kind, LATEST_LEGACY, offset))
    const page = newest?.equals(made) ? newest : made
    this.#pages.set(key, page)
    return page
  }

  #countOf(kind: ListKind): number {
    const states = this.#states?.[kind]
    if (!states) return this.merged.lists[kind].length
    let count = 0
    for (const state of states) if (state !== HIDDEN) count++
    return count
  }

  #at(kind: ListKind, index: number | undefined): Route | undefined {
    const entry = index === undefined ? undefined : this.merged.lists[kind][index]
    if (!entry || !this.#states) return entry?.route
    const state = this.#states[kind][index as number]
    if (state === HIDDEN) return undefined
    if (state === SEEN) return entry.route
    let route = this.#checked.get(entry)
    if (!route) {
      route = { ...entry.route, check: (this.#policy as Policy).about(entry) }
      this.#checked.set(entry, route)
    }
    return route
  }

  #visible(): Set<string> {
    const { members } = this.merged
    if (!this.#states && !this.merged.isSelection) return new Set(members.map(({ server }) => server.name))
    const seen = new Set<string>()
    for (const kind of LIST_KINDS)
      for (const [at, { server }] of this.merged.lists[kind].entries())
        if (this.#states?.[kind][at] !== HIDDEN) seen.add(server)
    const visible = members.filter(({ server, snapshot }) => {
      if (seen.has(server.name)) return true
      if (!snapshot) return ITEM_KINDS.some(kind => this.#maySee(server.name, kind))
      // The server may have resources that it does not list.
      const unlisted = 'resources' in snapshot.capabilities || server.uriSchemes.length > 0
      return (
        unlisted &&
        this.#maySee(server.name, 'resource') &&
        (this.#policy?.maySeeUnlisted(server.name) ?? true)
      )
    })
    return new Set(visible.map(({ server }) => server.name))
  }

  #maySee(server: string, kind: ItemKind): boolean {
    return this.merged.selectsSome(kind, server) && (this.#policy?.maySee(server, kind) ?? true)
  }

  *#page(kind: ListKind, modern: boolean, level: RevisionProfile | undefined, offset: number): Steps<Buffer> {
    const { pageSize, serverInfo } = this.#options
    const states = this.#states?.[kind]
    const definitions = new Definitions()
    let before = 0
    for (const [at, entry] of this.merged.lists[kind].entries()) {
      if (states?.[at] === HIDDEN || before++ < offset) continue
      if (definitions.count >= pageSize) break
      const text = modern ? entry.modern : entry.legacy
      if (!definitions.add(level ? definitionAt(level, text) : text)) break
      if (definitions.count % STRIDE === 0) yield
    }
    const end = offset + definitions.count
    let after = ']'
    if (end < this.count(kind))
      after += `,"nextCursor":${JSON.stringify(cursorAt(end, yield* this.#signing(kind)))}`
    if (!modern) return definitions.between(`{"${kind}":[`, `${after}}`)
    const caching = cachingMembers(this.caching(kind))
    after += `,${caching},"_meta":{"${META.serverInfo}":${serverInfo}}}`
    return definitions.between(`{"resultType":"complete","${kind}":[`, after)
  }
}
