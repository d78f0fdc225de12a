/** The remaining quota of a caller, reported with the result. `now` is a current or recent `performance.now()`. */
export interface Remaining {
  text(now?: number): string
}

/** A replica of a server, as named from outside: by sealed state, and by calls that it began. */
export interface ReplicaId {
  readonly name: string
  /** Digest of where it is. Another server of the same name has another one. */
  readonly location: string
}

export function isReplicaId(value: unknown): value is ReplicaId {
  const { name, location } = (value ?? {}) as Partial<Record<keyof ReplicaId, unknown>>
  return typeof name === 'string' && typeof location === 'string'
}

/** The replica that received a call, in a form that can be sealed. */
export function replicaIdOf({ replica }: { readonly replica: ReplicaId | undefined }): ReplicaId | undefined {
  return replica && { name: replica.name, location: replica.location }
}

/** State of one client call. It outlives a single request: a call that continues with the client's answers keeps it. */
export class CallState {
  #replica: ReplicaId | undefined = undefined
  #asked = false
  #remaining: Remaining | undefined = undefined

  /**
   * The replica that received the call, or that has to receive it because it started the question or task that
   * the call is about.
   */
  get replica(): ReplicaId | undefined {
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
  stick(replica: ReplicaId | undefined): void {
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
