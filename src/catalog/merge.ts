import type { ServerConfig } from '../config/types.ts'
import type { ItemKind, ListKind, Route } from '../core/route.ts'
import { MAX_URI_CHARS } from '../core/uri-readings.ts'
import type { UriTemplate } from '../protocol/uri-template.ts'
import type { Listed } from './listed.ts'
import type { Namespaces } from './names.ts'
import type { Selection } from './selection.ts'
import type { ServerSnapshot } from './snapshot.ts'

/** One server's part of an endpoint. */
export interface Member {
  readonly server: ServerConfig
  readonly prefix: string | false
  /** `undefined` while the server has never been listed. */
  readonly snapshot: ServerSnapshot | undefined
}

/** Whether a URI is one of the gateway itself: no server has it, whatever it lists or links. */
export function isReserved(uri: string): boolean {
  return /^\s*manifold:/i.test(uri)
}

/** Steps of the search for the owner of one URI, over all templates; hundreds of templates that nearly match a URI of ordinary length. */
const MAX_MATCH_STEPS = 20_000_000

export interface Template {
  /** Its place in the list of templates. */
  readonly at: number
  readonly route: Route
  readonly template: UriTemplate
}

/** What the lists of servers are together. */
export interface Content {
  readonly spaces: Namespaces
  readonly lists: Readonly<Record<ListKind, readonly Listed[]>>
  /** Places in a list by what clients know. */
  readonly places: Readonly<Record<ListKind, ReadonlyMap<string, number>>>
  /** Places of tools by the name their server uses. */
  readonly bare: ReadonlyMap<string, readonly number[]>
  readonly templates: readonly Template[]
  /** Own URI → exposed URI, by server, where they differ. */
  readonly renamed: ReadonlyMap<string, ReadonlyMap<string, string>>
}

/** Why a server may have a URI. */
interface Claim {
  readonly route: Route
  /** Characters at the begin of the URI that the template or the scheme says literally. */
  readonly named: number
}

/**
 * Everything that an endpoint has: the snapshots of its servers in one, with the routes back to them. Deterministic: servers in the order of the configuration,
 * entries in the order of their server. Made once for all who come to the endpoint; names are the same for everyone.
 */
export class Merged {
  readonly members: readonly Member[]
  readonly lists: Readonly<Record<ListKind, readonly Listed[]>>
  readonly #content: Content
  readonly #selection: Selection
  readonly #schemes = new Map<string, string[]>()

  constructor(members: readonly Member[], selection: Selection, content: Content) {
    this.members = members
    this.lists = content.lists
    this.#content = content
    this.#selection = selection
    for (const { server } of members)
      for (const scheme of server.uriSchemes)
        this.#schemes.set(scheme, [...(this.#schemes.get(scheme) ?? []), server.name])
  }

  /** Place in its list of what clients know by this name, URI or template. */
  placeOf(kind: ListKind, exposed: string): number | undefined {
    return this.#content.places[kind].get(exposed)
  }

  /** Places of the tools whose servers know them by this name. */
  bareTools(own: string): readonly number[] {
    return this.#content.bare.get(own) ?? []
  }

  /**
   * Who may have a resource that no server lists, likeliest first: by template, then by configured scheme. None for a URI of more than `MAX_URI_CHARS`.
   */
  *owners(uri: string): Generator<Route> {
    for (const { route } of this.#claims(uri)) yield route
  }

  *#claims(uri: string): Generator<Claim> {
    if (uri.length > MAX_URI_CHARS || isReserved(uri)) return
    let stepsLeft = MAX_MATCH_STEPS
    for (const { route, template } of this.#content.templates) {
      const marker = route.exposed === route.own ? '' : `${route.server}+`
      if (!uri.startsWith(marker)) continue
      const own = uri.slice(marker.length)
      if (!template.mayMatch(own)) continue
      stepsLeft -= template.cost(own.length)
      if (stepsLeft < 0) break
      if (template.matches(own))
        yield {
          route: { server: route.server, own, exposed: uri },
          named: marker.length + template.head.length,
        }
    }
    const scheme = uri.slice(0, Math.max(0, uri.indexOf(':')))
    for (const server of this.#schemes.get(scheme) ?? [])
      yield { route: { server, own: uri, exposed: uri }, named: scheme.length + 1 }
  }

  /**
   * Whether a server may have a resource that it links: nothing that another one lists, nor what a template or scheme of another one names more
   * closely than its own do. Between equal ones the link decides.
   */
  mayLink(server: string, uri: string): boolean {
    if (this.placeOf('resources', uri) !== undefined) return false
    let own = -1
    let others = -1
    for (const { route, named } of this.#claims(uri))
      if (route.server === server) own = Math.max(own, named)
      else others = Math.max(others, named)
    return own >= others
  }

  /** The server that a name belongs to by its prefix, whether it has such a thing or not. */
  ownerOf(name: string): string | undefined {
    return this.#content.spaces.ownerOf(name)
  }

  /** Whether a server belongs to the endpoint. */
  has(server: string): boolean {
    return this.members.some(member => member.server.name === server)
  }

  /** Whether a thing of a server belongs to the endpoint. */
  selects(kind: ItemKind, server: string, name: string): boolean {
    return this.#selection.has(kind, server, name)
  }

  /** Whether anything of that kind may. */
  selectsSome(kind: ItemKind, server: string): boolean {
    return this.#selection.hasSome(kind, server)
  }

  /** Only a part of its servers belongs to the endpoint. */
  get isSelection(): boolean {
    return this.#selection.isPart
  }

  /** Maps the URIs of a server's results to those clients see; `undefined` when none of them differs. */
  uriMap(server: string): ((uri: string) => string) | undefined {
    const renamed = this.#content.renamed.get(server)
    return renamed && (uri => renamed.get(uri) ?? uri)
  }

  /** Says how URIs of a server are renamed: equal texts rename equally. `''` where none is. */
  urisKey(server: string): string {
    const renamed = this.#content.renamed.get(server)
    return renamed ? JSON.stringify([...renamed]) : ''
  }
}
