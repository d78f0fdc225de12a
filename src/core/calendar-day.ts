/** A day of a time zone, as `2026-11-28`, and its end in Unix milliseconds. */
export interface CalendarDay {
  readonly day: string
  readonly endsAt: number
}

const HOUR_MS = 3_600_000
/** A day has 23 to 25 hours, and in a few places once had 48. */
const MAX_DAY_MS = 49 * HOUR_MS

/**
 * Days of a time zone (IANA), or of that of the machine. The machine's own needs no table of zones, which takes its
 * time at the first use.
 */
export function calendarDays(timeZone: string | undefined): (time: number) => CalendarDay {
  if (timeZone === undefined)
    return time => {
      const date = new Date(time)
      const [year, month, day] = [date.getFullYear(), date.getMonth(), date.getDate()]
      return { day: dayText(year, month + 1, day), endsAt: new Date(year, month, day + 1).getTime() }
    }
  let format: Intl.DateTimeFormat | undefined
  const textOf = (time: number): string => {
    format ??= new Intl.DateTimeFormat('en-US', {
      timeZone,
      calendar: 'gregory',
      numberingSystem: 'latn',
      year: 'numeric',
      month: 'numeric',
      day: 'numeric',
    })
    const parts: Record<string, number> = {}
    for (const { type, value } of format.formatToParts(time)) parts[type] = Number(value)
    const { year = 0, month = 1, day = 1 } = parts
    return dayText(year, month, day)
  }
  return time => {
    const day = textOf(time)
    let [before, after] = [time, time + MAX_DAY_MS]
    while (after - before > 1) {
      const middle = Math.floor((before + after) / 2)
      if (textOf(middle) === day) before = middle
      else after = middle
    }
    return { day, endsAt: after }
  }
}

function dayText(year: number, month: number, day: number): string {
  const two = (value: number): string => String(value).padStart(2, '0')
  return `${String(year).padStart(4, '0')}-${two(month)}-${two(day)}`
}
