import { expect, it, test } from 'vitest'
import { calendar } from '../../../src/quota/period.ts'
import type { Period } from '../../../src/config/types.ts'

const cases: [Period, string, string, string][] = [
  ['minute', 'UTC', '2026-03-29T00:59:59.999Z', '2026-03-29T01:00:00.000Z'],
  ['minute', 'UTC', '2026-03-29T01:00:00.000Z', '2026-03-29T01:01:00.000Z'],
  ['hour', 'Asia/Kolkata', '2026-03-29T00:29:00.000Z', '2026-03-29T00:30:00.000Z'],
  ['hour', 'Asia/Kathmandu', '2026-03-29T00:29:00.000Z', '2026-03-29T01:15:00.000Z'],
  ['day', 'UTC', '2026-12-31T23:59:59.999Z', '2027-01-01T00:00:00.000Z'],
  ['day', 'Europe/Berlin', '2026-01-15T23:30:00.000Z', '2026-01-16T23:00:00.000Z'],
  // 23 hours, then 25.
  ['day', 'Europe/Berlin', '2026-03-28T23:00:00.000Z', '2026-03-29T22:00:00.000Z'],
  ['day', 'Europe/Berlin', '2026-10-24T22:00:00.000Z', '2026-10-25T23:00:00.000Z'],
  // The hour that clocks show twice.
  ['hour', 'Europe/Berlin', '2026-10-25T00:10:00.000Z', '2026-10-25T01:00:00.000Z'],
  ['hour', 'Europe/Berlin', '2026-10-25T01:10:00.000Z', '2026-10-25T02:00:00.000Z'],
  // Midnight is left out: the day begins at one.
  ['day', 'America/Santiago', '2026-09-05T12:00:00.000Z', '2026-09-06T04:00:00.000Z'],
  // Midnight comes twice: the first one counts.
  ['day', 'America/Havana', '2026-10-31T12:00:00.000Z', '2026-11-01T04:00:00.000Z'],
  ['month', 'Pacific/Auckland', '2026-01-31T10:59:59.999Z', '2026-01-31T11:00:00.000Z'],
  ['month', 'Pacific/Auckland', '2026-01-31T11:00:00.000Z', '2026-02-28T11:00:00.000Z'],
  ['month', 'America/New_York', '2028-02-10T00:00:00.000Z', '2028-03-01T05:00:00.000Z'],
]
test.each(cases)('the %s in %s that holds %s ends at %s', (period, zone, now, end) => {
  expect(new Date(calendar(period, zone)(Date.parse(now))).toISOString()).toBe(end)
})

it('leaves no moment out and counts none twice, in a year of a zone with daylight saving', () => {
  for (const period of ['day', 'month'] as const) {
    const endOf = calendar(period, 'Europe/Berlin')
    let at = Date.parse('2026-01-01T00:00:00+01:00')
    let count = 0
    for (; at < Date.parse('2027-01-01T00:00:00+01:00'); at = endOf(at), count++)
      expect(endOf(endOf(at) - 1)).toBe(endOf(at))
    expect(count).toBe(period === 'day' ? 365 : 12)
  }
})
