import { monotonicNow } from '../core/clock.ts'

/** A timeout shared by many callers with few timers: callers within one step share a timer. */
export class Wait {
  readonly #ms: number
  readonly #stepMs: number
  #end: Promise<undefined> | undefined
  #since = 0

  /** `stepMs`: by how much a wait may be shorter than `ms`. */
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
      // One more turn of the event loop: after a busy phase, the awaited result may have arrived in the meantime.
      setTimeout(() => setImmediate(resolve, undefined), this.#ms).unref()
    })
    return this.#end
  }
}
