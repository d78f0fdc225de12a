// Not the package's index: what that loads besides takes several times as long.
import type { IBackoff } from 'cockatiel/dist/backoff/Backoff.js'
import {
  ExponentialBackoff,
  type IExponentialBackoffOptions,
} from 'cockatiel/dist/backoff/ExponentialBackoff.js'
import { noJitterGenerator } from 'cockatiel/dist/backoff/ExponentialBackoffGenerators.js'

/** Who stayed well for so long after a return is not held to what was before. */
const FORGOTTEN_AFTER_MS = 5 * 60_000

/** How long to stay away: doubled each time it happens again soon, and up to half of it less, so that not everybody comes back at once. */
export class BackOff {
  readonly #steps: ExponentialBackoff<number>
  #step: IBackoff<unknown> | undefined
  #backSince: number | undefined

  constructor(options: { firstMs: number; mostMs: number; random: () => number }) {
    const { firstMs, mostMs, random } = options
    // The package's own jitter calls Math.random.
    const generator = (
      step: number | undefined,
      of: IExponentialBackoffOptions<number>,
    ): [number, number] => {
      const [delayMs, next] = noJitterGenerator(step, of)
      return [delayMs / 2 + (random() * delayMs) / 2, next]
    }
    this.#steps = new ExponentialBackoff({ generator, initialDelay: firstMs, maxDelay: mostMs })
  }

  /** Milliseconds from now. */
  next(now: number): number {
    if (this.#backSince !== undefined && now - this.#backSince >= FORGOTTEN_AFTER_MS) this.#step = undefined
    this.#backSince = undefined
    this.#step = this.#step === undefined ? this.#steps.next() : this.#step.next(undefined)
    return this.#step.duration
  }

  /** It came back. */
  back(now: number): void {
    this.#backSince ??= now
  }
}
