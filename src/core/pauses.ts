import { monotonicNow } from './clock.ts'

/** Maximum number of remembered pauses; the oldest are dropped first. */
const MAX_PAUSES = 64

/** The periods in which a stream was not read. */
export class Pauses {
  readonly #past: { readonly from: number; readonly to: number }[] = []
  #since: number | undefined

  begin(): void {
    this.#since ??= monotonicNow()
  }

  end(): void {
    if (this.#since === undefined) return
    const to = monotonicNow()
    if (to > this.#since) this.#past.push({ from: this.#since, to })
    if (this.#past.length > MAX_PAUSES) this.#past.shift()
    this.#since = undefined
  }

  /** How long the stream was paused since `moment`, a value of `monotonicNow`. */
  after(moment: number): number {
    let ms = this.#since === undefined ? 0 : Math.max(0, monotonicNow() - Math.max(moment, this.#since))
    for (const { from, to } of this.#past) ms += Math.max(0, to - Math.max(moment, from))
    return ms
  }
}
