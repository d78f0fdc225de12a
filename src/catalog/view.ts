import { createHash } from 'node:crypto'
import { UriTemplate } from '@modelcontextprotocol/sdk/shared/uriTemplate.js'
import type { ServerConfig } from '../config/types.ts'
import { GatewayError } from '../core/errors.ts'
import type { JsonObject } from '../core/exchange.ts'
import type { Logger } from '../core/logger.ts'
import { LIST_KINDS, type ListKind, type Route } from '../core/route.ts'
import { allowedExtensions, runsTasks } from '../protocol/features.ts'
import { definitionAt, levelOf, type Level } from '../protocol/levels.ts'
import { isModernVersion, LATEST_LEGACY, META, type Era } from '../protocol/revisions.ts'
import { mergedInstructions } from './instructions.ts'
import { listed, type Listed } from './listed.ts'
import { alias, exposedName } from './names.ts'
import type { ServerSnapshot } from './snapshot.ts'

/** One server's part of a view. */
export interface ViewMember {
  readonly server: ServerConfig
  readonly prefix: string | false
  /** `undefined` while the server has never been listed. */
  readonly snapshot: ServerSnapshot | undefined
}

export interface ViewOptions {
  /** Path segment after `/mcp/`; `''` for the whole. */
  readonly name: string
  readonly members: readonly ViewMember[]
  readonly maxNameLength: number
  readonly pageSize: number
  /** Raw JSON of the gateway's `serverInfo`. */
  readonly serverInfo: string
  readonly logger: Logger
}

interface Template {
  readonly route: Route
  readonly template: UriTemplate
}

/**
 * What clients of one endpoint see: an immutable merge of the servers' snapshots, with the routes back to them. Deterministic: servers in
 * the order of the configuration, entries in the order of their server.
 */
export class View {
  readonly name: string
  readonly tools: ReadonlyMap<string, Route>
  readonly prompts: ReadonlyMap<string, Route>
  readonly servers: ReadonlySet<string>
  readonly instructions: string | undefined
  /** Servers that have never been listed. */
  readonly missing: readonly string[]
  readonly #options: ViewOptions
  readonly #lists: Readonly<Record<ListKind, readonly Listed[]>>
  readonly #resources = new Map<string, Route>()
  readonly #templates: Template[] = []
  readonly #schemes = new Map<string, string>()
  /** Own URI → exposed URI, by server, where they differ. */
  readonly #renamed = new Map<string, Map<string, string>>()
  readonly #bareTools = new Map<string, Route | undefined>()
  readonly #pages = new Map<string, Buffer>()
  readonly #leveled = new Map<string, readonly string[] | undefined>()
  readonly #signatures = new Map<ListKind, string>()

