import type { Clock } from '../core/clock.ts'
import type { Budgeted, Rated } from './admission-gate.ts'
import { rounded, type AmountLease } from './lease.ts'

/** A limit with at least this share left is not reported. */
const PLENTY = 1 / 2
/** Larger numbers are reported without fractions. */
const EXACT_BELOW = 1000

/** A caller's remaining quota, for the results of its calls. */
export class RemainingQuota {
  // Parallel arrays, not objects, because each call reads all of them.
  readonly #leases: readonly AmountLease[]
  readonly #limits: readonly number[]
  /** The constant parts of their texts. */
  readonly #heads: readonly string[]
  readonly #clock: Clock

  /** `limits`: at least one. */
  constructor(limits: readonly (Rated | Budgeted)[], clock: Clock) {
    this.#leases = limits.map(({ lease }) => lease)
    this.#limits = limits.map(({ limit }) => limit.limit)
    this.#heads = limits.map(
      ({ limit: { name, limit } }) => `{"name":${JSON.stringify(name)},"limit":${limit},"left":`,
    )
    this.#clock = clock
  }

  /**
   * Raw JSON, a list of `{name, limit, left, resetsAt}`: the limits with less than half left, and always the one with
   * the smallest share left. Use by other processes appears a moment later. `now`: current or recent time of the steady
   * clock.
   */
  text(now = this.#clock.steady()): string {
    let text = ''
    let least = Infinity
    let tightest = 0
    let ofTightest = 0
    for (let at = 0; at < this.#leases.length; at++) {
      const left = (this.#leases[at] as AmountLease).leftAt(now)
      const share = left / (this.#limits[at] as number)
      if (share < PLENTY) text += text === '' ? this.#textOf(at, left) : `,${this.#textOf(at, left)}`
      else if (share < least) {
        least = share
        tightest = at
        ofTightest = left
      }
    }
    return `[${text === '' ? this.#textOf(tightest, ofTightest) : text}]`
  }

  #textOf(at: number, left: number): string {
    const head = this.#heads[at] as string
    const { resetsAt } = this.#leases[at] as AmountLease
    const shown = left < EXACT_BELOW ? Math.max(0, rounded(left)) : Math.floor(left)
    return resetsAt === undefined ? `${head}${shown}}` : `${head}${shown},"resetsAt":"${resetsAt}"}`
  }
}
