import { describeError } from '../../core/errors.ts'
import type { Logger } from '../../core/logger.ts'
import type { Store } from '../../state/store.ts'
import { UsageRows } from './usage-counts.ts'
import { encodeUsage, MERGED, usageKey, type UsageRecordKey } from './usage-record.ts'
import { readDay, usageKeys } from './usage-store.ts'

export interface UsageMergeOptions {
  readonly store: Pick<Store, 'keys' | 'getMany' | 'hold' | 'setHeld' | 'delete'>
  readonly logger: Logger
  /** Names this process among those that share the store. */
  readonly holder: string
  /** The day of a moment in Unix milliseconds. */
  readonly dayOf: (time: number) => { readonly day: string }
  readonly keepMs: number
}

const DAY_MS = 86_400_000
/** Until then a process may still write a day: one that slept, or whose store was away. */
const OPEN_DAYS = 2
/** Days in detail. */
const DETAILED_DAYS = 35
/** Rows of a merged record: of a day in detail, and of an older one, which keeps the largest. */
const MAX_ROWS = { detailed: 20_000, old: 500 }
const CLAIM = 'usage-merge'
const CLAIM_MS = 60_000

/**
 * Merges the records of days that have passed, and keeps only the largest rows of older ones, so that a year of many
 * processes stays small. One process of those that share the store does it at a time. A merged record names what it
 * includes, so that nothing counts twice where the rest of the work is left undone.
 */
export async function mergeUsage(options: UsageMergeOptions, now: number): Promise<void> {
  const { store, logger, holder, dayOf } = options
  try {
    const { permits } = await store.hold({ key: CLAIM, holder, want: 1, limit: 1, ttlMs: CLAIM_MS })
    if (permits === 0) return
    const closed = dayOf(now - OPEN_DAYS * DAY_MS).day
    const old = dayOf(now - DETAILED_DAYS * DAY_MS).day
    for (const [day, keys] of await usageKeys(store)) if (day < closed) await merge(options, day, keys, old)
    await store.hold({ key: CLAIM, holder, want: 0, limit: 1, ttlMs: CLAIM_MS })
  } catch (error) {
    logger.debug('The usage of earlier days could not be merged; it is tried again.', {
      cause: describeError(error),
    })
  }
}

async function merge(
  { store, holder, keepMs }: UsageMergeOptions,
  day: string,
  keys: readonly UsageRecordKey[],
  old: string,
): Promise<void> {
  const most = day < old ? MAX_ROWS.old : MAX_ROWS.detailed
  const parts = keys.filter(({ writer }) => writer !== MERGED)
  const { rows, includes } = await readDay(store, keys, MAX_ROWS.detailed)
  if (parts.length === 0 && rows.size <= most) return
  const largest = new UsageRows(most)
  for (const row of [...rows.list()].sort((a, b) => b.calls - a.calls)) largest.add(row)
  const value = encodeUsage({ includes, rows: largest.list() })
  const key = usageKey({ day, writer: MERGED })
  if (!(await store.setHeld({ claim: CLAIM, holder, key, value, ttlMs: keepMs }))) return
  for (const part of parts) await store.delete(usageKey(part))
}
