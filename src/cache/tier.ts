/** A result as it is kept, whoever keeps it. */
export interface Entry {
  /** The result as the server sent it. */
  readonly text: string
  /** Era of the server. */
  readonly modern: boolean
  /** When it came, in Unix milliseconds. */
  readonly storedAt: number
  /** What it cost the server, in milliseconds. */
  readonly upstreamMs: number
  /** By which it can be forgotten. */
  readonly tags: readonly string[]
}

/**
 * What is behind the memory: outlives the process, and is shared with others. May forget at any time. Keys have at most 400 characters, none of
 * them a line break but for one, and hold arguments of calls.
 */
export interface Tier {
  /** May reject; whoever asks does not wait for long. */
  get(server: string, key: string): Promise<Entry | undefined>
  /** `ttlMs` is how long the entry can be of any use, stale or not. Never throws. */
  set(server: string, key: string, entry: Entry, ttlMs: number): void
}
