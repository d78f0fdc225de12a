import { retryOnNewLink } from '../core/retry-on-new-link.ts'
import { describeError, GatewayError } from '../core/errors.ts'
import type { Exchange, Json, Outcome } from '../core/exchange.ts'
import type { Logger } from '../core/logger.ts'
import { inTurns } from '../core/slices.ts'
import type { Route } from '../core/route.ts'
import type { Link } from '../upstream/link/link.ts'
import type { Pool } from '../upstream/pool/pool.ts'
import { UpstreamRpcError } from '../upstream/link/rpc-error.ts'
import type { LinkSlot } from '../upstream/pool/link-slot.ts'
import { ResourceUpdates, type Subscription } from './resource-updates.ts'
import type { Subscriber } from './updates.ts'
import { UpstreamListen } from '../upstream/link/listen-stream.ts'
import { keyOf, TopicTable, type Topic } from './topics.ts'

const EMPTY: Outcome = { kind: 'own', text: '{}' }

export interface SubscriptionsOptions {
  readonly pool: (server: string) => Pool
  readonly logger: Logger
  /** Resources that one subscriber may be subscribed to. */
  readonly maxPerSubscriber: number
  /** Whether subscribers of a view may know of a resource of a server. */
  readonly hears: (view: string, server: string, own: string) => boolean
  /** The lists of a server may have changed without anyone having been told. */
  readonly onMissed: (server: string) => void
}

/**
 * Resource subscriptions over shared links: the first subscriber of a resource subscribes upstream, the last one unsubscribes, and an update goes to
 * those who subscribed and to nobody else. Legacy servers are told resource by resource, modern ones by a listen stream. Restored when a link is opened
 * anew.
 */
export class Subscriptions {
  readonly #options: SubscriptionsOptions
  /** As `SubscriptionsOptions.maxPerSubscriber`, for what is subscribed from now on. */
  maxPerSubscriber: number
  readonly #subscriptions = new TopicTable<Subscription>()
  /** Where a link was opened. */
  readonly #slots = new WeakMap<Link, LinkSlot>()
  readonly #updates: ResourceUpdates
  readonly #listens = new Map<Link, UpstreamListen>()
  /** What the server is being told and has not answered yet, by the same key: requests over HTTP may overtake each other. */
  readonly #changing = new Map<string, Promise<unknown>>()

  constructor(options: SubscriptionsOptions) {
    this.#options = options
    this.maxPerSubscriber = options.maxPerSubscriber
    this.#updates = new ResourceUpdates(this.#subscriptions, options.hears, options.logger)
  }

