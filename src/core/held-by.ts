/** Amounts by holder. A holder of nothing uses no memory. */
export class HeldBy<K = string> {
  readonly #held = new Map<K, number>()

  of(holder: K): number {
    return this.#held.get(holder) ?? 0
  }

  /** A negative amount is subtracted. */
  add(holder: K, amount: number): void {
    const held = this.of(holder) + amount
    if (held > 0) this.#held.set(holder, held)
    else this.#held.delete(holder)
  }

  /** The sum over all holders, each counted with at most `most`. */
  upTo(most: number): number {
    let sum = 0
    for (const held of this.#held.values()) sum += Math.min(held, most)
    return sum
  }

  /** The largest amount of one holder. */
  get most(): number {
    let most = 0
    for (const held of this.#held.values()) if (held > most) most = held
    return most
  }
}
