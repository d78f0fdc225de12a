import { HeldBy } from './held-by.ts'

/**
 * Bytes that holders share. No holder may have more than is free. Where that leaves nothing, a reserve beside it is shared
 * in equal parts: holders count there with no more than the one that asks would have.
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

  /** So many bytes from now on, what is held included. */
  resize(total: number, reserve = 0): void {
    this.#free += total - this.#total
    this.#total = total
    this.#reserve = reserve
  }

  /** What a holder has. */
  of(holder: string): number {
    return this.#held.of(holder)
  }

  /** Whether a holder may have so many bytes more. */
  fits(holder: string, bytes: number): boolean {
    const held = this.#held.of(holder)
    const level = held + bytes
    if (level <= this.#free) return true
    // One more holder of as much has to fit.
    return this.#held.upTo(level) - held + 2 * level <= this.#reserve
  }

  /** A holder has so many bytes more; less when negative. */
  add(holder: string, bytes: number): void {
    this.#held.add(holder, bytes)
    this.#free -= bytes
  }
}
