/** A result that is kept. */
export interface TierEntry {
  /** Raw JSON of the result. */
  readonly text: string
  /** Whether it is in the words of the modern era. */
  readonly modern: boolean
  /** Unix milliseconds. */
  readonly storedAt: number
  /** What the server needed for it. */
  readonly upstreamMs: number
  readonly tags: readonly string[]
}

/** A place behind the memory. Neither method ever throws or rejects; what cannot be read or written is not there. */
export interface Tier {
  get(server: string, key: string): Promise<TierEntry | undefined>
  /** Returns at once; the entry is written later, if there is room. */
  set(server: string, key: string, entry: TierEntry, ttlMs: number): void
}
