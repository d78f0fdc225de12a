import type { JsonObject } from './exchange.ts'

/** A parsed JSON value in the canonical form of RFC 8785: keys by UTF-16 code units, numbers and strings as ECMAScript writes them. */
export function canonical(value: unknown): string {
  if (typeof value !== 'object' || value === null) return JSON.stringify(value)
  if (Array.isArray(value)) return `[${value.map(canonical).join(',')}]`
  const parts = Object.keys(value)
    .sort()
    .map(key => `${JSON.stringify(key)}:${canonical((value as JsonObject)[key])}`)
  return `{${parts.join(',')}}`
}
