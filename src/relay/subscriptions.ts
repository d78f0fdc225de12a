import { onAnotherLink } from '../core/another-link.ts'
import { describeError, GatewayError } from '../core/errors.ts'
import type { Exchange, Json, JsonObject, Outcome } from '../core/exchange.ts'
import type { Logger } from '../core/logger.ts'
import type { Route } from '../core/route.ts'
import { find, members, rawAt, withMembers } from '../protocol/json-text.ts'
import { META } from '../protocol/revisions.ts'
import type { Link } from '../upstream/link.ts'
import type { Caller } from '../upstream/isolation.ts'
import type { Pool } from '../upstream/pool.ts'
import { UpstreamRpcError } from '../upstream/rpc-error.ts'
import type { Slot } from '../upstream/slot.ts'
import { Updates, type Subscriber } from './updates.ts'
import { UpstreamListen } from './upstream-listen.ts'

const EMPTY: Outcome = { kind: 'ready', text: '{}' }

interface Subscription {
  readonly key: string
  readonly server: string
  readonly slot: Slot
  readonly own: string
  readonly subscribers: Map<Subscriber, Wish>
}

/** What a subscriber asked for. */
interface Wish {
  /** The URI it used. */
  readonly exposed: string
  /** In which it is allowed to ask. */
  readonly view: string
  readonly caller: Caller
}

export interface SubscriptionsOptions {
  readonly pool: (server: string) => Pool
  readonly logger: Logger
  /** Whether those who have a view may know of a resource of a server. */
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
  readonly #subscriptions = new Map<string, Subscription>()
  readonly #listens = new Map<Link, UpstreamListen>()
  /** What the server is being told and has not answered yet, by the same key: requests over HTTP may overtake each other. */
  readonly #changing = new Map<string, Promise<unknown>>()

  constructor(options: SubscriptionsOptions) {
    this.#options = options
  }

  /** @throws GatewayError `upstream_*` when the server cannot be reached. @returns `{}`, or the server's own error */
  subscribe(exchange: Exchange, route: Route, subscriber: Subscriber): Promise<Outcome> {
    exchange.record.route = route
    const { conversation, principal, features, protocolVersion, view } = exchange
    // Not the exchange: what it holds would be held as long as the subscription.
    const wish = {
      exposed: route.exposed,
      view,
      caller: { conversation, principal, features, protocolVersion },
    }
    return onAnotherLink(() => this.#subscribe(exchange, route, subscriber, wish))
  }

  async #subscribe(exchange: Exchange, route: Route, subscriber: Subscriber, wish: Wish): Promise<Outcome> {
    const { server, own } = route
    const pool = this.#options.pool(server)
    await pool.roster.pending
    // The server has been greeted before it is decided with whom the subscription is shared.
    await pool.standing(wish.caller).pick()
    const key = keyOf(server, pool.standing(wish.caller), own)
    for (let changing = this.#changing.get(key); changing; changing = this.#changing.get(key)) {
      // Another's failure is not ours.
      await changing.catch(() => undefined)
      if (exchange.cancellation.reason !== undefined)
        throw new GatewayError('cancelled', 'The request was cancelled.')
    }
    // Not earlier: a slot that nobody uses may be replaced while others are waited for.
    const slot = pool.standing(wish.caller)
    const known = this.#subscriptions.get(keyOf(server, slot, own))
    if (known) {
      if (exchange.cancellation.reason !== undefined)
        throw new GatewayError('cancelled', 'The request was cancelled.')
      known.subscribers.set(subscriber, wish)
      return EMPTY
    }
    const subscription = {
      key: keyOf(server, slot, own),
      server,
      slot,
      own,
      subscribers: new Map([[subscriber, wish]]),
    }
    const outcome = await this.#change(subscription.key, this.#open(subscription))
    // The client may have left in the meantime.
    if (
      exchange.cancellation.reason !== undefined &&
      this.#subscriptions.get(subscription.key) === subscription
    )
      this.#remove(subscription, subscriber)
    return outcome
  }

  unsubscribe(exchange: Exchange, route: Route, subscriber: Subscriber): Outcome {
    exchange.record.route = route
    const slot = this.#options.pool(route.server).standing(exchange)
    const subscription = this.#subscriptions.get(keyOf(route.server, slot, route.own))
    if (subscription) this.#remove(subscription, subscriber)
    return EMPTY
  }

