import type { Catalog } from '../catalog/catalog.ts'
import type { View } from '../catalog/view.ts'
import type { CallHandler } from '../core/compose.ts'
import { describeError, GatewayError } from '../core/errors.ts'
import type { Conversation, Exchange, JsonObject, Outcome } from '../core/exchange.ts'
import type { Logger } from '../core/logger.ts'
import { isJsonObject } from '../core/json-object.ts'
import { inTurns } from '../core/slices.ts'
import { MAX_URI_CHARS } from '../core/uri-readings.ts'
import type { ListKind, Route } from '../core/route.ts'
import { cachingMembers } from '../protocol/caching.ts'
import { META, MODERN_VERSIONS } from '../protocol/revisions.ts'
import { USAGE_URI, type UsageResource } from '../quota/usage.ts'
import type { ResourceOwners } from '../catalog/resource-owners.ts'
import type { Subscriptions } from '../relay/subscriptions.ts'
import type { Subscriber } from '../core/subscriber.ts'
import { checkUri, notFound } from './named-uri.ts'
import type { TaskRoutes } from './task-routes.ts'
import { unknownMethod } from './unknown-method.ts'
import { unknownName } from './unknown-name.ts'

export interface RouterOptions {
  readonly catalog: Catalog
  readonly resourceOwners: ResourceOwners
  readonly subscriptions: Subscriptions
  /** The catalogue of the configuration in effect. */
  readonly inEffect: () => Catalog
  /** The ways to tasks of both eras. */
  readonly tasks: TaskRoutes
  /** What limited clients read of their quotas; `undefined` when nothing is limited. */
  readonly usage: UsageResource | undefined
  /** The chain of calls. */
  readonly call: CallHandler
  /** Decides what depends on a call where there is no call chain. @throws GatewayError `denied` */
  readonly authorized: (exchange: Exchange, route: Route) => void
  /** Raw JSON of the gateway's own `serverInfo`. */
  readonly serverInfo: string
  readonly logger: Logger
}

const PAGED: ReadonlyMap<string, ListKind> = new Map([
  ['tools/list', 'tools'],
  ['resources/list', 'resources'],
  ['resources/templates/list', 'resourceTemplates'],
  ['prompts/list', 'prompts'],
])

/**
 * What becomes of a request, by its method: answered from the catalogue, or resolved to a route and sent down the call
 * chain. Names are looked up, never taken apart.
 */
export class Router {
  readonly #options: RouterOptions

  constructor(options: RouterOptions) {
    this.#options = options
  }

  /** A call of a known tool reaches the call chain without a wait. @throws GatewayError at once, or rejects with one */
  handle(exchange: Exchange): Promise<Outcome> {
    const { method, params } = exchange.request
    const name = params?.value.name
    if (method === 'tools/call' && typeof name === 'string') {
      const route = this.viewOf(exchange).tool(name)
      if (route) return this.#options.call(exchange, route)
    }
    return this.#handle(exchange)
  }

