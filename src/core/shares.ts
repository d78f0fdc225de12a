import { HeldBy } from './held-by.ts'

/** One place of a pool that is taken. */
export interface Holding {
  /** Id of the principal that has the place. */
  readonly holder: string
  /** Whether something is lost when the place is taken away. */
  readonly busy: boolean
  /** When it was last used, on any clock that all places of the pool share. */
  readonly lastSeen: number
}

/**
 * How many places of one pool each principal has, and which place is taken away when the pool is full. Opening and closing cost one look-up; the
 * principals and the places are looked through only where the pool is full.
 */
export class Shares {
  readonly #held = new HeldBy()

  opened(holder: string): void {
    this.#held.add(holder, 1)
  }

  closed(holder: string): void {
    this.#held.add(holder, -1)
  }

  heldBy(holder: string): number {
    return this.#held.of(holder)
  }

  /** The most places that one principal has. */
  mostHeld(): number {
    return this.#held.most
  }

  /**
   * The place that makes room for one more of `newcomer`, which is counted already: the least recently used one of the principal that holds most. A
   * busy place is taken only from a principal that still holds at least as much afterwards, so that two principals never take the same place from each
   * other in turn. A principal that holds most itself gives up an idle place of its own.
   */
  toGiveWay<T extends Holding>(newcomer: string, holdings: Iterable<T>): T | undefined {
    const own = this.heldBy(newcomer)
    const most = this.mostHeld()
    let found: T | undefined
    let foundRank = NEVER
    for (const holding of holdings) {
      const rank = this.#rank(holding, newcomer, own, most)
      if (rank > foundRank || rank === NEVER) continue
      if (rank === foundRank && found && holding.lastSeen >= found.lastSeen) continue
      found = holding
      foundRank = rank
    }
    return found
  }

  /** What is taken first has the lowest rank. */
  #rank({ holder, busy }: Holding, newcomer: string, own: number, most: number): number {
    if (holder === newcomer) return busy ? NEVER : 2
    if (this.heldBy(holder) < most) return NEVER
    if (!busy) return 0
    return own < most ? 1 : NEVER
  }
}

const NEVER = 3
