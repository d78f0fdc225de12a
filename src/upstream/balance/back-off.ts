// Not the package's index, because the rest of it takes several times as long to load.
import type { IBackoff } from 'cockatiel/dist/backoff/Backoff.js'
import {
  ExponentialBackoff,
  type IExponentialBackoffOptions,
} from 'cockatiel/dist/backoff/ExponentialBackoff.js'
import { noJitterGenerator } from 'cockatiel/dist/backoff/ExponentialBackoffGenerators.js'

/** A replica that stays healthy this long after its return starts again with the shortest back-off. */
const FORGOTTEN_AFTER_MS = 5 * 60_000

/**
 * Back-off of a replica: doubled each time it fails again soon, and reduced by up to half at random, so that not all
 * gateways return at once.
 */
export class BackOff {
  readonly #steps: ExponentialBackoff<number>
  #step: IBackoff<unknown> | undefined
  #backSince: number | undefined

  constructor(options: { firstMs: number; mostMs: number; random: () => number }) {
    const { firstMs, mostMs, random } = options
    // The package's own jitter calls `Math.random`.
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

  /** Records that the replica has returned. */
  back(now: number): void {
    this.#backSince ??= now
  }
}
