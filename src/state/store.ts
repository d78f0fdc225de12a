/**
 * Durable state of the gateway: the catalogue, eras of upstreams, API keys, quotas. Off the hot path.
 * Implementations: memory, LMDB (all processes of a machine), Redis (many machines); one contract suite runs over all.
 */
export interface Store {
  /** For logs: `memory`, `lmdb:<path>`, `redis:<host>:<port>`. */
  readonly name: string
  /** Other processes see what is stored, and it outlives this one. */
  readonly shared: boolean
  /**
   * When this process last found that what had been stored is gone (Unix milliseconds): amounts that were taken before are not known. `undefined`, or
   * absent: never.
   */
  readonly lostAt?: number | undefined
  /** `undefined` when there is no value or it has expired. */
  get(key: string): Promise<string | undefined>
  /** Values of several keys in the order of the keys, from one consistent snapshot. */
  getMany(keys: readonly string[]): Promise<(string | undefined)[]>
  /**
   * Durable when the promise resolves, unless the value is of a zone. A key that was set in a zone is always set in this one.
   * @throws RangeError (as a rejection) for what is too large for a store, or for the zone
   */
  set(key: string, value: string, options?: SetOptions): Promise<void>
  /** Resolves also when there was no such key. */
  delete(key: string): Promise<void>
  /** Keys that start with `prefix`, in byte order; expired ones are left out. */
  keys(prefix: string): Promise<string[]>
  /** How full a zone is. What has expired counts until its room is taken. */
  zone(name: string): Promise<ZoneSize>
  /**
   * Takes some of a limited amount, atomically over all processes that share the store: what all have taken in the window never exceeds the limit,
   * but for what `spend` books. Expired windows cost nothing. The amounts are no values: neither `get` nor `set` is meant for their keys.
   */
  take(request: TakeRequest): Promise<Taken>
  /**
   * Claims places of a limited number, atomically over all processes that share the store. A claim replaces the holder's earlier one and lapses after `ttlMs`
   * unless it is renewed, so that a crashed holder frees its places.
   */
  hold(request: HoldRequest): Promise<Held>
  /** Idempotent. Later calls reject. */
  close(): Promise<void>
}

export interface SetOptions {
  /** How long the value lives; without it, for ever. */
  readonly ttlMs?: number
  /** Without one, the value stays until it is deleted or its time is over. */
  readonly zone?: Zone
}

/** Values that make room for each other: when those of a zone have more than `maxBytes`, the ones that were set first go, whichever process set them. */
export interface Zone {
  /** At most 64 ASCII letters. */
  readonly name: string
  /** Of keys and values, in UTF-8; what a store needs besides them is not counted. */
  readonly maxBytes: number
}

export interface ZoneSize {
  readonly entries: number
  readonly bytes: number
}

/** Amounts are numbers from 0 to 2^53 with at most three decimals. Times are Unix milliseconds by the store's clock where `now` is left out. */
export interface TakeRequest {
  readonly key: string
  readonly limit: number
  /**
   * When an amount taken at time t stops counting. `until`: all at once, at this time; a later value than the stored one begins a new window.
   * `slidingMs`: each at t + slidingMs, or up to a sixtieth later, if it is used within `lifeOf(slidingMs)` after it was asked for.
   */
  readonly window: { readonly until: number } | { readonly slidingMs: number }
  /** Most that is wanted. */
  readonly want: number
  /** Fewer than this are not worth taking: the answer is then 0. At most `want`. */
  readonly atLeast: number
  /** Already used up beyond what was taken before: booked whatever the limit says. Negative: given back, never below 0. */
  readonly spend: number
  /** `at` of the answer that granted what is now given back to a sliding window. A fixed one is named by its `until`. */
  readonly takenAt?: number
}

export interface Taken {
  /** What was granted of `want`. */
  readonly granted: number
  /** What is left in the window for anyone, never negative. */
  readonly left: number
  /** When something may be left again, `0` when something is. */
  readonly retryAt: number
  /** The store's clock: how far off `retryAt` is does not depend on that of the process. */
  readonly at: number
}

export interface HoldRequest {
  readonly key: string
  /** Unique to the process. */
  readonly holder: string
  readonly want: number
  readonly limit: number
  readonly ttlMs: number
}

export interface Held {
  /** What the holder has now: at most `want`, and never so many that all live claims exceed the limit. */
  readonly places: number
  /** What is left over. */
  readonly left: number
}

/** Parts of a sliding window that are counted together. */
export const SLOTS = 120
/** Time for an answer to arrive and be used, where a part of the window would be too short for that. */
const MIN_LIFE_MS = 100

/** How long after it was asked for an amount of a sliding window may be used; after that it has to be given back. */
export function lifeOf(slidingMs: number): number {
  return Math.max(Math.ceil(slidingMs / SLOTS), MIN_LIFE_MS)
}

/** Bounds of keys and values, the same for every implementation: longer ones are refused with a `RangeError`. */
export const MAX_KEY_BYTES = 1024
export const MAX_VALUE_BYTES = 64 * 1024 * 1024
