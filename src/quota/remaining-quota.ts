import type { Clock } from '../core/clock.ts'
import type { Budgeted, Rated } from './admission-gate.ts'
import { rounded, type Lease } from './lease.ts'

/** What is left of so much or more needs no mention. */
const PLENTY = 1 / 2
/** Of more than this, parts of one mean nothing to anyone. */
const EXACT_BELOW = 1000

/** What a caller has left of its limits, for the results of its calls. */
export class RemainingQuota {
  // Side by side, not as objects: each call reads all of them.
  readonly #leases: readonly Lease[]
  readonly #limits: readonly number[]
  /** What does not change of their texts. */
  readonly #heads: readonly string[]
  readonly #clock: Clock

  /** `limits`: one at least. */
  constructor(limits: readonly (Rated | Budgeted)[], clock: Clock) {
    this.#leases = limits.map(({ lease }) => lease)
    this.#limits = limits.map(({ limit }) => limit.limit)
    this.#heads = limits.map(
      ({ limit: { name, limit } }) => `{"name":${JSON.stringify(name)},"limit":${limit},"left":`,
    )
    this.#clock = clock
  }

  /**
   * Raw JSON, a list of `{name, limit, left, resetsAt}`: the limits of which less than half is left, and always the one of which least is left for its size. What
   * other processes use shows a moment later. `now`: what the steady clock shows, or has shown lately.
   */
  text(now = this.#clock.steady()): string {
    let text = ''
    let least = Infinity
    let tightest = 0
    let ofTightest = 0
    for (let at = 0; at < this.#leases.length; at++) {
      const left = (this.#leases[at] as Lease).leftAt(now)
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
    const { resetsAt } = this.#leases[at] as Lease
    const shown = left < EXACT_BELOW ? Math.max(0, rounded(left)) : Math.floor(left)
    return resetsAt === undefined ? `${head}${shown}}` : `${head}${shown},"resetsAt":"${resetsAt}"}`
  }
}