  async #handle(exchange: Exchange): Promise<Outcome> {
    const { method, params } = exchange.request
    switch (method) {
      case 'tools/call':
        return await this.#options.call(exchange, await this.#named(exchange, 'tools', params?.value.name))
      case 'prompts/get':
        return await this.#options.call(exchange, await this.#named(exchange, 'prompts', params?.value.name))
      case 'resources/read':
        if (params?.value.uri === USAGE_URI && this.#options.usage?.isFor(exchange.principal))
          return await this.#options.usage.read(exchange)
        return await this.#options.call(exchange, await this.#located(exchange, params?.value.uri))
      case 'completion/complete':
        return await this.#complete(exchange)
      case 'tasks/get':
      case 'tasks/cancel':
        return await this.#options.call(
          exchange,
          await this.#options.tasks.routeTo(exchange, params?.value.taskId),
        )
      case 'tasks/update':
        if (!exchange.modern) throw unknownMethod(method)
        return await this.#options.call(
          exchange,
          await this.#options.tasks.routeTo(exchange, params?.value.taskId),
        )
      case 'tasks/result':
        return await this.#options.call(
          exchange,
          this.#options.tasks.legacyRouteTo(exchange, params?.value.taskId),
        )
      case 'tasks/list':
        return await this.#options.tasks.list(exchange, params?.value.cursor)
      case 'server/discover':
        return await this.#discover(exchange)
      case 'resources/subscribe':
        return await this.#subscribe(exchange, params?.value.uri)
      case 'resources/unsubscribe':
        return this.#options.subscriptions.unsubscribe(
          exchange,
          await this.#located(exchange, params?.value.uri),
          conversationOf(exchange),
        )
      default: {
        const kind = PAGED.get(method)
        if (kind === undefined) throw unknownMethod(method)
        const { catalog, usage } = this.#options
        const view = (await catalog.complete(exchange.view, exchange)) ?? this.viewOf(exchange)
        const cursor = params?.value.cursor
        if (cursor === undefined) catalog.renew(view, exchange.view, exchange)
        const page = await catalog.views.list(view, kind, exchange.protocolVersion, cursor)
        if (kind === 'resources' && cursor === undefined && usage?.isFor(exchange.principal))
          return { kind: 'own', text: usage.listed(page) }
        return { kind: 'own', text: page }
      }
    }
  }

  /** Of the view, and what the gateway itself adds. */
  capabilities(view: View, protocolVersion: string): JsonObject {
    const capabilities = view.capabilities(protocolVersion)
    return this.#options.usage ? { resources: { listChanged: true }, ...capabilities } : capabilities
  }

  /**
   * Place of the rule about the thing a request names, whatever its arguments; `undefined` where there is none, and for
   * requests about no single thing. For the record: it also tells what the answer must not.
   */
  ruleOn(exchange: Pick<Exchange, 'view' | 'request'>): string | undefined {
    const { method, params } = exchange.request
    const view = this.viewOf(exchange)
    const { name, uri, ref } = params?.value ?? {}
    const on = (kind: 'tools' | 'prompts' | 'resources', value: unknown): string | undefined =>
      typeof value === 'string' && (kind !== 'resources' || value.length <= MAX_URI_CHARS)
        ? view.ruleOn(kind, value)
        : undefined
    if (method === 'tools/call') return on('tools', name)
    if (method === 'prompts/get') return on('prompts', name)
    if (method.startsWith('resources/')) return on('resources', uri)
    if (method !== 'completion/complete' || !isJsonObject(ref)) return undefined
    return on('prompts', ref.name) ?? on('resources', ref.uri)
  }

  /** Subscribes to those of the resources that exist and whose servers tell of updates; resolves with them. */
  async subscribe(exchange: Exchange, uris: readonly string[], subscriber: Subscriber): Promise<string[]> {
    // Each look-up may go through the templates of all servers.
    const found = await inTurns(uris, uri => {
      const route = exchange.cancellation.reason === undefined && this.#heardOf(exchange, uri)
      return route ? [{ uri, route }] : []
    })
    // All at once, so that a modern server is asked for one stream.
    const heard = await Promise.all(
      found.flat().map(({ uri, route }) =>
        this.#subscribed(exchange, route, subscriber).then(
          ({ kind }) => (kind === 'error' ? [] : [uri]),
          (error: unknown) => this.#unheard(uri, error),
        ),
      ),
    )
    // The client may have left in the meantime.
    if (exchange.cancellation.reason !== undefined) this.#options.subscriptions.leave(subscriber)
    return heard.flat()
  }

  /** The server from which a client would read this resource, by what is known now. */
  ownerOf(client: Pick<Exchange, 'principal' | 'view'>, uri: string): string | undefined {
    return this.#ownerOf(this.viewOf(client), client, uri)?.server
  }

  /** The route to a resource of which the client may hear; `undefined` where there is none. */
  #heardOf(exchange: Exchange, uri: string): Route | undefined {
    try {
      checkUri(uri)
      // The client waits for the acknowledgement, so nothing is listed for it.
      const route = this.#ownerOf(this.viewOf(exchange), exchange, uri)
      if (!route) return undefined
      this.#options.authorized(exchange, route)
      const resources = this.#options.catalog.snapshot(route.server)?.capabilities.resources as
        { subscribe?: unknown } | undefined
      return resources?.subscribe === true ? route : undefined
    } catch (error) {
      this.#unheard(uri, error)
      return undefined
    }
  }

  #unheard(uri: string, error: unknown): string[] {
    this.#options.logger.debug('A resource could not be subscribed to.', { uri, cause: describeError(error) })
    return []
  }

  async #subscribe(exchange: Exchange, uri: unknown): Promise<Outcome> {
    const route = await this.#located(exchange, uri)
    this.#options.authorized(exchange, route)
    return await this.#subscribed(exchange, route, conversationOf(exchange))
  }

  /** Subscribes to what was found by a request's view. A reload may have given the subscriber another meanwhile. */
  async #subscribed(exchange: Exchange, route: Route, subscriber: Subscriber): Promise<Outcome> {
    const { subscriptions, inEffect, catalog } = this.#options
    const outcome = await subscriptions.subscribe(exchange, route, subscriber)
    if (inEffect() === catalog && subscriber.view === exchange.view) return outcome
    const view = inEffect().view(subscriber.view)
    const has = (server: string, uri: string) =>
      view && this.#ownerOf(view, subscriber, uri)?.server === server
    if (has(route.server, route.exposed)) return outcome
    subscriptions.retain(subscriber, (server, uri) => has(server, uri) === true)
    return notFound(route.exposed)
  }

  async #named(exchange: Exchange, kind: 'tools' | 'prompts', name: unknown): Promise<Route> {
    if (typeof name !== 'string') throw new GatewayError('invalid_params', '"name" must be a string.')
    let view = this.viewOf(exchange)
    const lookUp = (): Route | undefined => (kind === 'tools' ? view.tool(name) : view.prompt(name))
    let route = lookUp()
    if (!route) {
      const isFound = (now = view): boolean => {
        view = now
        return (route = lookUp()) !== undefined
      }
      isFound(await this.#options.catalog.complete(exchange.view, exchange, isFound))
    }
    if (route) return route
    throw unknownName(kind, name, view, this.#options.catalog, exchange.principal)
  }

  async #located(exchange: Exchange, uri: unknown): Promise<Route> {
    checkUri(uri)
    let view = this.viewOf(exchange)
    if (!view.listed(uri)) {
      const isFound = (now: View | undefined): boolean => now?.listed(uri) !== undefined
      view = (await this.#options.catalog.complete(exchange.view, exchange, isFound)) ?? view
    }
    return this.#ownerOf(view, exchange, uri) ?? notFound(uri)
  }

  /** The servers that have a resource, by what is known now. */
  #ownerOf(view: View, exchange: Pick<Exchange, 'principal' | 'view'>, uri: string): Route | undefined {
    const owner = this.#options.resourceOwners.owner(exchange.principal.id, uri)
    return view.listed(uri) ?? view.linked(owner, uri) ?? view.unlisted(uri)
  }

  async #complete(exchange: Exchange): Promise<Outcome> {
    const ref = exchange.request.params?.value.ref as
      { type?: unknown; name?: unknown; uri?: unknown } | null | undefined
    let route: Route
    if (ref?.type === 'ref/prompt') route = await this.#named(exchange, 'prompts', ref.name)
    else if (ref?.type === 'ref/resource' && typeof ref.uri === 'string') {
      checkUri(ref.uri)
      route = this.viewOf(exchange).template(ref.uri) ?? (await this.#located(exchange, ref.uri))
    } else
      throw new GatewayError(
        'invalid_params',
        '"ref" must be a ref/prompt with a name or a ref/resource with a uri.',
      )
    const snapshot = this.#options.catalog.snapshot(route.server)
    if (snapshot && !('completions' in snapshot.capabilities)) {
      const type = exchange.modern ? '"resultType":"complete",' : ''
      return { kind: 'own', text: `{${type}"completion":{"values":[],"hasMore":false}}` }
    }
    return await this.#options.call(exchange, route)
  }

  async #discover(exchange: Exchange): Promise<Outcome> {
    await this.#options.catalog.introduced(exchange)
    const view = this.viewOf(exchange)
    const parts = [
      '"resultType":"complete"',
      `"supportedVersions":${JSON.stringify(MODERN_VERSIONS)}`,
      `"capabilities":${JSON.stringify(this.capabilities(view, exchange.protocolVersion))}`,
      `"serverInfo":${this.#options.serverInfo}`,
    ]
    if (view.instructions !== undefined) parts.push(`"instructions":${JSON.stringify(view.instructions)}`)
    const meta = `"_meta":{"${META.serverInfo}":${this.#options.serverInfo}}`
    parts.push(cachingMembers(view.caching('discover')), meta)
    return { kind: 'own', text: `{${parts.join(',')}}` }
  }

  /** What the client of a request sees. */
  viewOf(exchange: Pick<Exchange, 'view'>): View {
    const view = this.#options.catalog.view(exchange.view)
    if (!view) throw new GatewayError('internal', `There is no view "${exchange.view}".`)
    return view
  }
}

function conversationOf(exchange: Exchange): Conversation {
  if (exchange.conversation) return exchange.conversation
  throw new GatewayError(
    'unknown_method',
    `${exchange.request.method} needs a session; use subscriptions/listen instead.`,
  )
}
