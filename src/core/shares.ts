import { HeldBy } from './held-by.ts'

/** A slot of a pool in use. */
export interface Holding {
  /** Id of the principal that holds the slot. */
  readonly holder: string
  /** Whether work is lost when the slot is revoked. */
  readonly busy: boolean
  /** When it was last used, on any clock that all slots of the pool share. */
  readonly lastSeen: number
}

/**
 * Counts the slots of a pool by principal, and selects the slot to revoke when the pool is full. Opening and closing
 * cost one look-up; principals and slots are searched only when the pool is full.
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

  /** The largest number of slots of one principal. */
  mostHeld(): number {
    return this.#held.most
  }

  /**
   * Selects the slot that makes room for `newcomer`, which is already counted: the least recently used slot of the
   * principal that holds most. A busy slot is revoked only when its principal still holds at least as many slots
   * afterwards; otherwise two principals would revoke each other's slots in turn. A principal that holds most itself
   * gives up an idle slot of its own.
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

  /** The slot with the lowest rank is revoked first. */
  #rank({ holder, busy }: Holding, newcomer: string, own: number, most: number): number {
    if (holder === newcomer) return busy ? NEVER : 2
    if (this.heldBy(holder) < most) return NEVER
    if (!busy) return 0
    return own < most ? 1 : NEVER
  }
}

const NEVER = 3
