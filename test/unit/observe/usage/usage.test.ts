import { describe, expect, onTestFinished, test, vi } from 'vitest'
import { calendarDays } from '../../../../src/core/calendar-day.ts'
import { EventBus } from '../../../../src/core/event-bus.ts'
import { SILENT } from '../../../../src/core/logger.ts'
import { Ended } from '../../../../src/middleware/request/request-events.ts'
import { UsageCounter } from '../../../../src/observe/usage/usage-counter.ts'
import { exchangeOf } from '../../../helpers/fake-transport.ts'
import { noUsage, UsageRows, type UsageRow } from '../../../../src/observe/usage/usage-counts.ts'
import { mergeUsage } from '../../../../src/observe/usage/usage-merge.ts'
import { decodeUsage, encodeUsage, usageKey } from '../../../../src/observe/usage/usage-record.ts'
import { usageLines } from '../../../../src/observe/usage/usage-report.ts'
import { readUsage } from '../../../../src/observe/usage/usage-store.ts'
import { createMemoryStore } from '../../../../src/state/memory.ts'
import type { Store } from '../../../../src/state/store.ts'

const row = (client: string, server: string, tool: string, calls = 1): UsageRow => ({
  ...noUsage({ client, server, tool }),
  calls,
})
const ALL = ['0000-01-01', '9999-12-31'] as const
const DAY_MS = 86_400_000
const CONTEXT = { ruleOn: () => undefined, routed: true }
const NOW = Date.UTC(2026, 10, 28, 12)
const dayOf = calendarDays('UTC')
const KEEP = { keepMs: 400 * DAY_MS }

describe('rows of usage', () => {
  test('beyond the bound, tools are counted together, and then clients, and no call is lost', () => {
    const rows = new UsageRows(100)
    for (let client = 0; client < 50; client++)
      for (let tool = 0; tool < 20; tool++) rows.add(row(`c${client}`, 's', `t${tool}`))
    const list = rows.list()
    expect(list.length).toBeLessThanOrEqual(101)
    expect(list.reduce((sum, { calls }) => sum + calls, 0)).toBe(1000)
    expect(list.find(({ client, tool }) => client === 'c0' && tool === 't0')?.calls).toBe(1)
    expect(list.find(({ client, tool }) => client === 'other' && tool === 'other')?.calls).toBeGreaterThan(
      100,
    )
  })

  test('names that are alike when joined are apart', () => {
    const rows = new UsageRows(100)
    for (const [client, server] of [
      ['a', 'b1:c'],
      ['a1:b', 'c'],
      ['', 'ab'],
      ['ab', ''],
    ] as const)
      rows.add(row(client, server, 't'))
    expect(rows.size).toBe(4)
  })
})

describe('the counter', () => {
  test('tries again while its store is away, and leaves nothing behind when it is closed', async () => {
    vi.useFakeTimers()
    onTestFinished(() => void vi.useRealTimers())
    const written: string[] = []
    let isAway = true
    const counter = new UsageCounter({
      store: {
        set: async (_key, value) => {
          if (isAway) throw new Error('away')
          written.push(value)
        },
      },
      logger: SILENT,
      writer: 'me',
      dayOf: () => ({ day: '2026-11-28', endsAt: Infinity }),
      costOf: () => 1,
      keepMs: DAY_MS,
    })
    const bus = new EventBus(SILENT)
    const off = counter.listen(bus)
    const exchange = exchangeOf('tools/list', {})
    const outcome = { kind: 'result', text: '{}', value: {}, modern: true } as const
    const end = (): void => bus.emit(new Ended(exchange, 0, 1, CONTEXT, outcome, undefined))
    end()
    await vi.advanceTimersByTimeAsync(12_000)
    expect([written.length, vi.getTimerCount()]).toEqual([0, 1])
    isAway = false
    end()
    await vi.advanceTimersByTimeAsync(6000)
    expect(written.map(text => decodeUsage(text)?.rows[0]?.calls)).toEqual([2])
    isAway = true
    end()
    off()
    await counter.close()
    expect(vi.getTimerCount()).toBe(0)
  })
})

describe('records of usage', () => {
  test('are read as they were written, without what is none', () => {
    const rows = [{ ...row('ada', 's', 'a "tool"\n', 3), upstreamMs: 12.3456, cost: 0.5 }]
    const text = encodeUsage({ includes: ['x'], rows })
    expect(decodeUsage(text)).toEqual({ includes: ['x'], rows: [{ ...rows[0], upstreamMs: 12.346 }] })
    for (const broken of ['', 'null', '{}', '[]', '{"version":2,"includes":[],"rows":[]}', '{"version":1}'])
      expect(decodeUsage(broken)).toBeUndefined()
    const half = '{"version":1,"includes":[7],"rows":[7,["a"],["a","b","c",1,-5,"x"],["a","b",3,1]]}'
    expect(decodeUsage(half)).toEqual({ includes: [], rows: [row('a', 'b', 'c', 1)] })
  })
})

async function write(store: Store, day: string, writer: string, rows: readonly UsageRow[]): Promise<void> {
  await store.set(usageKey({ day, writer }), encodeUsage({ includes: [], rows }))
}

async function callsByDay(store: Store): Promise<Record<string, number>> {
  const days = await readUsage(store, ...ALL)
  return Object.fromEntries(
    days.map(({ day, rows }) => [day, rows.reduce((sum, { calls }) => sum + calls, 0)]),
  )
}

