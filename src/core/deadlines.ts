/**
 * Deadlines of many calls on one timer. A call's deadline is minutes away and almost never reached, so entries wait in
 * coarse buckets; adding and removing is a set operation, and the timer runs only while something waits.
 */
export interface Deadline {
  /** Called once when the time has come; not after `remove`. */
  expire(): void
  /** Owned by `Deadlines`. */
  bucket?: number | undefined
}

/** Deadlines are late by less than twice this much, never early. */
export const RESOLUTION_MS = 250

export class Deadlines {
  readonly #buckets = new Map<number, Set<Deadline>>()
  #timer: NodeJS.Timeout | undefined
  #last = 0

  /** Number of deadlines waiting. */
  get size(): number {
    let size = 0
    for (const bucket of this.#buckets.values()) size += bucket.size
    return size
  }

  /** Adds `entry`, or moves it when it is already waiting. `delayMs` of 0 or less means no deadline. */
  set(entry: Deadline, delayMs: number): void {
    if (entry.bucket !== undefined) this.remove(entry)
    if (delayMs <= 0) return
    const now = Date.now()
    const at = Math.floor((now + delayMs) / RESOLUTION_MS) + 1
    entry.bucket = at
    const bucket = this.#buckets.get(at)
    if (bucket) bucket.add(entry)
    else this.#buckets.set(at, new Set([entry]))
    if (!this.#timer) {
      this.#last = Math.floor(now / RESOLUTION_MS)
      this.#timer = setInterval(() => this.#tick(), RESOLUTION_MS)
      this.#timer.unref()
    }
  }

  remove(entry: Deadline): void {
    if (entry.bucket === undefined) return
    const bucket = this.#buckets.get(entry.bucket)
    entry.bucket = undefined
    bucket?.delete(entry)
  }

  close(): void {
    clearInterval(this.#timer)
    this.#timer = undefined
    this.#buckets.clear()
  }

  #tick(): void {
    const now = Math.floor(Date.now() / RESOLUTION_MS)
    // A clock that jumped, or a process that slept, makes every passed bucket due at once.
    if (now - this.#last > this.#buckets.size) {
      for (const at of [...this.#buckets.keys()].sort((a, b) => a - b)) if (at <= now) this.#expire(at)
    } else {
      for (let at = this.#last + 1; at <= now; at++) this.#expire(at)
    }
    this.#last = now
    if (this.#buckets.size === 0) {
      clearInterval(this.#timer)
      this.#timer = undefined
    }
  }

  #expire(at: number): void {
    const bucket = this.#buckets.get(at)
    if (!bucket) return
    this.#buckets.delete(at)
    for (const entry of bucket) {
      entry.bucket = undefined
      entry.expire()
    }
  }
}
