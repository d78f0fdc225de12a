/**
 * Layout of the database. Every key starts with the layout's name, so that a later layout lives beside this one and
 * neither misreads the other:
 * - `m1/<key>` → 8 bytes: expiry in milliseconds since the epoch (big-endian double, infinity for never); then the
 *   value in UTF-8.
 * - `x1/<8 bytes expiry><key>` → nothing: index by which expired values are found without reading the others. May be
 *   stale: when it is due, the value may have been renewed.
 * - `p1/`, `o1/`, `z1/`: zones, see `lmdb-zones.ts`.
 */
export const VALUES = 'm1/'
export const EXPIRIES = Buffer.from('x1/')
export const HEADER_BYTES = 8

/** The value of a record; `undefined` once it has expired. */
export function textOf(record: Uint8Array | undefined, now: number): string | undefined {
  if (record === undefined || record.length < HEADER_BYTES) return undefined
  // For small values, `lmdb` returns a plain Uint8Array.
  const bytes = Buffer.from(record.buffer, record.byteOffset, record.byteLength)
  return bytes.readDoubleBE(0) > now ? bytes.toString('utf8', HEADER_BYTES) : undefined
}

/** Expiry of a record; `-Infinity` when it is none. */
export function expiryIn(record: Uint8Array | undefined): number {
  if (record === undefined || record.length < HEADER_BYTES) return -Infinity
  return new DataView(record.buffer, record.byteOffset, HEADER_BYTES).getFloat64(0)
}

export function recordOf(value: string, expiresAt: number): Buffer {
  const record = Buffer.allocUnsafe(HEADER_BYTES + Buffer.byteLength(value))
  record.writeDoubleBE(expiresAt)
  record.write(value, HEADER_BYTES)
  return record
}

export function valueKey(key: string): Buffer {
  return Buffer.from(VALUES + key)
}

/** Sorts by expiry: the bytes of positive big-endian doubles order like their values. */
export function expiryKey(expiresAt: number, key: string): Buffer {
  const head = Buffer.allocUnsafe(EXPIRIES.length + HEADER_BYTES)
  EXPIRIES.copy(head)
  head.writeDoubleBE(Math.max(0, expiresAt), EXPIRIES.length)
  return Buffer.concat([head, Buffer.from(key)])
}