  constructor(options: ViewOptions) {
    this.#options = options
    this.name = options.name
    this.servers = new Set(options.members.map(member => member.server.name))
    this.missing = options.members.filter(member => !member.snapshot).map(member => member.server.name)
    const tools = this.#named('tools')
    const prompts = this.#named('prompts')
    this.#lists = {
      tools,
      prompts,
      resources: this.#located('resources'),
      resourceTemplates: this.#located('resourceTemplates'),
    }
    this.tools = new Map(tools.map(({ route }) => [route.exposed, route]))
    this.prompts = new Map(prompts.map(({ route }) => [route.exposed, route]))
    for (const { route } of tools)
      this.#bareTools.set(route.own, this.#bareTools.has(route.own) ? undefined : route)
    for (const { route } of this.#lists.resources) this.#resources.set(route.exposed, route)
    for (const { route } of this.#lists.resourceTemplates) {
      const template = parsedTemplate(route.own)
      if (template) this.#templates.push({ route, template })
      else
        options.logger.warn(
          'A resource template cannot be parsed; it is listed, but reads are not routed by it.',
          { server: route.server },
        )
    }
    for (const { server } of options.members)
      for (const scheme of server.uriSchemes)
        if (!this.#schemes.has(scheme)) this.#schemes.set(scheme, server.name)
    const snapshots = options.members.flatMap(member => member.snapshot ?? [])
    this.instructions = mergedInstructions(
      snapshots,
      new Map(options.members.map(member => [member.server.name, member.prefix])),
    )
  }

  /** A tool by its exposed name; else by its own, where only one server has it: apps of a server call its tools by the names they know. */
  tool(name: string): Route | undefined {
    return this.tools.get(name) ?? this.#bareTools.get(name)
  }

  /** Number of entries of a list. */
  count(kind: ListKind): number {
    return this.#lists[kind].length
  }

  /** A resource that a server lists. */
  listed(uri: string): Route | undefined {
    return this.#resources.get(uri)
  }

  /** The owner of a resource that no server lists: by template, by configured scheme, or because there is only one server. */
  unlisted(uri: string): Route | undefined {
    for (const { route, template } of this.#templates) {
      const marker = route.exposed === route.own ? '' : `${route.server}+`
      if (!uri.startsWith(marker)) continue
      const own = uri.slice(marker.length)
      if (template.match(own)) return { server: route.server, own, exposed: uri }
    }
    const scheme = uri.slice(0, Math.max(0, uri.indexOf(':')))
    const owner = this.#schemes.get(scheme)
    if (owner !== undefined) return { server: owner, own: uri, exposed: uri }
    const only = this.#options.members[0]
    if (this.#options.members.length === 1 && only)
      return { server: only.server.name, own: uri, exposed: uri }
    return undefined
  }

  /** A template by its exposed text; completion refers to templates so. */
  template(uriTemplate: string): Route | undefined {
    return this.#templates.find(({ route }) => route.exposed === uriTemplate)?.route
  }

  /** Maps the URIs of a server's results to those clients see; `undefined` when none of them differs. */
  uriMap(server: string): ((uri: string) => string) | undefined {
    const renamed = this.#renamed.get(server)
    return renamed && (uri => renamed.get(uri) ?? uri)
  }

  /** Changes exactly when the list changes for clients. */
  signature(kind: ListKind): string {
    let signature = this.#signatures.get(kind)
    if (signature === undefined) {
      const hash = createHash('sha256')
      for (const { legacy } of this.#lists[kind]) hash.update(legacy).update('\n')
      signature = hash.digest('base64url')
      this.#signatures.set(kind, signature)
    }
    return signature
  }

  /**
   * The result of a list method, serialized once per view, era and page; for an older revision once more where its text differs.
   * @throws GatewayError `invalid_params` for a cursor that is not of this list as it is now
   */
  list(kind: ListKind, revision: string, cursor: unknown): Buffer {
    const offset = cursor === undefined ? 0 : this.#offsetOf(kind, cursor)
    const modern = isModernVersion(revision)
    const level = levelOf(revision)
    const definitions = level && this.#differing(kind, level)
    const key = `${kind}:${modern ? 'm' : 'l'}${definitions ? level.revision : ''}:${offset}`
    let page = this.#pages.get(key)
    if (!page) {
      const texts = definitions ?? this.#lists[kind].map(listed => (modern ? listed.modern : listed.legacy))
      page = Buffer.from(this.#page(kind, texts, modern, offset))
      this.#pages.set(key, page)
    }
    return page
  }

  /** Definitions as an older revision has them; `undefined` where that is as they are. */
  #differing(kind: ListKind, level: Level): readonly string[] | undefined {
    const key = `${kind}:${level.revision}`
    if (!this.#leveled.has(key)) {
      const texts = this.#lists[kind].map(({ legacy }) => definitionAt(level, legacy))
      const differs = texts.some((text, at) => text !== this.#lists[kind][at]?.legacy)
      this.#leveled.set(key, differs ? texts : undefined)
    }
    return this.#leveled.get(key)
  }

  /**
   * Union of what the servers can do. While a server has never been listed everything is offered, because a legacy client hears of
   * capabilities only once.
   */
  capabilities(protocolVersion: string): JsonObject {
    const era: Era = isModernVersion(protocolVersion) ? 'modern' : 'legacy'
    const unknown = this.missing.length > 0
    const has = (name: string): boolean =>
      unknown || this.#options.members.some(member => member.snapshot && name in member.snapshot.capabilities)
    const subscribable =
      unknown ||
      this.#options.members.some(
        member => (member.snapshot?.capabilities.resources as JsonObject | undefined)?.subscribe === true,
      )
    const capabilities: JsonObject = { tools: { listChanged: true } }
    if (has('resources'))
      capabilities.resources = subscribable ? { subscribe: true, listChanged: true } : { listChanged: true }
    if (has('prompts')) capabilities.prompts = { listChanged: true }
    if (has('completions')) capabilities.completions = {}
    if (has('logging')) capabilities.logging = {}
    const extensions = Object.assign(
      {},
      ...this.#options.members.map(member =>
        allowedExtensions(member.snapshot?.capabilities.extensions, era),
      ),
    ) as JsonObject
    if (Object.keys(extensions).length > 0) capabilities.extensions = extensions
    // Only one revision has tasks in its core. The list is the gateway's own.
    if (protocolVersion === LATEST_LEGACY && (unknown || this.#options.members.some(runsLegacyTasks)))
      capabilities.tasks = { list: {}, cancel: {}, requests: { tools: { call: {} } } }
    return capabilities
  }

  #page(kind: ListKind, texts: readonly string[], modern: boolean, offset: number): string {
    const { pageSize, serverInfo } = this.#options
    const next =
      offset + pageSize < texts.length
        ? `,"nextCursor":${JSON.stringify(this.#cursor(kind, offset + pageSize))}`
        : ''
    const body = `"${kind}":[${texts.slice(offset, offset + pageSize).join(',')}]${next}`
    if (!modern) return `{${body}}`
    // No time to live: a client that wants to keep the list hears of changes on its listen stream.
    return `{"resultType":"complete",${body},"ttlMs":0,"cacheScope":"private","_meta":{"${META.serverInfo}":${serverInfo}}}`
  }

  #cursor(kind: ListKind, offset: number): string {
    const digest = createHash('sha256')
      .update(`${offset} ${this.signature(kind)}`)
      .digest('base64url')
      .slice(0, 16)
    return Buffer.from(`${offset}.${digest}`).toString('base64url')
  }

  #offsetOf(kind: ListKind, cursor: unknown): number {
    const offset =
      typeof cursor === 'string'
        ? Number.parseInt(Buffer.from(cursor, 'base64url').toString(), 10)
        : Number.NaN
    if (
      !Number.isSafeInteger(offset) ||
      offset <= 0 ||
      offset >= this.#lists[kind].length ||
      this.#cursor(kind, offset) !== cursor
    )
      throw new GatewayError(
        'invalid_params',
        'The cursor is not of this list, or the list has changed since. Start again without a cursor.',
      )
    return offset
  }

  #named(kind: 'tools' | 'prompts'): Listed[] {
    const { members: parts, maxNameLength, logger } = this.#options
    const taken = new Set<string>()
    const list: Listed[] = []
    for (const { server, prefix, snapshot } of parts) {
      for (const entry of snapshot?.lists[kind] ?? []) {
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

/** Kinds whose signature differs between two views. */
export function changedKinds(before: View, after: View): ListKind[] {
  return LIST_KINDS.filter(kind => before.signature(kind) !== after.signature(kind))
}

function runsLegacyTasks({ snapshot }: ViewMember): boolean {
  return snapshot?.era === 'legacy' && runsTasks(snapshot.capabilities)
}

function parsedTemplate(text: string): UriTemplate | undefined {
  try {
    return new UriTemplate(text)
  } catch {
    return undefined
  }
}
