import type { Slot } from '../upstream/slot.ts'
import type { Subscriber } from './updates.ts'

/** Tells slots apart, whatever becomes of their keys. */
const numbers = new WeakMap<Slot, number>()
let last = 0

/** A text for something of a slot. */
export function keyOf(slot: Slot, own: string): string {
  let number = numbers.get(slot)
  if (number === undefined) numbers.set(slot, (number = ++last))
  return `${number}\n${own}`
}

/** Something of a server that clients want to hear of, over the link of one slot. */
export class Wanted<W> {
  readonly slot: Slot
  /** The name that the server itself uses. */
  readonly own: string
  readonly subscribers = new Map<Subscriber, W>()

  constructor(slot: Slot, own: string) {
    this.slot = slot
    this.own = own
  }
}

interface OfSlot<W> {
  readonly byOwn: Map<string, Wanted<W>>
  /** How many of the names have so many characters. */
  readonly lengths: Map<number, number>
}

/**
 * What is wanted, found by slot, by name and by subscriber: nothing here takes longer because others want more. A slot is pinned
 * once for each thing that is wanted of it.
 */
export class WantedTable<W> {
  readonly #slots = new Map<Slot, OfSlot<W>>()
  readonly #bySubscriber = new Map<Subscriber, Set<Wanted<W>>>()
  #size = 0

  /** Things that are wanted. */
  get size(): number {
    return this.#size
  }

  get(slot: Slot, own: string): Wanted<W> | undefined {
    return this.#slots.get(slot)?.byOwn.get(own)
  }

  /** Names of all that is wanted of a slot. */
  namesOf(slot: Slot): string[] {
    return [...(this.#slots.get(slot)?.byOwn.keys() ?? [])]
  }

  /** All that is wanted of a server. */
  of(server: string): Wanted<W>[] {
    const list: Wanted<W>[] = []
    for (const [slot, { byOwn }] of this.#slots)
      if (slot.server.name === server) for (const wanted of byOwn.values()) list.push(wanted)
    return list
  }

  /** All that a subscriber wants. */
  by(subscriber: Subscriber): Wanted<W>[] {
    return [...(this.#bySubscriber.get(subscriber) ?? [])]
  }

  /** How much a subscriber wants. */
  countBy(subscriber: Subscriber): number {
    return this.#bySubscriber.get(subscriber)?.size ?? 0
  }

  /** What is wanted of a slot and is this URI, or a part of the path to it. */
  covering(slot: Slot, uri: string): Wanted<W>[] {
    const ofSlot = this.#slots.get(slot)
    if (!ofSlot) return []
    const { byOwn, lengths } = ofSlot
    const found: Wanted<W>[] = []
    // One look-up for each length there is: neither many subscriptions nor many slashes take long.
    for (const length of lengths.keys()) {
      const isPart = length === uri.length || uri[length] === '/' || uri[length - 1] === '/'
      const wanted = length <= uri.length && isPart && byOwn.get(uri.slice(0, length))
      if (wanted) found.push(wanted)
    }
    return found
  }

  /** A subscriber wants something. @returns whether nobody else does */
  add(slot: Slot, own: string, subscriber: Subscriber, wish: W): boolean {
    let ofSlot = this.#slots.get(slot)
    if (!ofSlot) this.#slots.set(slot, (ofSlot = { byOwn: new Map(), lengths: new Map() }))
    let wanted = ofSlot.byOwn.get(own)
    const isNew = !wanted
    if (!wanted) {
      ofSlot.byOwn.set(own, (wanted = new Wanted<W>(slot, own)))
      ofSlot.lengths.set(own.length, (ofSlot.lengths.get(own.length) ?? 0) + 1)
      this.#size++
      slot.pin()
    }
    wanted.subscribers.set(subscriber, wish)
    let those = this.#bySubscriber.get(subscriber)
    if (!those) this.#bySubscriber.set(subscriber, (those = new Set()))
    those.add(wanted)
    return isNew
  }

  /** A subscriber wants it no longer. @returns whether it was the last one */
  remove(wanted: Wanted<W>, subscriber: Subscriber): boolean {
    if (!wanted.subscribers.delete(subscriber)) return false
    this.#forget(wanted, subscriber)
    if (wanted.subscribers.size > 0) return false
    this.#delete(wanted)
    return true
  }

  /** It is wanted no longer, whoever wanted it. */
  drop(wanted: Wanted<W>): void {
    for (const subscriber of wanted.subscribers.keys()) this.#forget(wanted, subscriber)
    wanted.subscribers.clear()
    this.#delete(wanted)
  }

  #forget(wanted: Wanted<W>, subscriber: Subscriber): void {
    const those = this.#bySubscriber.get(subscriber)
    if (those?.delete(wanted) && those.size === 0) this.#bySubscriber.delete(subscriber)
  }

  #delete({ slot, own }: Wanted<W>): void {
    const ofSlot = this.#slots.get(slot)
    if (!ofSlot?.byOwn.delete(own)) return
    this.#size--
    const left = (ofSlot.lengths.get(own.length) ?? 1) - 1
    if (left > 0) ofSlot.lengths.set(own.length, left)
    else ofSlot.lengths.delete(own.length)
    if (ofSlot.byOwn.size === 0) this.#slots.delete(slot)
    slot.unpin()
  }
}
