import { isJsonObject } from '../../core/json-object.ts'
import { noUsage, USAGE_FIELDS, type UsageRow } from './usage-counts.ts'

/**
 * Usage in the state store. Each process writes records of its own, one for each day, so that no count is lost or made
 * twice whichever process writes when: `usage/<day>/<process>`. Records of days that have passed are merged into one,
 * `usage/<day>/all`.
 */
export interface UsageRecord {
  /** The last parts of the keys of the records that a merged one holds. Those do not count where they are left. */
  readonly includes: readonly string[]
  readonly rows: readonly UsageRow[]
}

export const USAGE_PREFIX = 'usage/'
/** The last part of the key of a merged record. */
export const MERGED = 'all'
const VERSION = 1
/** Names of clients and tools may have any length. */
export const MAX_USAGE_NAME = 200

/** A key of a record: a day such as `2026-11-28`, and the process. */
export interface UsageRecordKey {
  readonly day: string
  readonly writer: string
}

export function usageKey({ day, writer }: UsageRecordKey): string {
  return `${USAGE_PREFIX}${day}/${writer}`
}

const KEY = /^usage\/(\d{4}-\d\d-\d\d)\/([\w-]{1,64})$/

/** `undefined` for a key of something else. */
export function usageKeyIn(key: string): UsageRecordKey | undefined {
  const [, day, writer] = KEY.exec(key) ?? []
  return day === undefined || writer === undefined ? undefined : { day, writer }
}

export function encodeUsage({ includes, rows }: UsageRecord): string {
  const written = rows.map(row => [
    row.client,
    row.server,
    row.tool,
    ...USAGE_FIELDS.map(field => rounded(row[field])),
  ])
  return JSON.stringify({ version: VERSION, includes, rows: written })
}

/** `undefined` for what is no record. Rows that are none are left out. */
export function decodeUsage(text: string): UsageRecord | undefined {
  let value: unknown
  try {
    value = JSON.parse(text)
  } catch {
    return undefined
  }
  if (!isJsonObject(value) || value['version'] !== VERSION) return undefined
  const { includes, rows } = value
  if (!Array.isArray(includes) || !Array.isArray(rows)) return undefined
  return {
    includes: includes.filter((part): part is string => typeof part === 'string'),
    rows: rows.flatMap(rowIn),
  }
}

function rowIn(value: unknown): UsageRow[] {
  if (!Array.isArray(value)) return []
  const [client, server, tool, ...numbers] = value as unknown[]
  if (typeof client !== 'string' || typeof server !== 'string' || typeof tool !== 'string') return []
  const row = noUsage({ client, server, tool })
  for (const [at, field] of USAGE_FIELDS.entries()) {
    const number = numbers[at]
    if (typeof number === 'number' && number >= 0) row[field] = number
  }
  return [row]
}

/** To a thousandth: fractions of milliseconds and of cost units. */
function rounded(value: number): number {
  return Math.round(value * 1000) / 1000
}
