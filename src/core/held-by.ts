/** Amounts by holder. One that holds nothing costs nothing. */
export class HeldBy<K = string> {
  readonly #held = new Map<K, number>()

  of(holder: K): number {
    return this.#held.get(holder) ?? 0
  }

  /** Less when negative. */
  add(holder: K, amount: number): void {
    const held = this.of(holder) + amount
    if (held > 0) this.#held.set(holder, held)
    else this.#held.delete(holder)
  }

  /** What all hold together, each counted with at most `most`. */
  upTo(most: number): number {
    let sum = 0
    for (const held of this.#held.values()) sum += Math.min(held, most)
    return sum
  }

  /** The most that one of them holds. */
  get most(): number {
    let most = 0
    for (const held of this.#held.values()) if (held > most) most = held
    return most
  }
}
