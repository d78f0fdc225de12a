import type { JsonObject } from './exchange.ts'

/**
 * The canonical form (RFC 8785) of a parsed JSON value: keys sorted by UTF-16 code units, numbers and strings as in
 * ECMAScript.
 */
export function canonical(value: unknown): string {
  if (typeof value !== 'object' || value === null) return JSON.stringify(value)
  if (Array.isArray(value)) return `[${value.map(canonical).join(',')}]`
  const parts = Object.keys(value)
    .sort()
    .map(key => `${JSON.stringify(key)}:${canonical((value as JsonObject)[key])}`)
  return `{${parts.join(',')}}`
}
