import type { Clock } from '../core/clock.ts'
import type { Budgeted, Rated } from './gate.ts'
import type { Lease } from './lease.ts'

/** What is left of so much or more needs no mention. */
const PLENTY = 1 / 2

interface Told {
  readonly lease: Lease
  readonly limit: number
  /** What does not change of its text. */
  readonly head: string
}

/** What a caller has left of its limits, for the results of its calls. */
export class Left {
  readonly #limits: readonly Told[]
  readonly #clock: Clock

  /** `limits`: one at least. */
  constructor(limits: readonly (Rated | Budgeted)[], clock: Clock) {
    this.#limits = limits.map(({ limit: { name, limit }, lease }) => {
      return { lease, limit, head: `{"name":${JSON.stringify(name)},"limit":${limit},"left":` }
    })
    this.#clock = clock
  }

  /**
   * Raw JSON, a list of `{name, limit, left, resetsAt}`: the limits of which less than half is left, and always the one of which least is left for its size. What
   * other processes use shows a moment later. `now`: what the steady clock shows, or has shown lately.
   */
  text(now = this.#clock.steady()): string {
    let text = ''
    let least = Infinity
    let tightest: Told | undefined
    let ofTightest = 0
    for (const told of this.#limits) {
      const left = told.lease.leftAt(now)
      const share = left / told.limit
      if (share < PLENTY) text += text === '' ? textOf(told, left) : `,${textOf(told, left)}`
      else if (share < least) {
        least = share
        tightest = told
        ofTightest = left
      }
    }
    if (text === '' && tightest) text = textOf(tightest, ofTightest)
    return `[${text}]`
  }
}

function textOf({ lease, head }: Told, left: number): string {
  const { resetsAt } = lease
  return resetsAt === undefined ? `${head}${left}}` : `${head}${left},"resetsAt":"${resetsAt}"}`
}
