import { monotonicNow } from '../../core/clock.ts'
import type { Deadline, Deadlines } from '../../core/deadlines.ts'
import type { Replica } from '../replica/replica.ts'
import type { LinkSlot } from './link-slot.ts'

export interface DrainsOptions {
  /** The slots of a replica. */
  readonly slots: (replica: Replica) => readonly LinkSlot[]
  /** Whether nothing is lost when it is closed. */
  readonly isSpare: (slot: LinkSlot) => boolean
  /** Ends the link of a slot, and the slot itself if its replica is removed for good. */
  readonly end: (slot: LinkSlot, gone: boolean) => void
  readonly deadlines: Deadlines
  /** Time after which links end despite calls in flight. */
  readonly timeoutMs: () => number
}

const LOOK_MS = 100

/** Replicas that take no new calls. Each of their links ends when the last call on it is answered. */
export class Drains {
  readonly #options: DrainsOptions
  readonly #drains = new Map<Replica, Drain>()
  #onNone: (() => void) | undefined

  constructor(options: DrainsOptions) {
    this.#options = options
  }

  /** Replicas that are no longer in the configuration and have calls in flight. */
  get leaving(): readonly Replica[] {
    return [...this.#drains.values()].filter(({ gone }) => gone).map(({ replica }) => replica)
  }

  /** Begins the drain of a replica that is marked as drained and whose standing subscriptions have been moved. */
  begin(replica: Replica, gone: boolean): void {
    this.stop(replica)
    const drain = new Drain(replica, gone, this.#options, () => this.#delete(replica))
    this.#drains.set(replica, drain)
    drain.expire()
  }

  /** Stops the drain, because the replica takes calls again. */
  stop(replica: Replica): void {
    const drain = this.#drains.get(replica)
    if (!drain) return
    this.#options.deadlines.remove(drain)
    this.#delete(replica)
  }

  /** Resolves when no drain is running. */
  none(): Promise<void> {
    return new Promise(resolve => {
      if (this.#drains.size === 0) resolve()
      else this.#onNone = resolve
    })
  }

  #delete(replica: Replica): void {
    this.#drains.delete(replica)
    if (this.#drains.size === 0) this.#onNone?.()
  }

  close(): void {
    for (const replica of this.#drains.keys()) this.stop(replica)
  }
}

class Drain implements Deadline {
  heapIndex: number | undefined
  due: number | undefined
  readonly replica: Replica
  readonly gone: boolean
  readonly #options: DrainsOptions
  readonly #done: () => void
  readonly #until: number

  constructor(replica: Replica, gone: boolean, options: DrainsOptions, done: () => void) {
    this.replica = replica
    this.gone = gone
    this.#options = options
    this.#done = done
    this.#until = monotonicNow() + options.timeoutMs()
  }

  expire(): void {
    const { slots, isSpare, end, deadlines } = this.#options
    const overdue = monotonicNow() >= this.#until
    let busy = false
    for (const slot of slots(this.replica))
      if (overdue || isSpare(slot)) end(slot, this.gone)
      else busy = true
    if (busy) deadlines.set(this, LOOK_MS)
    else this.#done()
  }
}