  /** A subscriber is gone. */
  leave(subscriber: Subscriber): void {
    for (const subscription of this.#subscriptions.values()) this.#remove(subscription, subscriber)
  }

  /** A subscriber has another view now: it goes on with those that `mayHear` says of, by server and the URI it used. */
  retain(subscriber: Subscriber, view: string, mayHear: (server: string, uri: string) => boolean): void {
    for (const subscription of this.#subscriptions.values()) {
      const wish = subscription.subscribers.get(subscriber)
      if (!wish) continue
      if (mayHear(subscription.server, wish.exposed))
        subscription.subscribers.set(subscriber, { ...wish, view })
      else this.#remove(subscription, subscriber)
    }
  }

  /** A link has been opened: what it takes the place of had subscriptions. */
  opened(slot: Slot, link: Link): void {
    this.regroup(link.server.name, link)
    if (link.peer.era === 'legacy') {
      this.#tellServer(slot, link)
      return
    }
    const uris = this.#urisOf(slot)
    const listen = new UpstreamListen(link, link.logger, uris.length > 0, () => {
      this.#options.onMissed(link.server.name)
      this.#tellSubscribers(slot, this.#urisOf(slot))
    })
    this.#listens.set(link, listen)
    void listen.listen(uris)
  }

  /** A legacy server may have said something that was not heard, or be another one now that was never told what to say. */
  missed(link: Link): void {
    const slot = [...this.#subscriptions.values()].find(({ slot }) => slot.holds(link))?.slot
    if (slot) this.#tellServer(slot, link)
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
    const uri = (params.value as JsonObject | null)?.uri
    if (typeof uri !== 'string') return
    const plain = withoutSubscriptionId(params)
    const member = find(members(plain), 'uri')
    if (!member) return
    const updates = new Updates(text => plain.slice(0, member.start) + text + plain.slice(member.end))
    for (const { slot, own, subscribers } of this.#subscriptions.values()) {
      if (!slot.holds(link) || !covers(own, uri)) continue
      for (const [subscriber, { exposed, view }] of subscribers) {
        // A part of what somebody subscribed to need not be his to know.
        if (!this.#options.hears(view, link.server.name, uri)) continue
        const shown = exposed === own ? uri : uri === own ? exposed : `${link.server.name}+${uri}`
        updates.tell(subscriber, shown)
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

  /** Subscribes a legacy server to everything that is wanted of it, and takes for changed what may have changed before. */
  #tellServer(slot: Slot, link: Link): void {
    for (const uri of this.#urisOf(slot))
      link.request('resources/subscribe', JSON.stringify({ uri }), link.server.listTimeoutMs).then(
        () => this.#tellSubscribers(slot, [uri]),
        (error: unknown) => {
          // What takes the place of a link that is lost restores it.
          if (link.usable)
            link.logger.warn('A subscription could not be restored.', { uri, cause: describeError(error) })
        },
      )
  }

  /** Says that resources may have changed. "Updated" says no more than that: the client reads what it wants to know (specification, server/resources). */
  #tellSubscribers(slot: Slot, uris: readonly string[]): void {
    const updates = new Updates(text => `{"uri":${text}}`)
    for (const subscription of this.#subscriptions.values())
      if (subscription.slot === slot && uris.includes(subscription.own))
        for (const [subscriber, { exposed }] of subscription.subscribers) updates.tell(subscriber, exposed)
  }

  /**
   * Moves subscriptions to the links that their subscribers use, now that more is known of the server: which may be shared depends on its era, and a replica may
   * have gone.
   */
  regroup(server: string, opened?: Link): void {
    const pool = this.#options.pool(server)
    const entered = new Set<Slot>()
    for (const subscription of this.#subscriptions.values()) {
      if (subscription.server !== server) continue
      for (const [subscriber, wish] of subscription.subscribers) {
        let slot: Slot
        try {
          slot = pool.standing(wish.caller)
        } catch (error) {
          this.#options.logger.warn('A subscription stays where it is.', { cause: describeError(error) })
          continue
        }
        if (slot === subscription.slot) continue
        const key = keyOf(server, slot, subscription.own)
        const known = this.#subscriptions.get(key)
        if (known) known.subscribers.set(subscriber, wish)
        else {
          slot.pin()
          entered.add(slot)
          const { own } = subscription
          this.#subscriptions.set(key, { key, server, slot, own, subscribers: new Map([[subscriber, wish]]) })
        }
        this.#remove(subscription, subscriber, opened)
      }
    }
    for (const slot of entered) {
      const link = slot.current
      if (!link) void Promise.resolve(slot.pick()).catch(() => undefined)
      else if (link.peer.era === 'legacy') this.#tellServer(slot, link)
      else void this.#listens.get(link)?.listen(this.#urisOf(slot))
    }
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

  /** A link of `fresh` has not been told of the subscription yet. */
  #remove(subscription: Subscription, subscriber: Subscriber, fresh?: Link): void {
    if (!subscription.subscribers.delete(subscriber) || subscription.subscribers.size > 0) return
    const { slot, own } = subscription
    this.#subscriptions.delete(subscription.key)
    slot.unpin()
    const link = slot.current
    if (!link || link === fresh) return
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

/** Tells slots apart, whatever becomes of their keys. */
const numbers = new WeakMap<Slot, number>()
let last = 0

function numberOf(slot: Slot): number {
  let number = numbers.get(slot)
  if (number === undefined) numbers.set(slot, (number = ++last))
  return number
}

function keyOf(server: string, slot: Slot, own: string): string {
  return `${server}\n${numberOf(slot)}\n${own}`
}

/** The parameters of a notification without the id of the stream it came on. */
export function withoutSubscriptionId(params: Json): string {
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
