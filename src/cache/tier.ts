/** A stored result. */
export interface TierEntry {
  /** Raw JSON of the result. */
  readonly text: string
  /** Whether it has the form of the modern era. */
  readonly modern: boolean
  /** Unix milliseconds. */
  readonly storedAt: number
  /** Time that the server needed for it. */
  readonly upstreamMs: number
  readonly tags: readonly string[]
}

/**
 * A tier behind the memory. Its methods never throw or reject. A failed read is a miss, and a failed write is dropped.
 */
export interface Tier {
  get(server: string, key: string): Promise<TierEntry | undefined>
  /** Returns at once. The entry is written later, if there is room. */
  set(server: string, key: string, entry: TierEntry, ttlMs: number): void
}
