import type { ServerConfig } from '../config/types.ts'
import type { Logger } from '../core/logger.ts'
import { ITEM_KIND_OF, type ItemKind, type ListKind, type Route } from '../core/route.ts'
import { readingsOf } from '../core/uri-readings.ts'
import { matches, type Pattern } from '../policy/pattern.ts'
import { definitionAt, type Level } from '../protocol/levels.ts'
import { UriTemplate } from '../protocol/uri-template.ts'
import { listed, type Listed } from './listed.ts'
import { hiddenBy } from './hidden.ts'
import { exposedName, Namespaces, ownAlias } from './names.ts'
import type { ServerSnapshot } from './snapshot.ts'

/** One server's part of an endpoint. */
export interface Member {
  readonly server: ServerConfig
  readonly prefix: string | false
  /** `undefined` while the server has never been listed. */
  readonly snapshot: ServerSnapshot | undefined
}

export interface MergeOptions {
  readonly members: readonly Member[]
  readonly maxNameLength: number
  /** What of the servers belongs to the endpoint; everything when there are no patterns. */
  readonly selection?: readonly Pattern[]
  readonly logger: Logger
}

/** Longest URI of which an owner is looked for. One that a server lists may be longer. */
export const MAX_URI_CHARS = 8192

/** Whether a URI is one of the gateway itself: no server has it, whatever it lists or links. */
export function isReserved(uri: string): boolean {
  return /^\s*manifold:/i.test(uri)
}

/** Steps of the search for the owner of one URI, over all templates; hundreds of templates that nearly match a URI of ordinary length. */
const MAX_MATCH_STEPS = 20_000_000

interface Template {
  /** Its place in the list of templates. */
  readonly at: number
  readonly route: Route
  readonly template: UriTemplate
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
  readonly templates: readonly Template[]
  readonly #options: MergeOptions
  readonly #places: Readonly<Record<ListKind, ReadonlyMap<string, number>>>
  /** Places of tools by the name their server uses. */
  readonly #bare = new Map<string, number[]>()
  readonly #schemes = new Map<string, string[]>()
  /** Own URI → exposed URI, by server, where they differ. */
  readonly #renamed = new Map<string, Map<string, string>>()
  readonly #spaces: Namespaces
  readonly #leveled = new Map<string, readonly string[] | undefined>()

