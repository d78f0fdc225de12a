/** The next start that no call waits for. */
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

  /** When it is due; `undefined` where that is over. */
  get at(): number | undefined {
    return this.#at > this.#now() ? this.#at : undefined
  }

  /** Starts in so many milliseconds, and not when it was to start before. */
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
