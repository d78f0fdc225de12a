/** The upstream work on an abandoned request. The server may continue it, because a cancellation is never confirmed. */
export class Unfinished {
  #ended = false
  #listeners: (() => void)[] | undefined

  /**
   * The server has finished, or is presumed to have. Idempotent; listeners run once, in the order in which they were
   * added.
   */
  end(): void {
    if (this.#ended) return
    this.#ended = true
    const listeners = this.#listeners
    this.#listeners = undefined
    if (listeners) for (const listener of listeners) listener()
  }

  /** Calls `listener` immediately when the work has ended. */
  onEnd(listener: () => void): void {
    if (this.#ended) listener()
    else (this.#listeners ??= []).push(listener)
  }
}
