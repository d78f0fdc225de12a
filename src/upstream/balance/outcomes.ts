const SECONDS = 10

/** Successful and failed calls of the last ten seconds, by the second. */
export class Outcomes {
  /** Time from which `turn` has to be called before anything is counted. */
  turnsAt = -Infinity
  readonly #succeeded = new Float64Array(SECONDS)
  readonly #failed = new Float64Array(SECONDS)
  /** The second that each count belongs to. */
  readonly #second = new Float64Array(SECONDS).fill(-Infinity)
  #at = 0

  turn(now: number): void {
    const second = Math.floor(now / 1000)
    this.#at = second % SECONDS
    this.turnsAt = (second + 1) * 1000
    if (this.#second[this.#at] === second) return
    this.#second[this.#at] = second
    this.#succeeded[this.#at] = 0
    this.#failed[this.#at] = 0
  }

  succeeded(): void {
    ;(this.#succeeded[this.#at] as number)++
  }

  failed(now: number): void {
    this.turn(now)
    ;(this.#failed[this.#at] as number)++
  }

  failures(now: number): number {
    return this.#sum(this.#failed, now)
  }

  calls(now: number): number {
    return this.#sum(this.#failed, now) + this.#sum(this.#succeeded, now)
  }

  clear(): void {
    this.#second.fill(-Infinity)
    this.turnsAt = -Infinity
  }

  #sum(counts: Float64Array, now: number): number {
    const first = Math.floor(now / 1000) - SECONDS + 1
    return counts.reduce(
      (sum, count, index) => ((this.#second[index] as number) >= first ? sum + count : sum),
      0,
    )
  }
}
