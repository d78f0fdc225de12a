import type { Period } from '../config/types.ts'

const MINUTE_MS = 60_000
const HOUR_MS = 60 * MINUTE_MS
const DAY_MS = 24 * HOUR_MS

/**
 * End of the calendar period that contains `now`, in Unix milliseconds: the first moment of the next one in the zone.
 */
export type EndOf = (now: number) => number

/**
 * Calendar periods of a time zone (a valid IANA name; `undefined`: that of the machine). Daylight saving applies: a day
 * has 23 or 25 hours at a change, and an hour that the clocks show twice counts as two.
 */
export function calendar(period: Period, timeZone: string | undefined): EndOf {
  const format = new Intl.DateTimeFormat('en-US', {
    timeZone,
    calendar: 'gregory',
    numberingSystem: 'latn',
    hourCycle: 'h23',
    year: 'numeric',
    month: 'numeric',
    day: 'numeric',
    hour: 'numeric',
    minute: 'numeric',
    second: 'numeric',
  })
  /** The local time in the zone, as if it were UTC. */
  const shown = (time: number): number => {
    const parts: Record<string, number> = {}
    for (const { type, value } of format.formatToParts(time)) parts[type] = Number(value)
    const { year = 0, month = 1, day = 1, hour = 0, minute = 0, second = 0 } = parts
    return Date.UTC(year, month - 1, day, hour, minute, second) + (((time % 1000) + 1000) % 1000)
  }
  return now => {
    const local = shown(now)
    if (period === 'minute') return now + MINUTE_MS - modulo(local, MINUTE_MS)
    // In zones with half hours, full hours differ from those of UTC.
    if (period === 'hour') return now + HOUR_MS - modulo(local, HOUR_MS)
    const date = new Date(local)
    const next =
      period === 'day'
        ? Date.UTC(date.getUTCFullYear(), date.getUTCMonth(), date.getUTCDate() + 1)
        : Date.UTC(date.getUTCFullYear(), date.getUTCMonth() + 1, 1)
    return firstAt(next, shown)
  }
}

/**
 * The first moment at which the local time is `wanted` or later: midnight itself, or the first moment after it where
 * midnight is skipped.
 */
function firstAt(wanted: number, shown: (time: number) => number): number {
  // No zone is further than a day from UTC, and none changes twice in so short a time.
  let before = wanted - DAY_MS
  let after = wanted + DAY_MS
  while (after - before > 1) {
    const middle = Math.floor((before + after) / 2)
    if (shown(middle) >= wanted) after = middle
    else before = middle
  }
  return after
}

function modulo(value: number, by: number): number {
  return ((value % by) + by) % by
}
