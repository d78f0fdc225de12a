import { backoffMs, jittered, type BackoffRange } from '../../core/backoff.ts'

/** What stayed well for so long after a return is not held to what was before. */
const FORGOTTEN_AFTER_MS = 5 * 60_000

/** How long to stay away: doubled each time it happens again soon, with jitter. */
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
