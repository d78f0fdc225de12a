import { MAX_KEY_BYTES, MAX_VALUE_BYTES, type Zone } from './store.ts'

/** Options common to all implementations of `Store`. */
export interface StoreOptions {
  /** Clock in milliseconds since the epoch, used for expiry; default `Date.now`. */
  readonly now?: () => number
  /**
   * Clock that cannot be set, for claims and sliding windows. Default: `now` when given, else a clock shared by all
   * processes of the machine.
   */
  readonly steady?: () => number
}

/**
 * Checks the bounds of a key.
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
 * Checks the bounds of a value; returns its size in bytes of UTF-8.
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
 * Checks that a zone can hold a value at all. `bytes`: size of the value. Returns the size including the key. @throws
 * RangeError naming the key, the size and the bound.
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
 * Expiry of a value set at `now` with `ttlMs`; `Infinity` without a time to live.
 * @throws RangeError for a `ttlMs` that is not a number.
 */
export function expiryOf(ttlMs: number | undefined, now: number): number {
  if (ttlMs === undefined) return Infinity
  if (Number.isNaN(ttlMs))
    throw new RangeError('The time to live of a value must be a number of milliseconds.')
  return now + ttlMs
}

/** Rejection of calls after `close()`. */
export function closedError(name: string): Error {
  return new Error(`The state store ${name} is closed.`)
}

/** Milliseconds since boot: equal for all processes of the machine, and independent of the wall clock. */
export function machineNow(): number {
  const [seconds, nanoseconds] = process.hrtime()
  return seconds * 1000 + nanoseconds / 1e6
}

/** Sorts keys. Strings compare by UTF-16 units, which differs from byte order. */
export function inByteOrder(keys: readonly string[]): string[] {
  return keys
    .map(key => Buffer.from(key))
    .sort(Buffer.compare)
    .map(key => key.toString())
}
