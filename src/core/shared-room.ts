import { HeldBy } from './held-by.ts'

/**
 * A bounded number of bytes shared by holders. A holder may hold at most as much as is free. When nothing is left, a
 * separate reserve is shared equally: other holders count with at most the amount that the requester would have.
 */
export class SharedRoom {
  readonly #held = new HeldBy()
  #reserve: number
  #total: number
  #free: number

  /** @param reserve bytes beside `free` for holders that have little */
  constructor(free: number, reserve = 0) {
    this.#total = free
    this.#free = free
    this.#reserve = reserve
  }

  /** Changes the total, held bytes included. */
  resize(total: number, reserve = 0): void {
    this.#free += total - this.#total
    this.#total = total
    this.#reserve = reserve
  }

  /** Bytes held by a holder. */
  of(holder: string): number {
    return this.#held.of(holder)
  }

  /** Whether a holder may add `bytes`. */
  fits(holder: string, bytes: number): boolean {
    const held = this.#held.of(holder)
    const level = held + bytes
    if (level <= this.#free) return true
    // One more holder of the same amount must fit.
    return this.#held.upTo(level) - held + 2 * level <= this.#reserve
  }

  /** Adds to the bytes of a holder; a negative amount removes them. */
  add(holder: string, bytes: number): void {
    this.#held.add(holder, bytes)
    this.#free -= bytes
  }
}
