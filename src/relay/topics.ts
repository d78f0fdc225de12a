import type { LinkSlot } from '../upstream/pool/link-slot.ts'
import { HeldNames } from './held-names.ts'
import { PathIndex } from './path-index.ts'
import type { Subscriber } from './updates.ts'

/** Tells slots apart, whatever becomes of their keys. */
const numbers = new WeakMap<LinkSlot, number>()
let last = 0

/** A text for something of a slot. */
export function keyOf(slot: LinkSlot, own: string): string {
  let number = numbers.get(slot)
  if (number === undefined) numbers.set(slot, (number = ++last))
  return `${number}\n${own}`
}

/** Something of a server that clients want to hear of, over the link of one slot. */
export class Topic<W> {
  readonly slot: LinkSlot
  /** The name that the server itself uses. */
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
 * What is wanted, found by slot, by name and by subscriber: a look-up takes no longer because others want more. A slot is
 * pinned once for each thing that is wanted of it.
 */
export class TopicTable<W> {
  readonly #slots = new Map<LinkSlot, OfSlot<W>>()
  readonly #bySubscriber = new Map<Subscriber, Set<Topic<W>>>()
  /** Of what subscribers want and of what they reserve. */
  readonly #names = new HeldNames<Subscriber>()
  #size = 0

  /** Things that are wanted. */
  get size(): number {
    return this.#size
  }

  get(slot: LinkSlot, own: string): Topic<W> | undefined {
    return this.#slots.get(slot)?.byOwn.get(own)
  }

  /** Names of all that is wanted of a slot. */
  namesOf(slot: LinkSlot): string[] {
    return [...(this.#slots.get(slot)?.byOwn.keys() ?? [])]
  }

  /** All that is wanted of a server. */
  of(server: string): Topic<W>[] {
    const list: Topic<W>[] = []
    for (const [slot, { byOwn }] of this.#slots)
      if (slot.server.name === server) for (const wanted of byOwn.values()) list.push(wanted)
    return list
  }

  /** All that a subscriber wants. */
  by(subscriber: Subscriber): Topic<W>[] {
    return [...(this.#bySubscriber.get(subscriber) ?? [])]
  }

  /**
   * Counts something as wanted while it is asked for; the caller releases it. `false`: the subscriber wants or reserves `most`
   * things already, and this is none of them.
   */
  reserve(subscriber: Subscriber, server: string, own: string, most: number): boolean {
    if (this.#names.countOf(subscriber) >= most && !this.#names.has(subscriber, server, own)) return false
    this.#names.add(subscriber, server, own)
    return true
  }

  release(subscriber: Subscriber, server: string, own: string): void {
    this.#names.delete(subscriber, server, own)
  }

  /** What is wanted of a slot whose name `isPartOf` this URI; another name of the same hash is possible. */
  near(slot: LinkSlot, uri: string): Topic<W>[] {
    return this.#slots.get(slot)?.byPath.near(uri) ?? []
  }

  /** A subscriber wants something. @returns whether it is the first */
  add(slot: LinkSlot, own: string, subscriber: Subscriber, wish: W): boolean {
    let ofSlot = this.#slots.get(slot)
    if (!ofSlot) this.#slots.set(slot, (ofSlot = { byOwn: new Map(), byPath: new PathIndex() }))
    let wanted = ofSlot.byOwn.get(own)
    const isNew = !wanted
    if (!wanted) {
      ofSlot.byOwn.set(own, (wanted = new Topic<W>(slot, own)))
      ofSlot.byPath.add(own, wanted)
      this.#size++
      slot.pin()
    }
    wanted.subscribers.set(subscriber, wish)
    let those = this.#bySubscriber.get(subscriber)
    if (!those) this.#bySubscriber.set(subscriber, (those = new Set()))
    if (!those.has(wanted)) this.#names.add(subscriber, slot.server.name, own)
    those.add(wanted)
    return isNew
  }

  /** A subscriber wants it no longer. @returns whether it was the last one */
  remove(wanted: Topic<W>, subscriber: Subscriber): boolean {
    if (!wanted.subscribers.delete(subscriber)) return false
    this.#forget(wanted, subscriber)
    if (wanted.subscribers.size > 0) return false
    this.#delete(wanted)
    return true
  }

  /** It is wanted no longer by any subscriber. */
  drop(wanted: Topic<W>): void {
    for (const subscriber of wanted.subscribers.keys()) this.#forget(wanted, subscriber)
    wanted.subscribers.clear()
    this.#delete(wanted)
  }

  #forget(wanted: Topic<W>, subscriber: Subscriber): void {
    const those = this.#bySubscriber.get(subscriber)
    if (!those?.delete(wanted)) return
    this.#names.delete(subscriber, wanted.slot.server.name, wanted.own)
    if (those.size === 0) this.#bySubscriber.delete(subscriber)
  }

  #delete(wanted: Topic<W>): void {
    const { slot, own } = wanted
    const ofSlot = this.#slots.get(slot)
    if (!ofSlot?.byOwn.delete(own)) return
    this.#size--
    ofSlot.byPath.delete(own, wanted)
    if (ofSlot.byOwn.size === 0) this.#slots.delete(slot)
    slot.unpin()
  }
}
