import { createHash } from 'node:crypto'
import { UriTemplate } from '@modelcontextprotocol/sdk/shared/uriTemplate.js'
import type { ServerConfig } from '../config/types.ts'
import type { JsonObject } from '../core/exchange.ts'
import { isJsonObject } from '../core/json-object.ts'
import type { Logger } from '../core/logger.ts'
import { ITEM_KIND_OF, type ItemKind, type ListKind, type Route } from '../core/route.ts'
import { matches, type Pattern } from '../policy/pattern.ts'
import { find, members, splice, withMembers } from '../protocol/json-text.ts'
import { LIST_METHODS } from './ingest.ts'
import { alias, exposedName } from './names.ts'
import type { Entry, ServerSnapshot } from './snapshot.ts'

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

interface Template {
  /** Its place in the list of templates. */
  readonly at: number
  readonly route: Route
  readonly template: UriTemplate
}

/** One entry of a list. */
export class Listed {
  readonly kind: ItemKind
  readonly route: Route
  /** Definition as legacy and as modern clients get it. */
  readonly legacy: string
  readonly modern: string
  #facts: { readonly title: string; readonly annotations: JsonObject } | undefined
  #digest: string | undefined

  constructor(kind: ItemKind, route: Route, legacy: string, modern: string) {
    this.kind = kind
    this.route = route
    this.legacy = legacy
    this.modern = modern
  }

  get server(): string {
    return this.route.server
  }

  get name(): string {
    return this.route.own
  }

  get title(): string {
    return this.#read().title
  }

  get annotations(): JsonObject {
    return this.#read().annotations
  }

  /** Changes exactly when the definition changes for clients. */
  get digest(): string {
    this.#digest ??= createHash('sha256').update(this.legacy).digest('base64url')
    return this.#digest
  }

  /** Only where a condition asks for it, and then once. */
  #read(): { readonly title: string; readonly annotations: JsonObject } {
    if (!this.#facts) {
      const { title, annotations } = JSON.parse(this.legacy) as JsonObject
      const known = isJsonObject(annotations) ? annotations : {}
      const shown = title ?? known.title
      this.#facts = { title: typeof shown === 'string' ? shown : '', annotations: known }
    }
    return this.#facts
  }
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

  constructor(options: MergeOptions) {
    this.#options = options
    this.members = options.members
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
      const same = this.#bare.get(route.own)
      if (same) same.push(at)
      else this.#bare.set(route.own, [at])
    })
    this.templates = this.lists.resourceTemplates.flatMap(({ route }, at) => {
      const template = parsedTemplate(route.own)
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

  /** Place in its list of what clients know by this name, URI or template. */
  placeOf(kind: ListKind, exposed: string): number | undefined {
    return this.#places[kind].get(exposed)
  }

  /** Places of the tools whose servers know them by this name. */
  bareTools(own: string): readonly number[] {
    return this.#bare.get(own) ?? []
  }

  /**
   * Who may have a resource that no server lists, likeliest first: by template, then by configured scheme.
   */
  *owners(uri: string): Generator<Route> {
    for (const { route, template } of this.templates) {
      const marker = route.exposed === route.own ? '' : `${route.server}+`
      if (!uri.startsWith(marker)) continue
      const own = uri.slice(marker.length)
      if (template.match(own)) yield { server: route.server, own, exposed: uri }
    }
    const scheme = uri.slice(0, Math.max(0, uri.indexOf(':')))
    for (const server of this.#schemes.get(scheme) ?? []) yield { server, own: uri, exposed: uri }
  }

  /** Whether a server belongs to the endpoint. */
  has(server: string): boolean {
    return this.members.some(member => member.server.name === server)
  }

  /** Whether a thing of a server belongs to the endpoint. */
  selects(kind: ItemKind, server: string, name: string): boolean {
    const { selection = [] } = this.#options
    return selection.length === 0 || selection.some(pattern => matches(pattern, kind, server, name))
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

  #named(kind: 'tools' | 'prompts'): Listed[] {
    const { members: parts, maxNameLength, logger } = this.#options
    const taken = new Set<string>()
    const list: Listed[] = []
    for (const { server, prefix, snapshot } of parts) {
      for (const entry of snapshot?.lists[kind] ?? []) {
        if (!this.selects(ITEM_KIND_OF[kind], server.name, entry.key)) continue
        let exposed = exposedName(server.name, prefix, entry.key, maxNameLength)
        if (taken.has(exposed)) {
          const other = alias(server.name, `${server.name}__${entry.key}`, entry.key, maxNameLength)
          logger.warn('Two servers offer the same name; the later one gets an alias.', {
            list: kind,
            server: server.name,
            name: exposed,
            alias: other,
          })
          exposed = other
        }
        taken.add(exposed)
        list.push(listed(kind, server.name, entry, exposed, snapshot?.era === 'modern'))
      }
    }
    return list
  }

  #located(kind: 'resources' | 'resourceTemplates'): Listed[] {
    const owners = new Map<string, string>()
    const list: Listed[] = []
    for (const { server, snapshot } of this.#options.members) {
      for (const entry of snapshot?.lists[kind] ?? []) {
        if (!this.selects('resource', server.name, entry.key)) continue
        let exposed = entry.key
        const owner = owners.get(exposed)
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

function listed(kind: ListKind, server: string, entry: Entry, exposed: string, fromModern: boolean): Listed {
  const route: Route =
    entry.headerParams || entry.needsTask
      ? {
          server,
          own: entry.key,
          exposed,
          headerParams: entry.headerParams ?? [],
          needsTask: entry.needsTask ?? false,
        }
      : { server, own: entry.key, exposed }
  let text = entry.text
  if (exposed !== entry.key) {
    const member = find(members(text), LIST_METHODS[kind].key)
    if (member) text = splice(text, [{ start: member.start, end: member.end, text: JSON.stringify(exposed) }])
  }
  let legacy = text
  let modern = text
  if (kind === 'tools') {
    // Tasks of 2025-11-25 do not exist in the modern era.
    if (!fromModern && text.includes('"execution"')) modern = withMembers(text, { execution: undefined })
    // The gateway follows such a task itself, so to clients it is a tool like any other.
    if (entry.needsTask) legacy = modern
    // Before 2026-07-28 an output schema describes an object; strict clients reject the whole list otherwise.
    if (fromModern && text.includes('"outputSchema"') && outputType(text) !== 'object')
      legacy = withMembers(text, { outputSchema: undefined })
  }
  return new Listed(ITEM_KIND_OF[kind], route, legacy, modern)
}

function outputType(tool: string): unknown {
  return ((JSON.parse(tool) as JsonObject).outputSchema as JsonObject | undefined)?.type
}

function parsedTemplate(text: string): UriTemplate | undefined {
  try {
    return new UriTemplate(text)
  } catch {
    return undefined
  }
}
