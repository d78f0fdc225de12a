import { monotonicNow } from '../core/clock.ts'

/** A time that many wait for, on few timers: those that begin within a step wait for the same one. */
export class Wait {
  readonly #ms: number
  readonly #stepMs: number
  #end: Promise<undefined> | undefined
  #since = 0

  /** `stepMs`: how much less than `ms` a wait may be. */
  constructor(ms: number, stepMs: number) {
    this.#ms = ms
    this.#stepMs = stepMs
  }

  /** Resolves `ms` from now, or a little earlier. */
  end(): Promise<undefined> {
    const now = monotonicNow()
    if (this.#end && now - this.#since < this.#stepMs) return this.#end
    this.#since = now
    this.#end = new Promise(resolve => {
      // One more turn: where the process was busy, what is waited for may have come meanwhile.
      setTimeout(() => setImmediate(resolve, undefined), this.#ms).unref()
    })
    return this.#end
  }
}
