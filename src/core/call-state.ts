/** What a caller has left of its limits, to be told with the result. `now` is what `performance.now()` says, or has said lately. */
export interface Remaining {
  text(now?: number): string
}

/** What decides about the rest of one call of a client. It outlives the request: a call whose client comes back with answers keeps it. */
export class CallState {
  #replica: string | undefined = undefined
  #asked = false
  #remaining: Remaining | undefined = undefined

  /** Name of the replica that it went to, or has to go to because that one began what it is about: a question, a task. */
  get replica(): string | undefined {
    return this.#replica
  }

  /** Whether a server has asked something on its behalf, or may have. */
  get asked(): boolean {
    return this.#asked
  }

  get remaining(): Remaining | undefined {
    return this.#remaining
  }

  /** It belongs to this replica from here on; `undefined`: to none. */
  stick(replica: string | undefined): void {
    this.#replica = replica
  }

  /** A server asks something that may be about it. */
  markAsked(): void {
    this.#asked = true
  }

  limitedBy(remaining: Remaining | undefined): void {
    this.#remaining = remaining
  }
}
