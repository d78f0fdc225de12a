/** What a record belongs to. `owner` is `gateway`, or the id of a client where each client has a login of its own. */
export interface RecordName {
  readonly kind: RecordKind
  readonly server: string
  readonly owner: string
}

/** `tokens` of a server, the `registration` at its authorization server, a `login` that has begun. */
export type RecordKind = 'tokens' | 'registration' | 'login'

export interface VaultRecord<T> {
  /** The authorization server that the value is for. In the store it is readable, but cannot be changed unnoticed. */
  readonly issuer: string
  /** JSON. */
  readonly value: T
}

/** A record without its value. */
export interface ListedRecord extends RecordName {
  readonly issuer: string
  /** Whether this gateway has the key to open it. */
  readonly opens: boolean
}

/** A run that excludes all others of the same name. */
export interface ExclusiveRun {
  /** Aborted when the lease is lost or the vault closes, so that requests under way end early. */
  readonly signal: AbortSignal
}

/**
 * Credentials of servers, sealed in the state store. Every rejection is a `GatewayError` that names the server, the
 * cause and the fix.
 */
export interface Vault {
  /** Whether other processes see the records, such as commands. */
  readonly isShared: boolean
  /** `undefined` also for a record that cannot be opened, for example because its key was lost: the log names it. */
  read<T>(name: RecordName): Promise<VaultRecord<T> | undefined>
  /**
   * Durable when it resolves. During a run of `exclusively` for the name in this process, it belongs to that run:
   * when the lease has gone to another process, nothing is written and it rejects. Otherwise it waits for the lease.
   * A value of more than 64 KiB is refused.
   */
  write<T>(name: RecordName, record: VaultRecord<T>, ttlMs?: number): Promise<void>
  /**
   * Deletes the record, or only one that `isIt` accepts, under the lease as `write`. Resolves to whether it did. A
   * record that cannot be opened is deleted only without `isIt`.
   */
  remove(name: RecordName, isIt?: (record: VaultRecord<unknown>) => boolean): Promise<boolean>
  /** Names of all records, in no order. */
  list(): Promise<readonly ListedRecord[]>
  /**
   * Runs alone over all processes and machines that share the store. Others wait, for a bounded time. A process that
   * crashes in a run frees the name after some seconds. Not reentrant: a run must not start another for its own name.
   */
  exclusively<T>(name: RecordName, run: (own: ExclusiveRun) => Promise<T>): Promise<T>
  /**
   * Calls the listener after the record was written or removed: at once in this process, within two seconds for
   * another one. The end of a record's `ttlMs` is not announced. Returns what ends it.
   */
  onChanged(name: RecordName, listener: () => void): () => void
  /** Waiting runs reject. Idempotent. The store stays open. */
  close(): Promise<void>
}
