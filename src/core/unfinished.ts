/** The work on a request that was given up. Its server may go on with it: nothing confirms a cancellation. */
export class Unfinished {
  #ended = false
  #listeners: (() => void)[] | undefined

  /** The server is done with it, or counts as done. Idempotent; listeners run once, in the order they came. */
  end(): void {
    if (this.#ended) return
    this.#ended = true
    const listeners = this.#listeners
    this.#listeners = undefined
    if (listeners) for (const listener of listeners) listener()
  }

  /** Calls `listener` at once when the work has ended. */
  onEnd(listener: () => void): void {
    if (this.#ended) listener()
    else (this.#listeners ??= []).push(listener)
  }
}
