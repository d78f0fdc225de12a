/** The remaining quota of a caller, reported with the result. `now` is a current or recent `performance.now()`. */
export interface Remaining {
  text(now?: number): string
}

/** State of one client call. It outlives a single request: a call that continues with the client's answers keeps it. */
export class CallState {
  #replica: string | undefined = undefined
  #asked = false
  #remaining: Remaining | undefined = undefined

  /**
   * Name of the replica that received the call, or that has to receive it because it started the question or task that
   * the call is about.
   */
  get replica(): string | undefined {
    return this.#replica
  }

  /** Whether a server has sent a question on behalf of this call, or may have. */
  get asked(): boolean {
    return this.#asked
  }

  get remaining(): Remaining | undefined {
    return this.#remaining
  }

  /** Binds the call to this replica from now on; `undefined` unbinds it. */
  stick(replica: string | undefined): void {
    this.#replica = replica
  }

  /** Records that a server sends a question that may belong to this call. */
  markAsked(): void {
    this.#asked = true
  }

  limitedBy(remaining: Remaining | undefined): void {
    this.#remaining = remaining
  }
}
