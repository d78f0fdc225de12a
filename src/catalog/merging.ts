import { describeError } from '../core/errors.ts'
import type { Logger } from '../core/logger.ts'
import { ITEM_KIND_OF, type ListKind } from '../core/route.ts'
import { Stride, type Steps } from '../core/slices.ts'
import type { Pattern } from '../policy/pattern.ts'
import { UriTemplate } from '../protocol/uri-template.ts'
import { hiddenBy } from './hidden.ts'
import { catalogEntry, type CatalogEntry } from './catalog-entry.ts'
import { isReserved, EndpointCatalog, type Content, type EndpointMember } from './endpoint-catalog.ts'
import { loginEntry, LOGIN_TOOL } from './login-tool.ts'
import { exposedName, Namespaces, ownAlias } from './names.ts'
import { Selection } from './selection.ts'
import type { Entry } from './snapshot.ts'
import { TemplateIndex } from './template-claims.ts'

export interface MergeOptions {
  readonly members: readonly EndpointMember[]
  readonly maxNameLength: number
  /** Patterns of the items that belong to the endpoint. Absent or empty: all items belong to it. */
  readonly selection?: readonly Pattern[]
  readonly logger: Logger
}

/** Merges the lists of servers, with pauses. */
export function* merging(options: MergeOptions): Steps<EndpointCatalog> {
  const merge = new Merge(options)
  yield* merge.take()
  return new EndpointCatalog(options.members, merge.selection, merge, options.logger)
}

/** A merge in progress. */
class Merge implements Content {
  readonly lists: Record<ListKind, CatalogEntry[]> = {
    tools: [],
    prompts: [],
    resources: [],
    resourceTemplates: [],
  }
  readonly indexes: Record<ListKind, Map<string, number>> = {
    tools: new Map(),
    prompts: new Map(),
    resources: new Map(),
    resourceTemplates: new Map(),
  }
  readonly bare = new Map<string, number[]>()
  readonly templates = new TemplateIndex()
  readonly renamed = new Map<string, Map<string, string>>()
  readonly selection: Selection
  readonly spaces: Namespaces
  readonly #options: MergeOptions
  readonly #servers: ReadonlySet<string>
  readonly #stride = new Stride()

  constructor(options: MergeOptions) {
    const { members, selection } = options
    this.#options = options
    this.selection = new Selection(selection)
    this.spaces = new Namespaces(members.map(({ server, prefix }) => ({ name: server.name, prefix })))
    this.#servers = new Set(members.map(({ server }) => server.name))
  }

  *take(): Steps<void> {
    for (const kind of ['tools', 'prompts', 'resources', 'resourceTemplates'] as const)
      for (const member of this.#options.members) {
        if (kind === 'tools' && member.needsLogin === true) this.#addLogin(member)
        const isHidden = kind === 'tools' ? hiddenBy(member.server) : () => false
        for (const entry of member.snapshot?.lists[kind] ?? []) {
          // The time to process a URI or template grows with its length.
          if (this.#stride.isOver(entry.key.length)) yield
          try {
            if (this.selection.has(ITEM_KIND_OF[kind], member.server.name, entry.key) && !isHidden(entry.key))
              this.#addEntry(kind, member, entry)
          } catch (error) {
            this.#options.logger.warn(
              'A definition cannot be merged with those of other servers; it is left out.',
              {
                list: kind,
                server: member.server.name,
                name: entry.key,
                cause: describeError(error),
              },
            )
          }
        }
      }
  }

  #addLogin(member: EndpointMember): void {
    const exposed = this.#nameOf('tools', member, LOGIN_TOOL)
    if (exposed === undefined) return
    this.indexes.tools.set(exposed, this.lists.tools.length)
    this.lists.tools.push(loginEntry(member.server.name, exposed))
  }

  #addEntry(kind: ListKind, member: EndpointMember, entry: Entry): void {
    const exposed =
      kind === 'tools' || kind === 'prompts'
        ? this.#nameOf(kind, member, entry.key)
        : this.#uriOf(kind, member, entry.key)
    if (exposed !== undefined) this.#add(kind, member, entry, exposed)
  }

  #add(kind: ListKind, { server, snapshot }: EndpointMember, entry: Entry, exposed: string): void {
    const at = this.lists[kind].length
    const item = catalogEntry(kind, server.name, entry, exposed, snapshot?.era === 'modern')
    this.lists[kind].push(item)
    this.indexes[kind].set(exposed, at)
    // A name that belongs to one server never leads to another server.
    if (kind === 'tools' && !this.spaces.isForeign(server.name, entry.key)) {
      const same = this.bare.get(entry.key)
      if (same) same.push(at)
      else this.bare.set(entry.key, [at])
    }
    if (kind === 'resourceTemplates') {
      const template = UriTemplate.parse(entry.key)
      if (template) this.templates.add({ route: item.route, template })
      else
        this.#options.logger.warn(
          'A resource template cannot be parsed; it is listed, but reads are not routed by it.',
          { server: server.name },
        )
    }
  }

  /** The server whose entry has this exposed name or URI. */
  #holder(kind: ListKind, exposed: string): string | undefined {
    const at = this.indexes[kind].get(exposed)
    return at === undefined ? undefined : this.lists[kind][at]?.server
  }

  /** The exposed name of a tool or prompt. `undefined`: no name is left for it. */
  #nameOf(kind: ListKind, { server, prefix }: EndpointMember, own: string): string | undefined {
    const { maxNameLength } = this.#options
    const name = exposedName(server.name, prefix, own, maxNameLength)
    if (!this.indexes[kind].has(name) && !this.spaces.isForeign(server.name, name)) return name
    const other = ownAlias({ name: server.name, prefix }, own, maxNameLength, this.spaces)
    const isFree = !this.indexes[kind].has(other)
    this.#options.logger.warn(
      'A name is that of another server; the one that does not own it gets an alias.',
      {
        list: kind,
        name,
        owner: this.#holder(kind, name) ?? this.spaces.ownerOf(name),
        server: server.name,
        alias: isFree ? other : 'none, it is left out',
      },
    )
    return isFree ? other : undefined
  }

  /** The exposed URI of a resource or template. `undefined`: it is left out. */
  #uriOf(kind: ListKind, { server }: EndpointMember, uri: string): string | undefined {
    if (isReserved(uri)) {
      this.#options.logger.warn('A URI is one of the gateway itself; the resource is left out.', {
        list: kind,
        server: server.name,
        uri,
      })
      return undefined
    }
    const first = this.#holder(kind, uri) ?? this.#markedFor(uri, server.name)
    if (first === undefined) return uri
    const exposed = `${server.name}+${uri}`
    this.#options.logger.warn(
      'Two servers offer the same URI; the later one is reached by its name and the URI.',
      { list: kind, uri, first, server: server.name, exposed },
    )
    const renamed = this.renamed.get(server.name) ?? new Map<string, string>()
    this.renamed.set(server.name, renamed.set(uri, exposed))
    return exposed
  }

  /** The other server whose mark a URI carries. The gateway marks URIs that two servers have in common. */
  #markedFor(uri: string, server: string): string | undefined {
    const plus = uri.indexOf('+')
    const marked = plus < 0 ? undefined : uri.slice(0, plus)
    return marked !== undefined && marked !== server && this.#servers.has(marked) ? marked : undefined
  }
}
