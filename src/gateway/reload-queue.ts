interface Waiting<Asked, Done> {
  readonly asked: Asked
  readonly resolve: (result: Done) => void
  readonly reject: (error: unknown) => void
}

/**
 * Runs reloads one at a time. Those that are asked for meanwhile wait together. Of these the last one is run first.
 * When it fails, the one before it is run, until one succeeds; the others before that one are superseded.
 */
export class ReloadQueue<Asked, Done> {
  readonly #run: (asked: Asked) => Promise<Done>
  readonly #superseded: Done
  #waiting: Waiting<Asked, Done>[] = []
  #isRunning = false

  /** @param run rejects when nothing has changed */
  constructor(run: (asked: Asked) => Promise<Done>, superseded: Done) {
    this.#run = run
    this.#superseded = superseded
  }

  /** Resolves with the result of `run`, or with `superseded`. @throws the error of `run` */
  add(asked: Asked): Promise<Done> {
    return new Promise((resolve, reject) => {
      this.#waiting.push({ asked, resolve, reject })
      if (!this.#isRunning) void this.#work()
    })
  }

  async #work(): Promise<void> {
    this.#isRunning = true
    // Reloads that are asked for in the same turn wait together.
    await new Promise(resolve => setImmediate(resolve))
    while (this.#waiting.length > 0) {
      const round = this.#waiting
      this.#waiting = []
      await this.#runLastOf(round)
    }
    this.#isRunning = false
  }

  async #runLastOf(round: Waiting<Asked, Done>[]): Promise<void> {
    for (let next = round.pop(); next; next = round.pop()) {
      try {
        next.resolve(await this.#run(next.asked))
        break
      } catch (error) {
        next.reject(error)
      }
    }
    for (const { resolve } of round) resolve(this.#superseded)
  }
}
