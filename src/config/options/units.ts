/** Parsing of durations and sizes in a configuration: `"60s"`, `"4MiB"`. */

const DURATION_UNITS: Readonly<Record<string, number>> = { ms: 1, s: 1e3, m: 60e3, h: 3_600e3, d: 86_400e3 }
const SIZE_UNITS: Readonly<Record<string, number>> = {
  b: 1,
  kb: 1e3,
  mb: 1e6,
  gb: 1e9,
  kib: 1024,
  mib: 1024 ** 2,
  gib: 1024 ** 3,
}

/** Disables a duration. */
export const NEVER = 'never'

/** Regular expressions for the JSON Schema; the functions below are authoritative. */
export const DURATION_PATTERN = '^\\d+(\\.\\d+)?(ms|s|m|h|d)$'
export const SIZE_PATTERN = '^\\d+(\\.\\d+)?([kKmMgG][iI]?)?[bB]$'

/**
 * Milliseconds of `"500ms"`, `"60s"`, `"5m"`, `"24h"`, `"30d"`; 0 for `"never"` and 0; `undefined` for anything else.
 */
export function parseDuration(value: unknown): number | undefined {
  if (value === 0 || value === NEVER || value === '0') return 0
  if (typeof value !== 'string') return undefined
  const [, amount, unit] = /^(\d+(?:\.\d+)?)(ms|s|m|h|d)$/.exec(value) ?? []
  return amount === undefined ? undefined : Math.round(Number(amount) * (DURATION_UNITS[unit ?? ''] ?? NaN))
}

/** Bytes of `"4MiB"`, `"64KiB"`, `"10MB"`, `"512B"`; `undefined` for anything else. */
export function parseSize(value: unknown): number | undefined {
  if (typeof value !== 'string') return undefined
  const [, amount, unit] = /^(\d+(?:\.\d+)?)((?:[kmg]i?)?b)$/i.exec(value) ?? []
  return amount === undefined
    ? undefined
    : Math.round(Number(amount) * (SIZE_UNITS[unit?.toLowerCase() ?? ''] ?? NaN))
}

/** Milliseconds of a validated text. */
export function toMs(text: string | number): number {
  return parseDuration(text) ?? 0
}

/** Bytes of a validated text. */
export function toBytes(text: string): number {
  return parseSize(text) ?? 0
}