describe('earlier days', () => {
  test('are merged once they are over, and count the same', async () => {
    const store = createMemoryStore()
    for (const day of ['2026-11-20', '2026-11-25', '2026-11-27', '2026-11-28'])
      for (let writer = 0; writer < 100; writer++)
        await write(store, day, `w${writer}`, [row('ada', 's', 't'), row(`c${writer}`, 's', 't', 2)])
    const before = await callsByDay(store)
    await mergeUsage({ store, logger: SILENT, holder: 'me', dayOf, ...KEEP }, NOW)
    expect(await callsByDay(store)).toEqual(before)
    // Those that a process may still write stay as they are.
    expect((await store.keys('usage/')).length).toBe(1 + 1 + 100 + 100)
    // What a process writes late counts, too, and so does it after the next time.
    await write(store, '2026-11-20', 'late', [row('ada', 's', 't', 5)])
    const after = { ...before, '2026-11-20': Number(before['2026-11-20']) + 5 }
    expect(await callsByDay(store)).toEqual(after)
    await mergeUsage({ store, logger: SILENT, holder: 'me', dayOf, ...KEEP }, NOW)
    expect(await callsByDay(store)).toEqual(after)
    await store.close()
  })

  test('a record that its merged one includes does not count where it is left over', async () => {
    const store = createMemoryStore()
    for (const writer of ['a', 'b']) await write(store, '2026-11-20', writer, [row('ada', 's', 't', 3)])
    // The process ends between the write and the removals.
    const stuck = { ...store, delete: () => Promise.reject(new Error('killed')) } as Store
    for (const name of ['hold', 'setHeld', 'keys', 'getMany', 'set', 'get'] as const)
      (stuck as unknown as Record<string, unknown>)[name] = (store[name] as () => unknown).bind(store)
    await mergeUsage({ store: stuck, logger: SILENT, holder: 'me', dayOf, ...KEEP }, NOW)
    expect((await store.keys('usage/')).length).toBe(3)
    expect(await callsByDay(store)).toEqual({ '2026-11-20': 6 })
    await mergeUsage({ store, logger: SILENT, holder: 'me', dayOf, ...KEEP }, NOW)
    expect((await store.keys('usage/')).length).toBe(1)
    expect(await callsByDay(store)).toEqual({ '2026-11-20': 6 })
    await store.close()
  })

  test('of long ago keep their largest rows, and the rest in one', async () => {
    const store = createMemoryStore()
    const many = Array.from({ length: 3000 }, (_, nth) => row('ada', 's', `t${nth}`, nth + 1))
    await write(store, '2026-09-01', 'a', many)
    const before = await callsByDay(store)
    await mergeUsage({ store, logger: SILENT, holder: 'me', dayOf, ...KEEP }, NOW)
    expect(await callsByDay(store)).toEqual(before)
    const [day] = await readUsage(store, ...ALL)
    expect(day?.rows.length).toBeLessThanOrEqual(500)
    expect(day?.rows.some(({ tool }) => tool === 't2999')).toBe(true)
    expect(day?.rows.some(({ tool }) => tool === 't1')).toBe(false)
    await store.close()
  })

  test('are merged by one process at a time', async () => {
    const store = createMemoryStore()
    for (let writer = 0; writer < 20; writer++)
      await write(store, '2026-11-20', `w${writer}`, [row('a', 's', 't')])
    await Promise.all(
      Array.from({ length: 8 }, (_, nth) =>
        mergeUsage({ store, logger: SILENT, holder: `p${nth}`, dayOf, ...KEEP }, NOW),
      ),
    )
    expect(await callsByDay(store)).toEqual({ '2026-11-20': 20 })
    await store.close()
  })
})

describe('reports', () => {
  const days = [
    { day: '2026-11-27', rows: [row('ada', 's', 't', 5), row('bob', 's', 'u', 1)] },
    { day: '2026-11-28', rows: [row('ada', 's', 't', 2), row('ada', 'r', 't', 9)] },
  ]

  test.each([
    [['client'], ['ada 16', 'bob 1']],
    [['server'], ['r 9', 's 8']],
    [['day'], ['2026-11-27 6', '2026-11-28 11']],
    [
      ['day', 'client'],
      ['2026-11-27 ada 5', '2026-11-27 bob 1', '2026-11-28 ada 11'],
    ],
  ] as const)('sum by %s', (by, expected) => {
    const lines = usageLines(days, { by })
    expect(lines.map(({ of, calls }) => [...Object.values(of), calls].join(' '))).toEqual(expected)
  })

  test('leave out what is not asked for', () => {
    expect(usageLines(days, { by: ['tool'], server: 's', client: 'ada' })).toMatchObject([
      { of: { tool: 't' }, calls: 7 },
    ])
  })
})

describe('days of a zone', () => {
  test.each([
    ['UTC', Date.UTC(2026, 10, 28, 23, 59), '2026-11-28', Date.UTC(2026, 10, 29)],
    ['Asia/Tokyo', Date.UTC(2026, 10, 28, 15), '2026-11-29', Date.UTC(2026, 10, 29, 15)],
    // A day of 25 hours, and one of 23.
    ['Europe/Berlin', Date.UTC(2026, 9, 25, 12), '2026-10-25', Date.UTC(2026, 9, 25, 23)],
    ['Europe/Berlin', Date.UTC(2026, 2, 29, 12), '2026-03-29', Date.UTC(2026, 2, 29, 22)],
  ])('%s', (zone, time, day, endsAt) => {
    expect(calendarDays(zone)(time)).toEqual({ day, endsAt })
  })

  test('of the machine end at its midnight', () => {
    const { day, endsAt } = calendarDays(undefined)(NOW)
    const end = new Date(endsAt)
    expect([end.getHours(), end.getMinutes(), end.getMilliseconds()]).toEqual([0, 0, 0])
    expect(endsAt).toBeGreaterThan(NOW)
    expect(day).toMatch(/^2026-11-2\d$/)
  })
})
