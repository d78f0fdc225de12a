import { Deferrable } from '../core/deferrable.ts'
import { describeError } from '../core/errors.ts'
import type { Json, JsonObject } from '../core/exchange.ts'
import type { Logger } from '../core/logger.ts'
import type { Steps } from '../core/slices.ts'
import { MAX_URI_CHARS } from '../core/uri-readings.ts'
import { find, isObjectAt, members, rawAt, withMembers } from '../protocol/json-text.ts'
import { META } from '../protocol/revisions.ts'
import type { Caller } from '../upstream/replica/isolation.ts'
import type { LinkSlot } from '../upstream/pool/link-slot.ts'
import { isPartOf } from './path-index.ts'
import type { Subscriber } from '../core/subscriber.ts'
import { Updates } from './updates.ts'
import { topicKey, type Topic, type TopicTable } from './topics.ts'

/** A subscription of a subscriber. */
export interface Subscription {
  /** The URI in the subscriber's request. */
  readonly exposed: string
  readonly caller: Caller
}

/**
 * Maximum number of waiting updates about parts of subscribed resources, shared by the servers with waiting ones;
 * beyond it, the whole resource is reported as changed.
 */
const MAX_WAITING = 1000

/**
 * Sends updates to subscribers: at once while they are few, otherwise with pauses. A waiting update also stands for
 * later equal ones.
 */
export class ResourceUpdates {
  readonly #subscriptions: TopicTable<Subscription>
  readonly #receivesUpdates: (view: string, server: string, own: string) => boolean
  readonly #telling: Deferrable
  /**
   * By server: subscriptions of which all, or these, subscribers are about to be notified that the whole resource may
   * have changed.
   */
  readonly #changed = new Map<string, Map<Topic<Subscription>, Set<Subscriber> | 'all'>>()

  /** `hears`: whether subscribers of a view may receive updates of a resource of a server. */
  constructor(
    subscriptions: TopicTable<Subscription>,
    hears: (view: string, server: string, own: string) => boolean,
    logger: Logger,
  ) {
    this.#subscriptions = subscriptions
    this.#receivesUpdates = hears
    this.#telling = new Deferrable(error =>
      logger.error('Subscribers could not be notified of an update.', { cause: describeError(error) }),
    )
  }

  /** Handles an update from a server. The URI may be that of a part of a subscribed resource. */
  updated(slot: LinkSlot, params: Json): void {
    const uri = (params.value as JsonObject | null)?.uri
    if (typeof uri !== 'string' || uri.length > MAX_URI_CHARS) return
    const near = this.#subscriptions.near(slot, uri)
    if (near.length === 0) return
    const { name } = slot.server
    const waiting = this.#telling.waitingOf(name)
    if (waiting >= this.#telling.shareOf(name, MAX_WAITING)) {
      this.#tellWhole(name, near, 'all')
      return
    }
    const plain = withoutSubscriptionId(params)
    const member = find(members(plain), 'uri')
    if (!member) return
    // A waiting update must not hold much memory.
    const isBare = waiting > 0 && plain.length > 2 * MAX_URI_CHARS
    const before = isBare ? '{"uri":' : plain.slice(0, member.start)
    const after = isBare ? '}' : plain.slice(member.end)
    const updates = new Updates(text => before + text + after)
    // Two updates with different content are both sent.
    const said = isBare ? '' : plain
    this.#telling.do(name, `part ${topicKey(slot, uri)}\n${said}`, () => this.#tell(slot, uri, near, updates))
  }

  /**
   * Notifies subscribers that a resource may have changed. An update means no more than that: the client then reads the
   * resource (specification, server/resources).
   */
  tellAll(slot: LinkSlot, own: string): void {
    const subscription = this.#subscriptions.get(slot, own)
    if (subscription) this.#tellWhole(slot.server.name, [subscription], 'all')
  }

  /** The same, to a subscriber that was moved from another slot, whose waiting updates do not reach it any more. */
  tellMoved(slot: LinkSlot, own: string, subscriber: Subscriber): void {
    const subscription = this.#subscriptions.get(slot, own)
    if (subscription) this.#tellWhole(slot.server.name, [subscription], subscriber)
  }

  #tellWhole(
    server: string,
    subscriptions: readonly Topic<Subscription>[],
    receivers: Subscriber | 'all',
  ): void {
    let changed = this.#changed.get(server)
    if (!changed) this.#changed.set(server, (changed = new Map()))
    for (const subscription of subscriptions) {
      const those = changed.get(subscription)
      if (receivers === 'all') changed.set(subscription, 'all')
      else if (those === undefined) changed.set(subscription, new Set([receivers]))
      else if (those !== 'all') those.add(receivers)
    }
    this.#telling.do(server, 'whole', () => this.#tellChanged(server))
  }

  *#tellChanged(server: string): Steps<void> {
    // The iteration of a map includes entries added in the meantime.
    const changed = this.#changed.get(server) ?? new Map<Topic<Subscription>, Set<Subscriber> | 'all'>()
    for (const [subscription, receivers] of changed) {
      changed.delete(subscription)
      const updates = new Updates(text => `{"uri":${text}}`)
      const { subscribers } = subscription
      for (const subscriber of receivers === 'all' ? subscribers.keys() : receivers) {
        const wish = subscribers.get(subscriber)
        if (wish) updates.tell(subscriber, wish.exposed)
        yield
      }
    }
    if (this.#changed.get(server) === changed) this.#changed.delete(server)
  }

  *#tell(
    { server: { name } }: LinkSlot,
    uri: string,
    near: readonly Topic<Subscription>[],
    updates: Updates,
  ): Steps<void> {
    // All subscribers of one view have the same rights.
    const hears = new Map<string, boolean>()
    for (const { own, subscribers } of near) {
      // The comparison of long names takes time, too.
      yield
      if (!isPartOf(own, uri)) continue
      for (const [subscriber, { exposed }] of subscribers) {
        const { view } = subscriber
        let mayHear = hears.get(view)
        // A subscriber may lack the rights to a part of a subscribed resource.
        if (mayHear === undefined) hears.set(view, (mayHear = this.#receivesUpdates(view, name, uri)))
        if (mayHear)
          updates.tell(subscriber, exposed === own ? uri : uri === own ? exposed : `${name}+${uri}`)
        yield
      }
    }
  }
}

/** The parameters of a notification without the id of its stream. */
export function withoutSubscriptionId(params: Json): string {
  const meta = rawAt(params.text, '_meta')
  if (meta === undefined || !isObjectAt(meta) || !meta.includes(META.subscriptionId)) return params.text
  const rest = withMembers(meta, { [META.subscriptionId]: undefined })
  return withMembers(params.text, { _meta: rest === '{}' ? undefined : rest })
}
