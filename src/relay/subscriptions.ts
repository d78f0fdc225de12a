import { describeError, GatewayError } from '../core/errors.ts'
import type { Conversation, Exchange, Json, JsonObject, Outcome } from '../core/exchange.ts'
import type { Logger } from '../core/logger.ts'
import type { Route } from '../core/route.ts'
import { find, members } from '../protocol/json-text.ts'
import type { Link } from '../upstream/link.ts'
import type { Pool } from '../upstream/pool.ts'

const EMPTY: Outcome = { kind: 'ready', text: '{}' }

interface Subscription {
  readonly server: string
  readonly own: string
  /** Conversations that subscribed, with the URI each of them used. */
  readonly subscribers: Map<Conversation, string>
}

/**
 * Resource subscriptions of legacy clients over shared links: the first subscriber of a resource subscribes upstream, the last one
 * unsubscribes, and an update goes to those who subscribed and to nobody else. Restored when a link is opened anew.
 */
export class Subscriptions {
  readonly #pools: ReadonlyMap<string, Pool>
  readonly #logger: Logger
  /** Key: server and own URI. */
  readonly #subscriptions = new Map<string, Subscription>()
  /** First subscribers that the server has not answered yet, by the same key. */
  readonly #opening = new Map<string, Promise<Outcome>>()

  constructor(pools: ReadonlyMap<string, Pool>, logger: Logger) {
    this.#pools = pools
    this.#logger = logger
  }

  async subscribe(exchange: Exchange, route: Route): Promise<Outcome> {
    const { conversation } = exchange
    if (!conversation) throw new GatewayError('unknown_method', 'resources/subscribe needs a session.')
    const key = keyOf(route.server, route.own)
    for (;;) {
      const known = this.#subscriptions.get(key)
      if (known) {
        known.subscribers.set(conversation, route.exposed)
        return EMPTY
      }
      const opening = this.#opening.get(key)
      if (!opening) break
      // Another's failure is not ours: it may have been cancelled. Then the next one asks.
      await opening.catch(() => undefined)
      if (exchange.cancellation.reason !== undefined)
        throw new GatewayError('cancelled', 'The request was cancelled.')
    }
    const opening = this.#open(exchange, route, conversation)
    this.#opening.set(key, opening)
    try {
      return await opening
    } finally {
      this.#opening.delete(key)
    }
  }

  unsubscribe(exchange: Exchange, route: Route): Outcome {
    const subscription = this.#subscriptions.get(keyOf(route.server, route.own))
    if (exchange.conversation && subscription) this.#remove(subscription, exchange.conversation)
    return EMPTY
  }

  /** A conversation has ended. */
  leave(conversation: Conversation): void {
    for (const subscription of this.#subscriptions.values()) this.#remove(subscription, conversation)
  }

  /** A link has been opened: what it takes the place of had subscriptions. */
  restore(link: Link): void {
    for (const { server, own } of this.#subscriptions.values()) {
      if (server !== link.server.name) continue
      link
        .request('resources/subscribe', JSON.stringify({ uri: own }), link.server.listTimeoutMs)
        .catch((error: unknown) =>
          this.#logger.warn('A subscription could not be restored.', {
            server,
            uri: own,
            cause: describeError(error),
          }),
        )
    }
  }

  /** Tells subscribers of an update. The URI may be that of a part of what they subscribed to. */
  updated(server: string, params: Json): void {
    const uri = (params.value as JsonObject | null)?.uri
    if (typeof uri !== 'string') return
    const member = find(members(params.text), 'uri')
    if (!member) return
    for (const subscription of this.#subscriptions.values()) {
      if (subscription.server !== server || !covers(subscription.own, uri)) continue
      for (const [conversation, exposed] of subscription.subscribers) {
        const shown =
          exposed === subscription.own ? uri : uri === subscription.own ? exposed : `${server}+${uri}`
        conversation.notify(
          'notifications/resources/updated',
          params.text.slice(0, member.start) + JSON.stringify(shown) + params.text.slice(member.end),
        )
      }
    }
  }

  get size(): number {
    return this.#subscriptions.size
  }

  async #open(exchange: Exchange, route: Route, conversation: Conversation): Promise<Outcome> {
    const pool = this.#pool(route.server)
    const link = await pool.pick()
    const outcome = await link.call(exchange, {
      method: 'resources/subscribe',
      change: { target: { key: 'uri', value: route.own } },
    })
    if (outcome.kind === 'error') return outcome
    this.#subscriptions.set(keyOf(route.server, route.own), {
      server: route.server,
      own: route.own,
      subscribers: new Map([[conversation, route.exposed]]),
    })
    pool.pin()
    return EMPTY
  }

  #remove(subscription: Subscription, conversation: Conversation): void {
    if (!subscription.subscribers.delete(conversation) || subscription.subscribers.size > 0) return
    this.#subscriptions.delete(keyOf(subscription.server, subscription.own))
    const pool = this.#pool(subscription.server)
    pool.unpin()
    const link = pool.current
    link
      ?.request('resources/unsubscribe', JSON.stringify({ uri: subscription.own }), link.server.listTimeoutMs)
      .catch((error: unknown) =>
        this.#logger.debug('The server did not take the end of a subscription.', {
          server: subscription.server,
          cause: describeError(error),
        }),
      )
  }

  #pool(server: string): Pool {
    const pool = this.#pools.get(server)
    if (!pool) throw new GatewayError('internal', `There is no server "${server}".`)
    return pool
  }
}

function keyOf(server: string, own: string): string {
  return `${server}\n${own}`
}

function covers(subscribed: string, updated: string): boolean {
  return (
    updated === subscribed || updated.startsWith(subscribed.endsWith('/') ? subscribed : `${subscribed}/`)
  )
}
