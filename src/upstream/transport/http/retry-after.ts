/**
 * Milliseconds of a `Retry-After` header, given in seconds or as a date (RFC 9110, 10.2.3). `undefined`: absent or
 * unreadable.
 */
export function retryAfterMs(header: string | string[] | undefined, now: number): number | undefined {
  if (typeof header !== 'string') return undefined
  if (/^\d{1,9}$/.test(header.trim())) return Number(header) * 1000
  const date = Date.parse(header)
  return Number.isNaN(date) ? undefined : Math.max(0, date - now)
}
