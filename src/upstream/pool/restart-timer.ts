/** Timer of the next start without a call. */
export class RestartTimer {
  readonly #now: () => number
  readonly #start: () => void
  #timer: NodeJS.Timeout | undefined
  /** By `now`. */
  #at = -Infinity

  constructor(now: () => number, start: () => void) {
    this.#now = now
    this.#start = start
  }

  /** When it is due. `undefined`: that time has passed. */
  get at(): number | undefined {
    return this.#at > this.#now() ? this.#at : undefined
  }

  /** Schedules a start in `ms` milliseconds, in place of an earlier schedule. */
  in(ms: number): void {
    this.stop()
    this.#at = this.#now() + ms
    this.#timer = setTimeout(this.#start, ms)
    this.#timer.unref()
  }

  stop(): void {
    clearTimeout(this.#timer)
  }
}
