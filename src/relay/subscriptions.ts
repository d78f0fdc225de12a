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
import type { Subscriber } from '../core/subscriber.ts'
import { UpstreamListen } from '../upstream/link/listen-stream.ts'
import { topicKey, TopicTable, type Topic } from './topics.ts'

const EMPTY: Outcome = { kind: 'own', text: '{}' }

export interface SubscriptionsOptions {
  readonly pool: (server: string) => Pool
  readonly logger: Logger
  /** Maximum number of resources of one subscriber. */
  readonly maxPerSubscriber: number
  /** Whether subscribers of a view may receive updates of a resource of a server. */
  readonly receivesUpdates: (view: string, server: string, own: string) => boolean
  /** Called when the lists of a server may have changed without a notification. */
  readonly onMissed: (server: string) => void
}

/**
 * Resource subscriptions over shared links: the first subscriber of a resource subscribes upstream, the last one
 * unsubscribes, and an update goes to the subscribers only. Legacy servers get one request for each resource, modern
 * ones a listen stream. Subscriptions are restored when a link is re-opened.
 */
export class Subscriptions {
  readonly #options: SubscriptionsOptions
  /** As `SubscriptionsOptions.maxPerSubscriber`, for later subscriptions. */
  maxPerSubscriber: number
  readonly #subscriptions = new TopicTable<Subscription>()
  /** The slot of each link. */
  readonly #slots = new WeakMap<Link, LinkSlot>()
  readonly #updates: ResourceUpdates
  readonly #listens = new Map<Link, UpstreamListen>()
  /** Unanswered requests to servers, by the same key: requests over HTTP may overtake each other. */
  readonly #changing = new Map<string, Promise<unknown>>()

  constructor(options: SubscriptionsOptions) {
    this.#options = options
    this.maxPerSubscriber = options.maxPerSubscriber
    this.#updates = new ResourceUpdates(this.#subscriptions, options.receivesUpdates, options.logger)
  }

  /**
   * @throws GatewayError `overloaded` beyond the limit, `upstream_*` when the server cannot be reached. @returns `{}`,
   * or the server's own error
   */
  async subscribe(exchange: Exchange, route: Route, subscriber: Subscriber): Promise<Outcome> {
    exchange.trace.found(route)
    const { conversation, principal, features, protocolVersion } = exchange
    // Not the exchange, which would be kept in memory as long as the subscription.
    const wish = {
      exposed: route.exposed,
      caller: { conversation, principal, features, protocolVersion },
    }
    const { maxPerSubscriber } = this
    // Reserved until the result is known, so that concurrent requests for the same resource count once.
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
    // The server has to be greeted first, because its era decides which clients share the subscription.
    await pool.standing(wish.caller).pick()
    const key = topicKey(pool.standing(wish.caller), own)
    for (let changing = this.#changing.get(key); changing; changing = this.#changing.get(key)) {
      // The failure of another request does not matter here.
      await changing.catch(() => undefined)
      if (exchange.cancellation.reason !== undefined)
        throw new GatewayError('cancelled', 'The request was cancelled.')
    }
    // Not earlier, because an unused slot may be replaced during the waits.
    const slot = pool.standing(wish.caller)
    if (this.#subscriptions.get(slot, own)) {
      if (exchange.cancellation.reason !== undefined)
        throw new GatewayError('cancelled', 'The request was cancelled.')
      this.#subscriptions.add(slot, own, subscriber, wish)
      return EMPTY
    }
    const outcome = await this.#change(topicKey(slot, own), this.#open(slot, own, subscriber, wish))
    // The client may have disconnected in the meantime.
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

  /** Removes a subscriber. */
  leave(subscriber: Subscriber): void {
    for (const subscription of this.#subscriptions.by(subscriber)) this.#remove(subscription, subscriber)
  }

  /**
   * Applies the new view of a subscriber: it keeps the subscriptions for which `mayHear` is true, by server and the URI
   * in its request.
   */
  retain(subscriber: Subscriber, mayHear: (server: string, uri: string) => boolean): void {
    for (const subscription of this.#subscriptions.by(subscriber)) {
      const wish = subscription.subscribers.get(subscriber)
      if (wish && !mayHear(subscription.slot.server.name, wish.exposed))
        this.#remove(subscription, subscriber)
    }
  }

  /** Restores the subscriptions of a replaced link, because a link has been opened. */
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

  /** A legacy server may have sent missed notifications, or may have been replaced by one without the subscriptions. */
  missed(link: Link): void {
    const slot = this.#slots.get(link)
    if (slot?.holds(link)) void this.#tellServer(slot, link)
  }

  /** The listen stream of a modern link. */
  listenOf(link: Link): UpstreamListen | undefined {
    return this.#listens.get(link)
  }

  /** A link was lost, replaced or closed: nothing listens to it any more. Idempotent. */
  ended(link: Link): void {
    this.#listens.get(link)?.close()
    this.#listens.delete(link)
  }

  /** Relays an update to subscribers. The URI may be that of a part of a subscribed resource. */
  updated(link: Link, params: Json): void {
    this.#listens.get(link)?.heard()
    const slot = this.#slots.get(link)
    if (slot?.holds(link)) this.#updates.updated(slot, params)
  }

  get size(): number {
    return this.#subscriptions.size
  }

  /**
   * Subscribes to every wanted resource at a legacy server, and treats those that may have changed before as changed.
   */
  async #tellServer(slot: LinkSlot, link: Link): Promise<void> {
    await inTurns(this.#subscriptions.namesOf(slot), uri => {
      if (!link.usable || !this.#subscriptions.get(slot, uri)) return
      link.request('resources/subscribe', JSON.stringify({ uri }), link.server.listTimeoutMs).then(
        () => this.#updates.tellAll(slot, uri),
        (error: unknown) => {
          // If the link is lost, its replacement restores the subscription.
          if (link.usable)
            link.logger.warn('A subscription could not be restored.', { uri, cause: describeError(error) })
        },
      )
    })
  }

  /**
   * Moves subscriptions to the links that their subscribers use, after more is known of the server: sharing depends on
   * its era, and a replica may have been removed. A moved subscriber is notified once that the resource may have
   * changed, because an update may have been missed during the move.
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
          this.#options.logger.warn('A subscription could not be moved to another link.', {
            cause: describeError(error),
          })
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
      // A link that was just opened gets all its subscriptions, and its subscribers are notified.
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
    // Pinned until it is known whether there is something to listen to.
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

  /** A link of `fresh` has not received the subscription yet. */
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
          this.#options.logger.debug('The server rejected the end of a subscription.', {
            server: link.server.name,
            cause: describeError(error),
          }),
        )
      void this.#change(topicKey(slot, own), told)
    }
  }

  /** Makes other requests for the same resource wait until the server has answered. */
  async #change<T>(key: string, change: Promise<T>): Promise<T> {
    this.#changing.set(key, change)
    try {
      return await change
    } finally {
      if (this.#changing.get(key) === change) this.#changing.delete(key)
    }
  }
}
