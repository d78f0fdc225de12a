/**
 * Durable state of the gateway: the catalogue, eras of upstreams, API keys, quotas. Not on the hot path.
 * Implementations: memory, LMDB (all processes of a machine), Redis (many machines); one contract suite runs against
 * all.
 */
export interface Store {
  /** For logs: `memory`, `lmdb:<path>`, `redis:<host>:<port>`. */
  readonly name: string
  /** Whether other processes see the stored values and they outlive this process. */
  readonly shared: boolean
  /** Whether it replaces the configured store, which could not be opened. Absent: it is the configured one. */
  readonly isReplacement?: boolean
  /**
   * When this process last detected that the stored content was lost (Unix milliseconds), and with it the amounts taken
   * before. `undefined` or absent: never.
   */
  readonly lostAt?: number | undefined
  /** `undefined` when there is no value or it has expired. */
  get(key: string): Promise<string | undefined>
  /** Values of several keys in the order of the keys, from one consistent snapshot. */
  getMany(keys: readonly string[]): Promise<(string | undefined)[]>
  /**
   * Durable when the promise resolves, unless the value belongs to a zone. A key that was set in a zone must always be
   * set in the same zone.
   * @throws RangeError (as a rejection) for a value that is too large for a store, or for the zone
   */
  set(key: string, value: string, options?: SetOptions): Promise<void>
  /**
   * Sets a value that never expires, unless the key has one, atomically over all processes that share the store.
   * Returns the value that the key has afterwards, and writes nothing where it has one. The value belongs to no zone.
   * @throws as `set`
   */
  setIfAbsent(key: string, value: string): Promise<string>
  /** Resolves also when the key does not exist. */
  delete(key: string): Promise<void>
  /** Keys that start with `prefix`, in byte order; expired ones are left out. */
  keys(prefix: string): Promise<string[]>
  /** Current size of a zone. Expired values count until their room is reused. */
  zone(name: string): Promise<ZoneSize>
  /**
   * Takes part of a limited amount, atomically over all processes that share the store: the amounts taken in a window
   * never exceed the limit, except for those booked by `spend`. Expired windows cost nothing. Amounts are not values:
   * do not call `get` or `set` with their keys.
   */
  take(request: TakeRequest): Promise<Taken>
  /**
   * Claims some of a limited number of permits, atomically over all processes that share the store. A claim replaces
   * the holder's earlier one and lapses after `ttlMs` unless it is renewed, so that a crashed holder frees its permits.
   */
  hold(request: HoldRequest): Promise<Held>
  /**
   * Sets or deletes a value while the holder's claim is live, in one atomic step: a process that stood still until its
   * claim lapsed changes nothing. Resolves to whether the value was set. The value belongs to no zone.
   * @throws as `set`
   */
  setHeld(request: HeldWrite): Promise<boolean>
  /** Idempotent. Later calls reject. */
  close(): Promise<void>
}

export interface SetOptions {
  /** Lifetime of the value; without it, the value never expires. */
  readonly ttlMs?: number
  /** Without a zone, the value stays until it is deleted or expires. */
  readonly zone?: Zone
}

/** A bounded set of values: when it exceeds `maxBytes`, the oldest are evicted, whichever process set them. */
export interface Zone {
  /** At most 64 ASCII letters. */
  readonly name: string
  /** Size of keys and values in UTF-8; the overhead of the store is not counted. */
  readonly maxBytes: number
}

export interface ZoneSize {
  readonly entries: number
  readonly bytes: number
}

/**
 * Amounts are numbers from 0 to 2^53 with at most three decimals. Without `now`, times are Unix milliseconds of the
 * store's clock.
 */
export interface TakeRequest {
  readonly key: string
  readonly limit: number
  /**
   * When an amount taken at time t stops counting. `until`: all at once, at this time; a value after the stored one
   * begins a new window. `slidingMs`: each at t + slidingMs, or up to a sixtieth later, if it is used within
   * `lifeOf(slidingMs)` after the request.
   */
  readonly window: { readonly until: number } | { readonly slidingMs: number }
  /** The maximum to take. */
  readonly want: number
  /** The minimum to take: when less is available, the answer is 0. At most `want`. */
  readonly atLeast: number
  /**
   * An amount already used beyond those taken before; it is booked regardless of the limit. Negative: returned, never
   * below 0.
   */
  readonly spend: number
  /**
   * For a return to a sliding window: `at` of the answer that granted the amount. A fixed window is identified by its
   * `until`.
   */
  readonly takenAt?: number
}

export interface Taken {
  /** The part of `want` that was granted. */
  readonly granted: number
  /** The remaining amount of the window, never negative. */
  readonly left: number
  /** When an amount may be available again; `0` when some is available now. */
  readonly retryAt: number
  /** Time on the store's clock. `retryAt - at` does not depend on the clock of the process. */
  readonly at: number
}

export interface HoldRequest {
  readonly key: string
  /** Unique to the process. */
  readonly holder: string
  readonly want: number
  readonly limit: number
  readonly ttlMs: number
  /** Whether only a claim that is still live is renewed. A holder without one gets no permits. */
  readonly renews?: boolean
}

export interface HeldWrite {
  readonly key: string
  /** `undefined` deletes. */
  readonly value: string | undefined
  readonly ttlMs?: number | undefined
  /** Key of the claim, as in `hold`. */
  readonly claim: string
  readonly holder: string
}

export interface Held {
  /** The permits of the holder: at most `want`, and never so many that all live claims exceed the limit. */
  readonly permits: number
  /** The permits that are still free. */
  readonly left: number
}

/** Number of buckets of a sliding window; the amounts of a bucket are counted together. */
export const BUCKETS = 120
/** Minimum time for an answer to arrive and be used, for short windows. */
const MIN_LIFE_MS = 100

/** How long after the request an amount of a sliding window may be used; later it has to be returned. */
export function lifeOf(slidingMs: number): number {
  return Math.max(Math.ceil(slidingMs / BUCKETS), MIN_LIFE_MS)
}

/** Bounds of keys and values, equal for all implementations: longer ones are refused with a `RangeError`. */
export const MAX_KEY_BYTES = 1024
export const MAX_VALUE_BYTES = 64 * 1024 * 1024
