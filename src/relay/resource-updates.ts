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
import { Updates, type Subscriber } from './updates.ts'
import { keyOf, type Topic, type TopicTable } from './topics.ts'

/** What a subscriber asked for. */
export interface Subscription {
  /** The URI it used. */
  readonly exposed: string
  /** In which it is allowed to ask. */
  readonly view: string
  readonly caller: Caller
}

/**
 * Updates of ever other parts of what is subscribed to wait up to this number, which servers that have some waiting share;
 * then the whole is said to have changed.
 */
const MAX_WAITING = 1000

/**
 * Tells subscribers of updates: at once while there are few, and else with pauses. An update that still waits stands for
 * later ones that say the same.
 */
export class ResourceUpdates {
  readonly #subscriptions: TopicTable<Subscription>
  readonly #hears: (view: string, server: string, own: string) => boolean
  readonly #telling: Deferrable
  /** By server: subscriptions whose subscribers, or these of them, are about to be told that the whole may have changed. */
  readonly #changed = new Map<string, Map<Topic<Subscription>, Set<Subscriber> | 'all'>>()

  /** `hears`: whether subscribers of a view may know of a resource of a server. */
  constructor(
    subscriptions: TopicTable<Subscription>,
    hears: (view: string, server: string, own: string) => boolean,
    logger: Logger,
  ) {
    this.#subscriptions = subscriptions
    this.#hears = hears
    this.#telling = new Deferrable(error =>
      logger.error('Subscribers could not be told of an update.', { cause: describeError(error) }),
    )
  }

  /** A server tells of an update. The URI may be that of a part of what is subscribed to. */
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
    // What waits holds little.
    const isBare = waiting > 0 && plain.length > 2 * MAX_URI_CHARS
    const before = isBare ? '{"uri":' : plain.slice(0, member.start)
    const after = isBare ? '}' : plain.slice(member.end)
    const updates = new Updates(text => before + text + after)
    // Two that say different things are both told.
    const said = isBare ? '' : plain
    this.#telling.do(name, `part ${keyOf(slot, uri)}\n${said}`, () => this.#tell(slot, uri, near, updates))
  }

  /** Says that a resource may have changed. "Updated" says no more than that: the client reads what it wants to know (specification, server/resources). */
  tellAll(slot: LinkSlot, own: string): void {
    const subscription = this.#subscriptions.get(slot, own)
    if (subscription) this.#tellWhole(slot.server.name, [subscription], 'all')
  }

  /** The same, to a subscriber that has come from another slot: what waits to be told there does not reach it any more. */
  tellMoved(slot: LinkSlot, own: string, subscriber: Subscriber): void {
    const subscription = this.#subscriptions.get(slot, own)
    if (subscription) this.#tellWhole(slot.server.name, [subscription], subscriber)
  }

  #tellWhole(server: string, subscriptions: readonly Topic<Subscription>[], whom: Subscriber | 'all'): void {
    let changed = this.#changed.get(server)
    if (!changed) this.#changed.set(server, (changed = new Map()))
    for (const subscription of subscriptions) {
      const those = changed.get(subscription)
      if (whom === 'all') changed.set(subscription, 'all')
      else if (those === undefined) changed.set(subscription, new Set([whom]))
      else if (those !== 'all') those.add(whom)
    }
    this.#telling.do(server, 'whole', () => this.#tellChanged(server))
  }

  *#tellChanged(server: string): Steps<void> {
    // A map goes on to what is added meanwhile.
    const changed = this.#changed.get(server) ?? new Map<Topic<Subscription>, Set<Subscriber> | 'all'>()
    for (const [subscription, whom] of changed) {
      changed.delete(subscription)
      const updates = new Updates(text => `{"uri":${text}}`)
      const { subscribers } = subscription
      for (const subscriber of whom === 'all' ? subscribers.keys() : whom) {
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
    // Of one view all may hear of it, or none.
    const hears = new Map<string, boolean>()
    for (const { own, subscribers } of near) {
      // To compare long names takes its time, too.
      yield
      if (!isPartOf(own, uri)) continue
      for (const [subscriber, { exposed, view }] of subscribers) {
        let mayHear = hears.get(view)
        // A part of what is subscribed to need not be the subscriber's to know.
        if (mayHear === undefined) hears.set(view, (mayHear = this.#hears(view, name, uri)))
        if (mayHear)
          updates.tell(subscriber, exposed === own ? uri : uri === own ? exposed : `${name}+${uri}`)
        yield
      }
    }
  }
}

/** The parameters of a notification without the id of the stream it came on. */
export function withoutSubscriptionId(params: Json): string {
  const meta = rawAt(params.text, '_meta')
  if (meta === undefined || !isObjectAt(meta) || !meta.includes(META.subscriptionId)) return params.text
  const rest = withMembers(meta, { [META.subscriptionId]: undefined })
  return withMembers(params.text, { _meta: rest === '{}' ? undefined : rest })
}
