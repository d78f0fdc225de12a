import type { ServerConfig } from '../config/types.ts'
import type { Logger } from '../core/logger.ts'
import type { ItemKind, ListKind, Route } from '../core/route.ts'
import { MAX_URI_CHARS } from '../core/uri-readings.ts'
import type { CatalogEntry } from './catalog-entry.ts'
import type { Namespaces } from './names.ts'
import type { Selection } from './selection.ts'
import type { ServerSnapshot } from './snapshot.ts'
import { MAX_MATCH_STEPS, type Claim, type TemplateIndex } from './template-claims.ts'

/** One server's part of an endpoint. */
export interface EndpointMember {
  readonly server: ServerConfig
  readonly prefix: string | false
  /** `undefined` while the server has never been listed. */
  readonly snapshot: ServerSnapshot | undefined
  /** Snapshots of the server for every kind of client. */
  readonly variants?: readonly ServerSnapshot[]
  /** Whether it has never been listed because it needs a login. */
  readonly needsLogin?: boolean
}

/** Whether a URI belongs to the gateway itself. No server owns such a URI, even if it lists or links it. */
export function isReserved(uri: string): boolean {
  return /^\s*manifold:/i.test(uri)
}

/** The merged lists of several servers. */
export interface Content {
  readonly spaces: Namespaces
  readonly lists: Readonly<Record<ListKind, readonly CatalogEntry[]>>
  /** Index in its list of each entry, by the exposed name. */
  readonly indexes: Readonly<Record<ListKind, ReadonlyMap<string, number>>>
  /** Indexes of tools by the name that their server uses. */
  readonly bare: ReadonlyMap<string, readonly number[]>
  readonly templates: TemplateIndex
  /** Own URI → exposed URI, by server, where the two differ. */
  readonly renamed: ReadonlyMap<string, ReadonlyMap<string, string>>
}

/** Servers that may own a URI. */
interface Claims {
  readonly known: readonly Claim[]
  /** Claims that the look-up did not decide within its bounds. */
  readonly open: readonly Claim[]
}

const NO_CLAIMS: Claims = { known: [], open: [] }

/**
 * Everything that an endpoint has: the snapshots of its servers in one catalogue, with the routes back to them.
 * Deterministic: servers in the order of the configuration, entries in the order of their server. All clients of the
 * endpoint share it, and names are the same for all of them.
 */
export class EndpointCatalog {
  readonly members: readonly EndpointMember[]
  readonly lists: Readonly<Record<ListKind, readonly CatalogEntry[]>>
  readonly #content: Content
  readonly #selection: Selection
  readonly #schemes = new Map<string, string[]>()

  readonly #logger: Logger
  /** Servers whose templates exceeded the bounds of a look-up. */
  readonly #exceeding = new Set<string>()
  #last: { readonly uri: string; readonly claims: Claims } | undefined

  constructor(members: readonly EndpointMember[], selection: Selection, content: Content, logger: Logger) {
    this.members = members
    this.lists = content.lists
    this.#content = content
    this.#selection = selection
    this.#logger = logger
    for (const { server } of members)
      for (const scheme of server.uriSchemes)
        this.#schemes.set(scheme, [...(this.#schemes.get(scheme) ?? []), server.name])
  }

  /** Index of the entry with this exposed name, URI or template in its list. */
  indexOf(kind: ListKind, exposed: string): number | undefined {
    return this.#content.indexes[kind].get(exposed)
  }

  /** Indexes of the tools that have this name at their server. */
  bareTools(own: string): readonly number[] {
    return this.#content.bare.get(own) ?? []
  }

  /**
   * Possible owners of a resource that no server lists, the likeliest first: by template, then by configured scheme.
   * Empty for a URI of more than `MAX_URI_CHARS`.
   */
  owners(uri: string): readonly Route[] {
    return this.#claimsOf(uri).known.map(({ route }) => route)
  }

  #claimsOf(uri: string): Claims {
    // Several parts of the gateway ask for the same URI during one request.
    if (this.#last?.uri !== uri) this.#last = { uri, claims: this.#claims(uri) }
    return this.#last.claims
  }

  #claims(uri: string): Claims {
    if (uri.length > MAX_URI_CHARS || isReserved(uri)) return NO_CLAIMS
    const { claims, open } = this.#content.templates.claims(uri)
    for (const { route } of open) this.#gaveUp(route.server)
    const scheme = uri.slice(0, Math.max(0, uri.indexOf(':')))
    const configured = (this.#schemes.get(scheme) ?? []).map(server => ({
      route: { server, own: uri, exposed: uri },
      named: scheme.length + 1,
    }))
    return { known: [...claims, ...configured], open }
  }

  #gaveUp(server: string): void {
    if (this.#exceeding.has(server)) return
    this.#exceeding.add(server)
    this.#logger.warn(
      'The resource templates of a server take more steps to match with a URI than its share of a look-up; those beyond are passed over.',
      { server, maxSteps: MAX_MATCH_STEPS },
    )
  }

  /**
   * Whether a server may own a resource that it links. Not if another server lists the URI, nor if a template or scheme
   * of another server matches it more closely than its own do. Between equal matches the link decides. Matches left
   * undecided within the bounds count for the other servers only.
   */
  mayLink(server: string, uri: string): boolean {
    if (this.indexOf('resources', uri) !== undefined) return false
    let own = -1
    let others = -1
    const { known, open } = this.#claimsOf(uri)
    for (const { route, named } of known)
      if (route.server === server) own = Math.max(own, named)
      else others = Math.max(others, named)
    for (const { route, named } of open) if (route.server !== server) others = Math.max(others, named)
    return own >= others
  }

  /** The server that a name belongs to by its prefix, whether or not the server has such an item. */
  ownerOf(name: string): string | undefined {
    return this.#content.spaces.ownerOf(name)
  }

  /** Whether a server belongs to the endpoint. */
  has(server: string): boolean {
    return this.member(server) !== undefined
  }

  /** A server's part of the endpoint. */
  member(server: string): EndpointMember | undefined {
    return this.members.find(member => member.server.name === server)
  }

  /** Whether the endpoint includes this item of a server. */
  selects(kind: ItemKind, server: string, name: string): boolean {
    return this.#selection.has(kind, server, name)
  }

  /** Whether the endpoint may include any item of that kind. */
  selectsSome(kind: ItemKind, server: string): boolean {
    return this.#selection.hasSome(kind, server)
  }

  /** Whether the endpoint includes only a part of its servers. */
  get isSelection(): boolean {
    return this.#selection.isPart
  }

  /** Maps the URIs in a server's results to exposed URIs. `undefined`: none of them differs. */
  uriMap(server: string): ((uri: string) => string) | undefined {
    const renamed = this.#content.renamed.get(server)
    return renamed && (uri => renamed.get(uri) ?? uri)
  }

  /** Key of the renaming of a server's URIs: equal keys rename equally. `''`: no URI is renamed. */
  urisKey(server: string): string {
    const renamed = this.#content.renamed.get(server)
    return renamed ? JSON.stringify([...renamed]) : ''
  }
}