  /** @throws GatewayError `overloaded` beyond the limit, `upstream_*` when the server cannot be reached. @returns `{}`, or the server's own error */
  async subscribe(exchange: Exchange, route: Route, subscriber: Subscriber): Promise<Outcome> {
    exchange.trace.found(route)
    const { conversation, principal, features, protocolVersion, view } = exchange
    // Not the exchange: what it holds would be held as long as the subscription.
    const wish = {
      exposed: route.exposed,
      view,
      caller: { conversation, principal, features, protocolVersion },
    }
    const { maxPerSubscriber } = this
    // Held until it is known whether it is subscribed: what is asked for at the same time counts, and counts once.
    if (!this.#subscriptions.reserve(subscriber, route.server, route.own, maxPerSubscriber))
      throw new GatewayError(
        'overloaded',
        `This client is subscribed to ${maxPerSubscriber} resources already; "gateway.listen.maxResources" allows no more. Unsubscribe from some.`,
      )
    try {
      return await retryOnNewLink(() => this.#subscribe(exchange, route, subscriber, wish))
    } finally {
      this.#subscriptions.release(subscriber, route.server, route.own)
    }
  }

  async #subscribe(
    exchange: Exchange,
    route: Route,
    subscriber: Subscriber,
    wish: Subscription,
  ): Promise<Outcome> {
    const { server, own } = route
    const pool = this.#options.pool(server)
    await pool.membership.pending
    // The server has been greeted before it is decided with whom the subscription is shared.
    await pool.standing(wish.caller).pick()
    const key = keyOf(pool.standing(wish.caller), own)
    for (let changing = this.#changing.get(key); changing; changing = this.#changing.get(key)) {
      // Another's failure is not ours.
      await changing.catch(() => undefined)
      if (exchange.cancellation.reason !== undefined)
        throw new GatewayError('cancelled', 'The request was cancelled.')
    }
    // Not earlier: a slot that nobody uses may be replaced while others are waited for.
    const slot = pool.standing(wish.caller)
    if (this.#subscriptions.get(slot, own)) {
      if (exchange.cancellation.reason !== undefined)
        throw new GatewayError('cancelled', 'The request was cancelled.')
      this.#subscriptions.add(slot, own, subscriber, wish)
      return EMPTY
    }
    const outcome = await this.#change(keyOf(slot, own), this.#open(slot, own, subscriber, wish))
    // The client may have left in the meantime.
    const opened = this.#subscriptions.get(slot, own)
    if (exchange.cancellation.reason !== undefined && opened?.subscribers.get(subscriber) === wish)
      this.#remove(opened, subscriber)
    return outcome
  }

  unsubscribe(exchange: Exchange, route: Route, subscriber: Subscriber): Outcome {
    exchange.trace.found(route)
    const slot = this.#options.pool(route.server).standing(exchange)
    const subscription = this.#subscriptions.get(slot, route.own)
    if (subscription) this.#remove(subscription, subscriber)
    return EMPTY
  }

  /** A subscriber is gone. */
  leave(subscriber: Subscriber): void {
    for (const subscription of this.#subscriptions.by(subscriber)) this.#remove(subscription, subscriber)
  }

  /** A subscriber has another view now: it goes on with those that `mayHear` says of, by server and the URI it used. */
  retain(subscriber: Subscriber, view: string, mayHear: (server: string, uri: string) => boolean): void {
    for (const subscription of this.#subscriptions.by(subscriber)) {
      const wish = subscription.subscribers.get(subscriber)
      if (!wish) continue
      if (mayHear(subscription.slot.server.name, wish.exposed))
        subscription.subscribers.set(subscriber, { ...wish, view })
      else this.#remove(subscription, subscriber)
    }
  }

  /** A link has been opened: what it takes the place of had subscriptions. */
  opened(slot: LinkSlot, link: Link): void {
    this.#slots.set(link, slot)
    this.regroup(link.server.name, link)
    if (link.peer.era === 'legacy') {
      void this.#tellServer(slot, link)
      return
    }
    const uris = (): string[] => this.#subscriptions.namesOf(slot)
    const listen = new UpstreamListen(link, link.logger, uris().length > 0, () => {
      this.#options.onMissed(link.server.name)
      for (const uri of uris()) this.#updates.tellAll(slot, uri)
    })
    this.#listens.set(link, listen)
    void listen.listen(uris)
  }

  /** A legacy server may have said something that was not heard, or be another one now that was never told what to say. */
  missed(link: Link): void {
    const slot = this.#slots.get(link)
    if (slot?.holds(link)) void this.#tellServer(slot, link)
  }

  /** The listen stream of a modern link. */
  listenOf(link: Link): UpstreamListen | undefined {
    return this.#listens.get(link)
  }

  /** A link is gone. */
  lost(link: Link): void {
    this.#listens.get(link)?.close()
    this.#listens.delete(link)
  }

  /** Tells subscribers of an update. The URI may be that of a part of what they subscribed to. */
  updated(link: Link, params: Json): void {
    this.#listens.get(link)?.heard()
    const slot = this.#slots.get(link)
    if (slot?.holds(link)) this.#updates.updated(slot, params)
  }

  get size(): number {
    return this.#subscriptions.size
  }

  /** Subscribes a legacy server to everything that is wanted of it, and takes for changed what may have changed before. */
  async #tellServer(slot: LinkSlot, link: Link): Promise<void> {
    await inTurns(this.#subscriptions.namesOf(slot), uri => {
      if (!link.usable || !this.#subscriptions.get(slot, uri)) return
      link.request('resources/subscribe', JSON.stringify({ uri }), link.server.listTimeoutMs).then(
        () => this.#updates.tellAll(slot, uri),
        (error: unknown) => {
          // What takes the place of a link that is lost restores it.
          if (link.usable)
            link.logger.warn('A subscription could not be restored.', { uri, cause: describeError(error) })
        },
      )
    })
  }

  /**
   * Moves subscriptions to the links that their subscribers use, now that more is known of the server: which may be shared depends on its era, and a replica may
   * have gone. A subscriber that moves is told once that the resource may have changed: between two links, or while it waited to be told, something may have gone unheard.
   */
  regroup(server: string, opened?: Link): void {
    const pool = this.#options.pool(server)
    const entered = new Set<LinkSlot>()
    const moved = new Map<LinkSlot, { readonly own: string; readonly subscriber: Subscriber }[]>()
    for (const subscription of this.#subscriptions.of(server))
      for (const [subscriber, wish] of subscription.subscribers) {
        let slot: LinkSlot
        try {
          slot = pool.standing(wish.caller)
        } catch (error) {
          this.#options.logger.warn('A subscription stays where it is.', { cause: describeError(error) })
          continue
        }
        if (slot === subscription.slot) continue
        const { own } = subscription
        if (this.#subscriptions.add(slot, own, subscriber, wish)) entered.add(slot)
        const those = moved.get(slot)
        if (those) those.push({ own, subscriber })
        else moved.set(slot, [{ own, subscriber }])
        this.#remove(subscription, subscriber, opened)
      }
    for (const [slot, those] of moved) {
      const tell = (): void => {
        for (const { own, subscriber } of those) this.#updates.tellMoved(slot, own, subscriber)
      }
      const link = slot.current
      // What has been opened just now is told of all its subscriptions, and so are their subscribers.
      if (link && link === opened) continue
      if (!entered.has(slot)) tell()
      else if (!link) void Promise.resolve(slot.pick()).catch(() => undefined)
      else if (link.peer.era === 'legacy') void this.#tellServer(slot, link)
      else
        void this.#listens
          .get(link)
          ?.listen(() => this.#subscriptions.namesOf(slot))
          .then(tell)
    }
  }

  async #open(slot: LinkSlot, own: string, subscriber: Subscriber, wish: Subscription): Promise<Outcome> {
    // Held until it is known whether there is something to hear.
    slot.pin()
    try {
      const link = await slot.pick()
      if (link.peer.era === 'legacy')
        await link.request('resources/subscribe', JSON.stringify({ uri: own }), link.server.listTimeoutMs)
      this.#subscriptions.add(slot, own, subscriber, wish)
      await this.#listens.get(link)?.listen(() => this.#subscriptions.namesOf(slot))
      return EMPTY
    } catch (error) {
      if (error instanceof UpstreamRpcError)
        return { kind: 'error', text: error.error.text, value: error.error.value }
      throw error
    } finally {
      slot.unpin()
    }
  }

  /** A link of `fresh` has not been told of the subscription yet. */
  #remove(subscription: Topic<Subscription>, subscriber: Subscriber, fresh?: Link): void {
    if (!this.#subscriptions.remove(subscription, subscriber)) return
    const { slot, own } = subscription
    const link = slot.current
    if (!link || link === fresh) return
    if (link.peer.era === 'modern')
      void this.#listens.get(link)?.listen(() => this.#subscriptions.namesOf(slot))
    else {
      const told = link
        .request('resources/unsubscribe', JSON.stringify({ uri: own }), link.server.listTimeoutMs)
        .catch((error: unknown) =>
          this.#options.logger.debug('The server did not take the end of a subscription.', {
            server: link.server.name,
            cause: describeError(error),
          }),
        )
      void this.#change(keyOf(slot, own), told)
    }
  }

  /** Lets others who want something of the same resource wait until the server has been told. */
  async #change<T>(key: string, change: Promise<T>): Promise<T> {
    this.#changing.set(key, change)
    try {
      return await change
    } finally {
      if (this.#changing.get(key) === change) this.#changing.delete(key)
    }
  }
}
