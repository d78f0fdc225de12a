import type { Database } from './lmdb-database.ts'
import { EXPIRIES, expiryIn, expiryKey, HEADER_BYTES, valueKey } from './lmdb-records.ts'
import { leave } from './lmdb-zones.ts'

/** Maximum number of removals per sweep, because a sweep holds the write lock that all processes share. */
const SWEEP_ENTRIES = 1000

/** Removes expired values. Runs inside a write transaction, so that a value renewed by another process is kept. */
export function sweep(database: Database, now: number): void {
  const end = expiryKey(now, '')
  // Collected before the first removal.
  const due = Array.from(database.getKeys({ start: EXPIRIES, end, limit: SWEEP_ENTRIES }))
  for (const entry of due) {
    const key = entry.toString('utf8', EXPIRIES.length + HEADER_BYTES)
    const expiresAt = expiryIn(database.getBinaryFast(valueKey(key)))
    if (expiresAt <= now) {
      void database.remove(valueKey(key))
      leave(database, key)
    } else if (expiresAt < Infinity) void database.put(expiryKey(expiresAt, key), Buffer.alloc(0))
    void database.remove(entry)
  }
}
