import type { Audience, SeenView } from './audience.ts'
import { GatewayEvents } from './gateway-events.ts'
import type { Generation } from './generation.ts'
import type { Runtime } from './runtime.ts'
import type { AsksConfig, ListenConfig } from '../config/types.ts'
import type { Opening } from '../core/client-request.ts'
import type { EventBus } from '../core/event-bus.ts'
import type { Conversation, Exchange, Outcome } from '../core/exchange.ts'
import type { Logger } from '../core/logger.ts'
import type { Principal } from '../core/principal.ts'
import type { ListKind, Route } from '../core/route.ts'
import { CallsInFlight } from '../front/calls-in-flight.ts'
import { ClientStreams } from '../front/client-streams.ts'
import { ListenStreams } from '../front/listen-streams.ts'
import type { Subscriber } from '../core/subscriber.ts'
import type { Service } from '../front/service.ts'
import { reportOpened } from '../middleware/request/report.ts'
import { VERSION } from '../version.ts'

/** What fronts ask of a gateway: each request goes its way by the generation that is in effect when it comes. */
export abstract class ClientService implements Service {
  readonly serverInfo = JSON.stringify({ name: 'mcp-manifold', title: 'Manifold', version: VERSION })
  readonly calls = new CallsInFlight()
  readonly listens: ListenStreams
  readonly streams: ClientStreams
  /**
   * Hears of what happens (docs/events.md), of one type or with `*` of everything, until the returned function is
   * called. A listener is called in the turn of the event and returns soon; its failures are logged and change nothing.
   */
  readonly on: EventBus['on']
  protected readonly events: GatewayEvents
  protected abstract readonly runtime: Runtime
  protected abstract readonly audience: Audience
  /** The generation that is in effect. */
  protected abstract current: Generation
  /** While all clients get their views at once, none is told by itself. */
  #swapping = false
  #epoch = 0

  constructor(listen: ListenConfig, logger: Logger) {
    this.events = new GatewayEvents(logger)
    this.streams = new ClientStreams(this.events)
    this.listens = new ListenStreams(listen, logger, this.streams)
    this.on = this.events.on.bind(this.events) as EventBus['on']
  }

  get epoch(): number {
    return this.#epoch
  }

  /**
   * Puts another generation into effect, in one turn. `takeOver` gives the clients their views by it. Once it is in
   * effect nothing refuses it.
   * @returns what each client was told of before
   */
  protected swap(generation: Generation, takeOver: () => void): readonly SeenView[] {
    const seen = this.audience.seenIn(this.current)
    this.current.catalog.views.supersede()
    this.current = generation
    this.#epoch++
    this.#swapping = true
    try {
      takeOver()
    } finally {
      this.#swapping = false
    }
    return seen
  }

  get asks(): AsksConfig {
    return this.current.config.gateway.asks
  }

  viewOf(endpoint: string, principal: Principal): string | undefined {
    return this.current.catalog.views.of(endpoint, this.current.policies.of(principal))
  }

  known(endpoint: string, principal: Principal): Promise<unknown> | undefined {
    return this.current.catalog.views.known(endpoint, this.current.policies.of(principal))
  }

  viewFor(view: string, kind: string): string {
    return this.current.catalog.views.named(view, kind)
  }

  capabilities(view: string, protocolVersion: string): Record<string, unknown> {
    const found = this.current.catalog.view(view)
    return found ? this.current.router.capabilities(found, protocolVersion) : {}
  }

  instructions(view: string): string | undefined {
    return this.current.catalog.view(view)?.instructions
  }

  introduced(exchange: Exchange): Promise<unknown> | undefined {
    return this.current.catalog.introduced(exchange)
  }

  headerParams(view: string, tool: string): Route['headerParams'] {
    return this.current.catalog.view(view)?.tool(tool)?.headerParams
  }

  join(conversation: Conversation): void {
    this.runtime.relay.join(conversation)
    this.events.sessionOpened(conversation)
  }

  leave(conversation: Conversation): void {
    this.runtime.relay.leave(conversation)
    this.events.sessionClosed(conversation)
    this.runtime.leave(conversation)
  }

  worksFor(conversation: Conversation): boolean {
    return this.runtime.legacyTasks.worksFor(conversation)
  }

  moved(conversation: Conversation, before: string): void {
    if (this.#swapping) return
    const seen = this.audience.seenBy(conversation, before, this.current)
    void this.audience.moved([seen], this.current)
  }

  rootsChanged(conversation: Conversation): void {
    for (const pool of this.runtime.pools.values())
      for (const link of pool.server.roots ? [] : pool.links)
        if (link.owner === conversation) link.notify('notifications/roots/list_changed', undefined)
  }

  async subscribe(exchange: Exchange, uris: readonly string[], subscriber: Subscriber): Promise<string[]> {
    return await this.current.router.subscribe(exchange, uris, subscriber)
  }

  listenToTasks(exchange: Exchange, ids: readonly string[], subscriber: Subscriber): Promise<string[]> {
    return this.current.tasks.listen(exchange, ids, subscriber)
  }

  unsubscribe(subscriber: Subscriber): void {
    this.runtime.subscriptions.leave(subscriber)
    this.runtime.taskListeners.leave(subscriber)
  }

  onListChanged(view: string, listener: (kinds: readonly ListKind[]) => void): () => void {
    // Only a view that has been made can be seen to change.
    void this.current.catalog.views.ready(view)
    return this.runtime.listChanges.on(view, listener)
  }

  handle(exchange: Exchange): Promise<Outcome> {
    const { chains, catalog } = this.current
    const made = catalog.views.ready(exchange.view)
    return made ? made.then(() => chains.request(exchange)) : chains.request(exchange)
  }

  admit(opening: Opening): Promise<unknown> {
    return this.current.chains.opening(opening)
  }

  listening(exchange: Exchange, since: number): void {
    reportOpened(this.current.reporting, exchange, since)
  }
}
