import { monotonicNow } from './clock.ts'
import { IdTable } from './id-table.ts'

/**
 * Deadlines of many calls on one timer. The deadline of a call is minutes away and almost never reached, so setting and
 * removing it must cost nothing. A timer checks the waiting deadlines four times a second. It runs only while a
 * deadline waits.
 */
export interface Deadline {
  /** Called once when the deadline has passed; never after `remove`. */
  expire(): void
  /** Owned by `Deadlines`: the index in its heap, and the due time on the clock of `monotonicNow`. */
  heapIndex?: number | undefined
  due?: number | undefined
}

/** Deadlines are late by less than twice this much, never early. */
export const RESOLUTION_MS = 250

export class Deadlines {
  readonly #entries = new IdTable<number, Deadline>()
  #next = 1
  #timer: NodeJS.Timeout | undefined

  /** Number of deadlines waiting. */
  get size(): number {
    return this.#entries.size
  }

  /**
   * Adds `entry`, or moves it when it already waits. A `delayMs` of 0 or less means no deadline; `now` is a value of
   * `monotonicNow`.
   */
  set(entry: Deadline, delayMs: number, now = monotonicNow()): void {
    if (delayMs <= 0) {
      this.remove(entry)
      return
    }
    entry.due = now + delayMs
    if (entry.heapIndex !== undefined) return
    entry.heapIndex = this.#next++
    this.#entries.set(entry.heapIndex, entry)
    if (!this.#timer) {
      this.#timer = setInterval(() => this.#tick(), RESOLUTION_MS)
      this.#timer.unref()
    }
  }

  remove(entry: Deadline): void {
    if (entry.heapIndex === undefined) return
    this.#entries.take(entry.heapIndex)
    entry.heapIndex = undefined
  }

  close(): void {
    clearInterval(this.#timer)
    this.#timer = undefined
    for (const entry of this.#entries.values()) entry.heapIndex = undefined
    this.#entries.clear()
  }

  #tick(): void {
    const now = monotonicNow()
    for (const entry of this.#entries.values()) {
      if ((entry.due as number) > now || entry.heapIndex === undefined) continue
      this.remove(entry)
      entry.expire()
    }
    if (this.#entries.size === 0) {
      clearInterval(this.#timer)
      this.#timer = undefined
    }
  }
}
