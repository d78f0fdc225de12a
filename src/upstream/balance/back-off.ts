import { backoffMs, jittered, type BackoffRange } from '../../core/backoff.ts'

/** A replica that stays healthy this long after its return starts again with the shortest back-off. */
const FORGOTTEN_AFTER_MS = 5 * 60_000

/** Back-off of a replica: doubled each time it fails again soon, with jitter. */
export class BackOff {
  readonly #range: BackoffRange
  readonly #random: () => number
  #times = 0
  #backSince: number | undefined

  constructor(options: BackoffRange & { readonly random: () => number }) {
    this.#range = options
    this.#random = options.random
  }

  /** Milliseconds from now. */
  next(now: number): number {
    if (this.#backSince !== undefined && now - this.#backSince >= FORGOTTEN_AFTER_MS) this.#times = 0
    this.#backSince = undefined
    return jittered(backoffMs(this.#times++, this.#range), this.#random())
  }

  /** Records that the replica has returned. */
  back(now: number): void {
    this.#backSince ??= now
  }
}
