import type * as Lmdb from 'lmdb'
import type { Zone, ZoneSize } from './store.ts'

/**
 * Zones of an LMDB database, beside the values:
 * - `p1/<key>` → 8 bytes: its turn; 8 bytes: its size; then the name of its zone.
 * - `o1/<zone>/<8 bytes turn>` → 8 bytes: its size; then the key. Sorted in the order in which the values were set.
 * - `z1/<zone>` → 8 bytes each: bytes, entries, the next turn.
 *
 * Numbers are big-endian doubles, which sort as they count. All but `sizeOfZone` run inside a write transaction.
 */
type Database = Lmdb.RootDatabase<Buffer, Buffer>

const ENTRIES = 'p1/'
const ORDER = 'o1/'
const SIZES = 'z1/'
const NUMBER = 8

/**
 * Maximum number of evictions per write, because a write holds the lock that all processes share. Later writes evict
 * the rest.
 */
const MAX_EVICTED = 500

interface Size extends ZoneSize {
  readonly next: number
}

/** Counts a value that is set. Returns the keys whose values have to be evicted for it. */
export function enter(database: Database, { name, maxBytes }: Zone, key: string, bytes: number): string[] {
  leave(database, key)
  const { bytes: before, entries, next } = read(database, name)
  void database.put(placeKey(key), Buffer.concat([numbers(next, bytes), Buffer.from(name)]))
  void database.put(orderKey(name, next), Buffer.concat([numbers(bytes), Buffer.from(key)]))
  void database.put(sizeKey(name), numbers(before + bytes, entries + 1, next + 1))
  const evicted: string[] = []
  let over = before + bytes - maxBytes
  if (over <= 0) return evicted
  // Collected before the first removal. The new entry is excluded; it fits by itself.
  const oldest = database.getRange({
    start: orderKey(name, 0),
    end: orderKey(name, next),
    limit: MAX_EVICTED,
  })
  for (const { value } of oldest) {
    const entry = bufferOf(value)
    evicted.push(entry.toString('utf8', NUMBER))
    over -= entry.readDoubleBE(0)
    if (over <= 0) break
  }
  for (const victim of evicted) leave(database, victim)
  return evicted
}

/** Whether a key belongs to a zone; may be called outside of a transaction. */
export function isZoned(database: Database, key: string): boolean {
  return database.getBinaryFast(placeKey(key)) !== undefined
}

/** Stops counting a value that is removed; does nothing for a value without a zone. */
export function leave(database: Database, key: string): void {
  const found = database.getBinary(placeKey(key))
  if (found === undefined) return
  const place = bufferOf(found)
  const name = place.toString('utf8', 2 * NUMBER)
  const { bytes, entries, next } = read(database, name)
  void database.remove(placeKey(key))
  void database.remove(orderKey(name, place.readDoubleBE(0)))
  void database.put(sizeKey(name), numbers(bytes - place.readDoubleBE(NUMBER), entries - 1, next))
}

/** Current size of a zone. */
export function sizeOfZone(database: Database, name: string): ZoneSize {
  const { bytes, entries } = read(database, name)
  return { bytes, entries }
}

function read(database: Database, name: string): Size {
  const found = database.getBinary(sizeKey(name))
  if (found === undefined) return { bytes: 0, entries: 0, next: 0 }
  const size = bufferOf(found)
  return {
    bytes: size.readDoubleBE(0),
    entries: size.readDoubleBE(NUMBER),
    next: size.readDoubleBE(2 * NUMBER),
  }
}

function placeKey(key: string): Buffer {
  return Buffer.from(ENTRIES + key)
}

function orderKey(name: string, turn: number): Buffer {
  return Buffer.concat([Buffer.from(`${ORDER}${name}/`), numbers(turn)])
}

function sizeKey(name: string): Buffer {
  return Buffer.from(SIZES + name)
}

function numbers(...list: readonly number[]): Buffer {
  const buffer = Buffer.allocUnsafe(list.length * NUMBER)
  list.forEach((number, at) => buffer.writeDoubleBE(number, at * NUMBER))
  return buffer
}

/** For small values, `lmdb` returns a plain Uint8Array. */
function bufferOf(bytes: Uint8Array): Buffer {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength)
}
