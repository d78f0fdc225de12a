import { HeldBy } from './held-by.ts'

/** What a principal holds of a pool: a connection, a session, a stream. */
export interface Holding {
  /** Id of the principal. */
  readonly holder: string
  /** Whether work is lost when the holding is revoked. */
  readonly busy: boolean
  /** When it was last used, on any clock that all holdings of the pool share. */
  readonly lastSeen: number
}

/**
 * Counts the holdings of a pool by principal, and selects the holding to revoke when the pool is full. Opening and
 * closing cost one look-up; principals and holdings are searched only when the pool is full.
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

  /** The largest number of holdings of one principal. */
  mostHeld(): number {
    return this.#held.most
  }

  /**
   * Selects the holding that makes room for `newcomer`, which is already counted: the least recently used one of the
   * principal with the most. A busy holding is revoked only when its principal still has at least as many afterwards;
   * otherwise two principals would revoke each other's holdings in turn. A principal with the most itself gives up an
   * idle holding of its own.
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

  /** The holding with the lowest rank is revoked first. */
  #rank({ holder, busy }: Holding, newcomer: string, own: number, most: number): number {
    if (holder === newcomer) return busy ? NEVER : 2
    if (this.heldBy(holder) < most) return NEVER
    if (!busy) return 0
    return own < most ? 1 : NEVER
  }
}

const NEVER = 3
