import type { Store } from '../../state/store.ts'
import { UsageRows, type UsageRow } from './usage-counts.ts'
import {
  decodeUsage,
  MERGED,
  USAGE_PREFIX,
  usageKey,
  usageKeyIn,
  type UsageRecordKey,
} from './usage-record.ts'

/** Rows of one day. Beyond them, names are counted together. */
const MAX_READ_ROWS = 20_000
/** Records that are read at once. */
const MAX_READ = 64

/** The use in one day. */
export interface DayUsage {
  /** `2026-11-28`, in the time zone of the gateway. */
  readonly day: string
  readonly rows: readonly UsageRow[]
}

/** The keys of all records, by day. */
export async function usageKeys(store: Pick<Store, 'keys'>): Promise<Map<string, UsageRecordKey[]>> {
  const byDay = new Map<string, UsageRecordKey[]>()
  for (const key of await store.keys(USAGE_PREFIX)) {
    const parsed = usageKeyIn(key)
    if (!parsed) continue
    const known = byDay.get(parsed.day)
    if (known) known.push(parsed)
    else byDay.set(parsed.day, [parsed])
  }
  return byDay
}

/** What the records of a day hold together. */
export interface ReadDay {
  readonly rows: UsageRows
  /** What its merged record includes already, and what was read beside it. */
  readonly includes: readonly string[]
}

export async function readDay(
  store: Pick<Store, 'getMany'>,
  keys: readonly UsageRecordKey[],
  maxRows: number,
): Promise<ReadDay> {
  const rows = new UsageRows(maxRows)
  const included = new Set<string>()
  const merged = keys.filter(({ writer }) => writer === MERGED)
  const others = keys.filter(({ writer }) => writer !== MERGED)
  for (const part of [merged, others])
    for (let at = 0; at < part.length; at += MAX_READ) {
      const wanted = part.slice(at, at + MAX_READ).filter(({ writer }) => !included.has(writer))
      const texts = await store.getMany(wanted.map(usageKey))
      for (const [nth, text] of texts.entries()) {
        const record = text === undefined ? undefined : decodeUsage(text)
        if (!record) continue
        for (const row of record.rows) rows.add(row)
        for (const writer of record.includes) included.add(writer)
        const writer = wanted[nth]?.writer
        if (writer !== undefined && writer !== MERGED) included.add(writer)
      }
    }
  return { rows, includes: [...included] }
}

/** The use from the day `since` to the day `until`, both included, oldest first. */
export async function readUsage(
  store: Pick<Store, 'keys' | 'getMany'>,
  since: string,
  until: string,
): Promise<DayUsage[]> {
  const byDay = await usageKeys(store)
  const days = [...byDay.keys()].filter(day => day >= since && day <= until).sort()
  const found: DayUsage[] = []
  for (const day of days) {
    const { rows } = await readDay(store, byDay.get(day) ?? [], MAX_READ_ROWS)
    found.push({ day, rows: rows.list() })
  }
  return found
}