  constructor(options: MergeOptions) {
    this.#options = options
    this.members = options.members
    this.#spaces = new Namespaces(
      options.members.map(({ server, prefix }) => ({ name: server.name, prefix })),
    )
    this.lists = {
      tools: this.#named('tools'),
      prompts: this.#named('prompts'),
      resources: this.#located('resources'),
      resourceTemplates: this.#located('resourceTemplates'),
    }
    const places = (kind: ListKind): Map<string, number> =>
      new Map(this.lists[kind].map(({ route }, at) => [route.exposed, at]))
    this.#places = {
      tools: places('tools'),
      prompts: places('prompts'),
      resources: places('resources'),
      resourceTemplates: places('resourceTemplates'),
    }
    this.lists.tools.forEach(({ route }, at) => {
      // A name that belongs to one server never leads to another.
      if (this.#spaces.isForeign(route.server, route.own)) return
      const same = this.#bare.get(route.own)
      if (same) same.push(at)
      else this.#bare.set(route.own, [at])
    })
    this.templates = this.lists.resourceTemplates.flatMap(({ route }, at) => {
      const template = UriTemplate.parse(route.own)
      if (template) return { at, route, template }
      options.logger.warn(
        'A resource template cannot be parsed; it is listed, but reads are not routed by it.',
        {
          server: route.server,
        },
      )
      return []
    })
    for (const { server } of options.members)
      for (const scheme of server.uriSchemes)
        this.#schemes.set(scheme, [...(this.#schemes.get(scheme) ?? []), server.name])
  }

  /** Definitions of a list as an older revision has them, by place; `undefined` where that is as they are. */
  definitionsAt(level: Level, kind: ListKind): readonly string[] | undefined {
    const key = `${kind}:${level.revision}`
    if (!this.#leveled.has(key)) {
      const texts = this.lists[kind].map(({ legacy }) => definitionAt(level, legacy))
      const differs = texts.some((text, at) => text !== this.lists[kind][at]?.legacy)
      this.#leveled.set(key, differs ? texts : undefined)
    }
    return this.#leveled.get(key)
  }

  /** Place in its list of what clients know by this name, URI or template. */
  placeOf(kind: ListKind, exposed: string): number | undefined {
    return this.#places[kind].get(exposed)
  }

  /** Places of the tools whose servers know them by this name. */
  bareTools(own: string): readonly number[] {
    return this.#bare.get(own) ?? []
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
    for (const { route, template } of this.templates) {
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
    return this.#spaces.ownerOf(name)
  }

  /** Whether a server belongs to the endpoint. */
  has(server: string): boolean {
    return this.members.some(member => member.server.name === server)
  }

  /** Whether a thing of a server belongs to the endpoint. */
  selects(kind: ItemKind, server: string, name: string): boolean {
    const { selection = [] } = this.#options
    if (selection.length === 0) return true
    const texts = (kind === 'resource' && readingsOf(name)?.same) || [name]
    return texts.every(text => selection.some(pattern => matches(pattern, kind, server, text, text !== name)))
  }

  /** Whether anything of that kind may. */
  selectsSome(kind: ItemKind, server: string): boolean {
    const { selection = [] } = this.#options
    return (
      selection.length === 0 ||
      selection.some(
        pattern => (pattern.kind === undefined || pattern.kind === kind) && pattern.server(server),
      )
    )
  }

  /** Only a part of its servers belongs to the endpoint. */
  get isSelection(): boolean {
    return (this.#options.selection ?? []).length > 0
  }

  /** Maps the URIs of a server's results to those clients see; `undefined` when none of them differs. */
  uriMap(server: string): ((uri: string) => string) | undefined {
    const renamed = this.#renamed.get(server)
    return renamed && (uri => renamed.get(uri) ?? uri)
  }

  /** Says how URIs of a server are renamed: equal texts rename equally. `''` where none is. */
  urisKey(server: string): string {
    const renamed = this.#renamed.get(server)
    return renamed ? JSON.stringify([...renamed]) : ''
  }

  #named(kind: 'tools' | 'prompts'): Listed[] {
    const { members: parts, maxNameLength, logger } = this.#options
    const taken = new Map<string, string>()
    const list: Listed[] = []
    for (const { server, prefix, snapshot } of parts) {
      const hidden = hiddenBy(server)
      for (const entry of snapshot?.lists[kind] ?? []) {
        if (!this.selects(ITEM_KIND_OF[kind], server.name, entry.key)) continue
        if (kind === 'tools' && hidden(entry.key)) continue
        let exposed = exposedName(server.name, prefix, entry.key, maxNameLength)
        if (taken.has(exposed) || this.#spaces.isForeign(server.name, exposed)) {
          const other = ownAlias({ name: server.name, prefix }, entry.key, maxNameLength, this.#spaces)
          const isFree = !taken.has(other)
          logger.warn('A name is that of another server; the one that does not own it gets an alias.', {
            list: kind,
            name: exposed,
            owner: taken.get(exposed) ?? this.#spaces.ownerOf(exposed),
            server: server.name,
            alias: isFree ? other : 'none, it is left out',
          })
          if (!isFree) continue
          exposed = other
        }
        taken.set(exposed, server.name)
        list.push(listed(kind, server.name, entry, exposed, snapshot?.era === 'modern'))
      }
    }
    return list
  }

  /** The other server that a URI is marked for, as the gateway marks those of two servers. */
  #markedFor(uri: string, server: string): string | undefined {
    const plus = uri.indexOf('+')
    const marked = plus < 0 ? undefined : uri.slice(0, plus)
    return marked !== undefined && marked !== server && this.has(marked) ? marked : undefined
  }

  #located(kind: 'resources' | 'resourceTemplates'): Listed[] {
    const owners = new Map<string, string>()
    const list: Listed[] = []
    for (const { server, snapshot } of this.#options.members) {
      for (const entry of snapshot?.lists[kind] ?? []) {
        if (!this.selects('resource', server.name, entry.key)) continue
        if (isReserved(entry.key)) {
          this.#options.logger.warn('A URI is one of the gateway itself; the resource is left out.', {
            list: kind,
            server: server.name,
            uri: entry.key,
          })
          continue
        }
        let exposed = entry.key
        const owner = owners.get(exposed) ?? this.#markedFor(entry.key, server.name)
        if (owner !== undefined) {
          exposed = `${server.name}+${entry.key}`
          this.#options.logger.warn(
            'Two servers offer the same URI; the later one is reached by its name and the URI.',
            {
              list: kind,
              uri: entry.key,
              first: owner,
              server: server.name,
              exposed,
            },
          )
          const renamed = this.#renamed.get(server.name) ?? new Map<string, string>()
          this.#renamed.set(server.name, renamed.set(entry.key, exposed))
        }
        owners.set(exposed, server.name)
        list.push(listed(kind, server.name, entry, exposed, snapshot?.era === 'modern'))
      }
    }
    return list
  }
}
