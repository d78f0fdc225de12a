import type { Json, JsonObject } from '../core/exchange.ts'
import { rawAt, withMembers } from '../protocol/json-text.ts'

/**
 * Maximum length of a log record that is relayed unchanged, in UTF-16 units. People read it, and each of many sessions
 * gets it.
 */
export const MAX_RECORD = 64 * 1024
/** Length to which a longer one is cut. */
const KEPT = 8 * 1024

/**
 * A log record of bounded size. In a longer one, `data` becomes text that gives the cut length, and other members are
 * left out.
 */
export function boundedRecord(params: Json): Json {
  if (params.text.length <= MAX_RECORD) return params
  const { level, data, logger } = params.value as JsonObject
  const text = typeof data === 'string' ? data : (rawAt(params.text, 'data') ?? '')
  const cut = `${text.slice(0, KEPT)}… [cut by the gateway: the record has ${Buffer.byteLength(params.text)} bytes, and ${MAX_RECORD} are relayed]`
  const value: JsonObject = { level, data: cut }
  if (typeof logger === 'string') value.logger = logger.slice(0, 200)
  return { text: withMembers('{}', stringified(value)), value }
}

function stringified(value: JsonObject): Record<string, string> {
  return Object.fromEntries(Object.entries(value).map(([key, member]) => [key, JSON.stringify(member)]))
}
