import { MAX_KEY_BYTES, MAX_VALUE_BYTES, type Zone } from './store.ts'

/** What every implementation of `Store` takes besides its own options. */
export interface StoreOptions {
  /** Clock in milliseconds since the epoch; default `Date.now`. Expiry is measured against it. */
  readonly now?: () => number
  /** Clock that cannot be set, for claims and sliding windows; default `now` where that is given, else one that all processes of the machine share. */
  readonly steady?: () => number
}

/**
 * Refuses a key that no store accepts.
 * @throws RangeError naming the size and the bound.
 */
export function assertKey(key: string): void {
  const bytes = Buffer.byteLength(key)
  if (bytes > MAX_KEY_BYTES) {
    throw new RangeError(
      `A key of ${bytes} bytes is too long for the state store: at most ${MAX_KEY_BYTES} are allowed.`,
    )
  }
}

/**
 * Refuses a value that no store accepts; returns its size in bytes of UTF-8.
 * @throws RangeError naming the key, the size and the bound.
 */
export function assertValue(key: string, value: string): number {
  const bytes = Buffer.byteLength(value)
  if (bytes > MAX_VALUE_BYTES) {
    throw new RangeError(
      `The value of "${key}" has ${bytes} bytes, too many for the state store: at most ${MAX_VALUE_BYTES} are allowed.`,
    )
  }
  return bytes
}

/**
 * Refuses a value for which a zone has no room even when it is empty. `bytes`: of the value. Returns what it takes with its key.
 * @throws RangeError naming the key, the size and the bound.
 */
export function assertRoom(key: string, bytes: number, { maxBytes }: Zone): number {
  const all = Buffer.byteLength(key) + bytes
  if (all > maxBytes) {
    throw new RangeError(
      `The value of "${key}" has ${bytes} bytes with a zone of ${maxBytes}: it would be the only one, and more.`,
    )
  }
  return all
}

/**
 * Moment at which a value set `ttlMs` from `now` expires; `Infinity` without a time to live.
 * @throws RangeError for a `ttlMs` that is not a number.
 */
export function expiryOf(ttlMs: number | undefined, now: number): number {
  if (ttlMs === undefined) return Infinity
  if (Number.isNaN(ttlMs))
    throw new RangeError('The time to live of a value must be a number of milliseconds.')
  return now + ttlMs
}

/** What calls after `close()` reject with. */
export function closedError(name: string): Error {
  return new Error(`The state store ${name} is closed.`)
}

/** Milliseconds since the machine was started: the same for all its processes, whatever its wall clock is set to. */
export function machineNow(): number {
  const [seconds, nanoseconds] = process.hrtime()
  return seconds * 1000 + nanoseconds / 1e6
}
