const TICK_MS = 20
/** A longer gap between two ticks counts as this much. */
const MOST_MS = 100

/**
 * Time in which this process runs. While the machine stands still, or gives its cores to other jobs, it does not
 * advance. It measures what another process does; what keeps this process itself busy is measured by `cpuMs`.
 */
export class RunningTime implements Disposable {
  #ms = 0
  #last = performance.now()
  readonly #timer = setInterval(() => this.#tick(), TICK_MS)

  get ms(): number {
    this.#tick()
    return this.#ms
  }

  #tick(): void {
    const now = performance.now()
    this.#ms += Math.min(MOST_MS, now - this.#last)
    this.#last = now
  }

  [Symbol.dispose](): void {
    clearInterval(this.#timer)
  }
}

/** Milliseconds that the processor has worked for this process, on all threads. */
export function cpuMs(): number {
  const { user, system } = process.cpuUsage()
  return (user + system) / 1000
}

/** The value that half of the values do not exceed. */
export function median(values: readonly number[]): number {
  return values.toSorted((one, other) => one - other)[values.length >> 1] as number
}
