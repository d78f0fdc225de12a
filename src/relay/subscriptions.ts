import { describeError, GatewayError } from '../core/errors.ts'
import type { Exchange, Json, JsonObject, Outcome } from '../core/exchange.ts'
import type { Logger } from '../core/logger.ts'
import type { Route } from '../core/route.ts'
import { find, members, rawAt, withMembers } from '../protocol/json-text.ts'
import { META } from '../protocol/revisions.ts'
import type { Link } from '../upstream/link.ts'
import type { Pool } from '../upstream/pool.ts'
import { UpstreamRpcError } from '../upstream/rpc-error.ts'
import type { Slot } from '../upstream/slot.ts'
import { UpstreamListen } from './upstream-listen.ts'

const EMPTY: Outcome = { kind: 'ready', text: '{}' }

/** Who hears of updates: a legacy session, or the listen stream of a modern client. */
export interface Subscriber {
  notify(method: string, params: string | undefined): void
}

interface Subscription {
  readonly key: string
  readonly slot: Slot
  readonly own: string
  /** Subscribers, with the URI each of them used. */
  readonly subscribers: Map<Subscriber, string>
}

export interface SubscriptionsOptions {
  readonly pool: (server: string) => Pool
  readonly logger: Logger
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
  readonly #subscriptions = new Map<string, Subscription>()
  readonly #listens = new Map<Link, UpstreamListen>()
  /** What the server is being told and has not answered yet, by the same key: requests over HTTP may overtake each other. */
  readonly #changing = new Map<string, Promise<unknown>>()

  constructor(options: SubscriptionsOptions) {
    this.#options = options
  }

  /** @throws GatewayError `upstream_*` when the server cannot be reached. @returns `{}`, or the server's own error */
  async subscribe(exchange: Exchange, route: Route, subscriber: Subscriber): Promise<Outcome> {
    exchange.record.route = route
    const pool = this.#options.pool(route.server)
    const key = `${route.server}\n${pool.standing(exchange).key.id}\n${route.own}`
    for (let changing = this.#changing.get(key); changing; changing = this.#changing.get(key)) {
      // Another's failure is not ours.
      await changing.catch(() => undefined)
      if (exchange.cancellation.reason !== undefined)
        throw new GatewayError('cancelled', 'The request was cancelled.')
    }
    const known = this.#subscriptions.get(key)
    if (known) {
      known.subscribers.set(subscriber, route.exposed)
      return EMPTY
    }
    // Not earlier: a slot that nobody uses may be replaced while others are waited for.
    const slot = pool.standing(exchange)
    const subscription = { key, slot, own: route.own, subscribers: new Map([[subscriber, route.exposed]]) }
    const outcome = await this.#change(key, this.#open(subscription))
    // The client may have left in the meantime.
    if (exchange.cancellation.reason !== undefined && this.#subscriptions.get(key) === subscription)
      this.#remove(subscription, subscriber)
    return outcome
  }

  unsubscribe(exchange: Exchange, route: Route, subscriber: Subscriber): Outcome {
    exchange.record.route = route
    const slot = this.#options.pool(route.server).standing(exchange)
    const subscription = this.#subscriptions.get(`${route.server}\n${slot.key.id}\n${route.own}`)
    if (subscription) this.#remove(subscription, subscriber)
    return EMPTY
  }

  /** A subscriber is gone. */
  leave(subscriber: Subscriber): void {
    for (const subscription of this.#subscriptions.values()) this.#remove(subscription, subscriber)
  }

  /** A link has been opened: what it takes the place of had subscriptions. */
  opened(slot: Slot, link: Link): void {
    const logger = link.logger
    if (link.peer.era === 'modern') {
      const listen = new UpstreamListen(link, logger, () => this.#options.onMissed(link.server.name))
      this.#listens.set(link, listen)
      void listen.listen(this.#urisOf(slot))
      return
    }
    for (const uri of this.#urisOf(slot))
      link
        .request('resources/subscribe', JSON.stringify({ uri }), link.server.listTimeoutMs)
        .catch((error: unknown) =>
          logger.warn('A subscription could not be restored.', { uri, cause: describeError(error) }),
        )
  }

  /** A link is gone. */
  lost(link: Link): void {
    this.#listens.get(link)?.close()
    this.#listens.delete(link)
  }

  /** Tells subscribers of an update. The URI may be that of a part of what they subscribed to. */
  updated(link: Link, params: Json): void {
    this.#listens.get(link)?.heard()
    const uri = (params.value as JsonObject | null)?.uri
    if (typeof uri !== 'string') return
    const plain = withoutSubscriptionId(params)
    const member = find(members(plain), 'uri')
    if (!member) return
    for (const { slot, own, subscribers } of this.#subscriptions.values()) {
      if (!slot.holds(link) || !covers(own, uri)) continue
      for (const [subscriber, exposed] of subscribers) {
        const shown = exposed === own ? uri : uri === own ? exposed : `${link.server.name}+${uri}`
        subscriber.notify(
          'notifications/resources/updated',
          plain.slice(0, member.start) + JSON.stringify(shown) + plain.slice(member.end),
        )
      }
    }
  }

  get size(): number {
    return this.#subscriptions.size
  }

  #urisOf(slot: Slot): string[] {
    return [...this.#subscriptions.values()]
      .filter(subscription => subscription.slot === slot)
      .map(({ own }) => own)
  }

  async #open(subscription: Subscription): Promise<Outcome> {
    const { slot, own } = subscription
    slot.pin()
    try {
      const link = await slot.pick()
      if (link.peer.era === 'legacy')
        await link.request('resources/subscribe', JSON.stringify({ uri: own }), link.server.listTimeoutMs)
      this.#subscriptions.set(subscription.key, subscription)
      await this.#listens.get(link)?.listen(this.#urisOf(slot))
      return EMPTY
    } catch (error) {
      slot.unpin()
      if (error instanceof UpstreamRpcError)
        return { kind: 'error', text: error.error.text, value: error.error.value }
      throw error
    }
  }

  #remove(subscription: Subscription, subscriber: Subscriber): void {
    if (!subscription.subscribers.delete(subscriber) || subscription.subscribers.size > 0) return
    const { slot, own } = subscription
    this.#subscriptions.delete(subscription.key)
    slot.unpin()
    const link = slot.current
    if (!link) return
    if (link.peer.era === 'modern') void this.#listens.get(link)?.listen(this.#urisOf(slot))
    else {
      const told = link
        .request('resources/unsubscribe', JSON.stringify({ uri: own }), link.server.listTimeoutMs)
        .catch((error: unknown) =>
          this.#options.logger.debug('The server did not take the end of a subscription.', {
            server: link.server.name,
            cause: describeError(error),
          }),
        )
      void this.#change(subscription.key, told)
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

function withoutSubscriptionId(params: Json): string {
  const meta = rawAt(params.text, '_meta')
  if (meta === undefined || !meta.includes(META.subscriptionId)) return params.text
  const rest = withMembers(meta, { [META.subscriptionId]: undefined })
  return withMembers(params.text, { _meta: rest === '{}' ? undefined : rest })
}

function covers(subscribed: string, updated: string): boolean {
  return (
    updated === subscribed || updated.startsWith(subscribed.endsWith('/') ? subscribed : `${subscribed}/`)
  )
}
