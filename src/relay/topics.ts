import type { LinkSlot } from '../upstream/pool/link-slot.ts'
import { HeldNames } from './held-names.ts'
import { PathIndex } from './path-index.ts'
import type { Subscriber } from '../core/subscriber.ts'

/** Distinguishes slots, even if their keys change. */
const numbers = new WeakMap<LinkSlot, number>()
let last = 0

/** Key of an item of a slot. */
export function topicKey(slot: LinkSlot, own: string): string {
  let number = numbers.get(slot)
  if (number === undefined) numbers.set(slot, (number = ++last))
  return `${number}\n${own}`
}

/** An item of a server that clients subscribe to, over the link of one slot. */
export class Topic<W> {
  readonly slot: LinkSlot
  /** The server's own name of it. */
  readonly own: string
  readonly subscribers = new Map<Subscriber, W>()

  constructor(slot: LinkSlot, own: string) {
    this.slot = slot
    this.own = own
  }
}

interface OfSlot<W> {
  readonly byOwn: Map<string, Topic<W>>
  readonly byPath: PathIndex<Topic<W>>
}

/**
 * Topics by slot, by name and by subscriber. The time of a look-up does not depend on the number of other topics. A
 * slot is pinned once for each of its topics.
 */
export class TopicTable<W> {
  readonly #slots = new Map<LinkSlot, OfSlot<W>>()
  readonly #bySubscriber = new Map<Subscriber, Set<Topic<W>>>()
  /** Names that subscribers have subscribed to or reserved. */
  readonly #names = new HeldNames<Subscriber>()
  #size = 0

  /** Number of topics. */
  get size(): number {
    return this.#size
  }

  get(slot: LinkSlot, own: string): Topic<W> | undefined {
    return this.#slots.get(slot)?.byOwn.get(own)
  }

  /** Names of all topics of a slot. */
  namesOf(slot: LinkSlot): string[] {
    return [...(this.#slots.get(slot)?.byOwn.keys() ?? [])]
  }

  /** All topics of a server. */
  of(server: string): Topic<W>[] {
    const list: Topic<W>[] = []
    for (const [slot, { byOwn }] of this.#slots)
      if (slot.server.name === server) for (const topic of byOwn.values()) list.push(topic)
    return list
  }

  /** All topics of a subscriber. */
  by(subscriber: Subscriber): Topic<W>[] {
    return [...(this.#bySubscriber.get(subscriber) ?? [])]
  }

  /**
   * Counts an item as subscribed during the request for it. The caller releases it. `false`: the subscriber has `most`
   * items already, and this is none of them.
   */
  reserve(subscriber: Subscriber, server: string, own: string, most: number): boolean {
    if (this.#names.countOf(subscriber) >= most && !this.#names.has(subscriber, server, own)) return false
    this.#names.add(subscriber, server, own)
    return true
  }

  release(subscriber: Subscriber, server: string, own: string): void {
    this.#names.delete(subscriber, server, own)
  }

  /** Topics of a slot whose name `isPartOf` this URI. They may include a name with the same hash. */
  near(slot: LinkSlot, uri: string): Topic<W>[] {
    return this.#slots.get(slot)?.byPath.near(uri) ?? []
  }

  /** Adds a subscriber. @returns whether it is the first */
  add(slot: LinkSlot, own: string, subscriber: Subscriber, wish: W): boolean {
    let ofSlot = this.#slots.get(slot)
    if (!ofSlot) this.#slots.set(slot, (ofSlot = { byOwn: new Map(), byPath: new PathIndex() }))
    let topic = ofSlot.byOwn.get(own)
    const isNew = !topic
    if (!topic) {
      ofSlot.byOwn.set(own, (topic = new Topic<W>(slot, own)))
      ofSlot.byPath.add(own, topic)
      this.#size++
      slot.pin()
    }
    topic.subscribers.set(subscriber, wish)
    let those = this.#bySubscriber.get(subscriber)
    if (!those) this.#bySubscriber.set(subscriber, (those = new Set()))
    if (!those.has(topic)) this.#names.add(subscriber, slot.server.name, own)
    those.add(topic)
    return isNew
  }

  /** Removes a subscriber. @returns whether it was the last one */
  remove(topic: Topic<W>, subscriber: Subscriber): boolean {
    if (!topic.subscribers.delete(subscriber)) return false
    this.#forget(topic, subscriber)
    if (topic.subscribers.size > 0) return false
    this.#delete(topic)
    return true
  }

  /** Removes a topic that has no subscribers. */
  drop(topic: Topic<W>): void {
    for (const subscriber of topic.subscribers.keys()) this.#forget(topic, subscriber)
    topic.subscribers.clear()
    this.#delete(topic)
  }

  #forget(topic: Topic<W>, subscriber: Subscriber): void {
    const those = this.#bySubscriber.get(subscriber)
    if (!those?.delete(topic)) return
    this.#names.delete(subscriber, topic.slot.server.name, topic.own)
    if (those.size === 0) this.#bySubscriber.delete(subscriber)
  }

  #delete(topic: Topic<W>): void {
    const { slot, own } = topic
    const ofSlot = this.#slots.get(slot)
    if (!ofSlot?.byOwn.delete(own)) return
    this.#size--
    ofSlot.byPath.delete(own, topic)
    if (ofSlot.byOwn.size === 0) this.#slots.delete(slot)
    slot.unpin()
  }
}
