import { describe, expect, test } from 'vitest'
import { EventBus } from '../../../../src/core/event-bus.ts'
import { SILENT } from '../../../../src/core/logger.ts'
import { RecentCalls } from '../../../../src/observe/activity/recent-calls.ts'
import { Ended } from '../../../../src/middleware/request/request-events.ts'
import { exchangeOf } from '../../../helpers/fake-transport.ts'

const CONTEXT = { ruleOn: () => undefined, routed: true }
const HOUR_MS = 3_600_000

/** Ends a call that took so long, `now` by the clock of the process. */
function endOf(bus: EventBus, durationMs: number, { name = 't', at = 0 } = {}): void {
  const value = { name, arguments: {} }
  const request = {
    method: 'tools/call',
    params: { text: JSON.stringify(value), value },
    progressToken: undefined,
  }
  const exchange = exchangeOf('tools/call', {}, { request })
  exchange.trace.found({ server: 'a', own: name, exposed: `a__${name}` })
  const outcome = { kind: 'result', text: '{}', value: {}, modern: true } as const
  const now = performance.now() + at
  bus.emit(new Ended(exchange, now - durationMs, now, CONTEXT, outcome, undefined))
}

function listening(): [EventBus, RecentCalls] {
  const bus = new EventBus(SILENT)
  const calls = new RecentCalls()
  calls.listen(bus)
  return [bus, calls]
}

describe('recent calls', () => {
  test('are the last thousand, the latest first', () => {
    const [bus, calls] = listening()
    for (let nth = 1; nth <= 2500; nth++) endOf(bus, 1, { name: `t${nth}` })
    const last = calls.last({}, 1000)
    expect(last).toHaveLength(1000)
    expect([last[0]?.name, last.at(-1)?.name]).toEqual(['t2500', 't1501'])
    expect(last[0]?.nth).toBe(2500)
    expect(calls.last({ tool: 't2400' }, 10)).toHaveLength(1)
    expect(calls.last({ tool: 't100' }, 10)).toEqual([])
  })

  test('keep the slowest of the last hour, however many came after', () => {
    const [bus, calls] = listening()
    for (const ms of [700, 900, 800]) endOf(bus, ms, { name: 'slow' })
    for (let nth = 0; nth < 5000; nth++) endOf(bus, nth % 50)
    expect(calls.slowest({}, 3, Date.now()).map(({ durationMs }) => durationMs)).toEqual([900, 800, 700])
    expect(calls.slowest({}, 1000, Date.now())).toHaveLength(50)
    expect(calls.slowest({}, 3, Date.now() + 2 * HOUR_MS)).toEqual([])
    // Each ten minutes have their own.
    for (let span = 1; span <= 10; span++) endOf(bus, 100 - span, { name: `s${span}`, at: span * 610_000 })
    const names = calls.slowest({}, 1000, Date.now() + 10 * 610_000).map(({ name }) => name)
    expect(names).toEqual(['s5', 's6', 's7', 's8', 's9', 's10'])
  })

  test('hold no part of what a client has sent beyond the beginning of a name', () => {
    const [bus, calls] = listening()
    endOf(bus, 1, { name: `${'x'.repeat(100_000)}\u001b[2J` })
    expect(calls.last({}, 1)[0]?.name).toHaveLength(200)
    endOf(bus, 1, { name: 'a\u001b[2Jb token=abcdef123456' })
    expect(calls.last({}, 1)[0]?.name).toBe('a [2Jb token=***')
  })

  test('are followed by a bounded number of readers, each by what it asks for, until the end', async () => {
    const [bus, calls] = listening()
    const reader = calls.follow({ tool: 'wanted' })
    endOf(bus, 1)
    endOf(bus, 1, { name: 'wanted' })
    const { value } = (await reader?.next()) ?? {}
    expect(JSON.parse(String(value))).toMatchObject({ name: 'wanted', nth: 2 })
    const more = Array.from({ length: 20 }, () => calls.follow({}))
    expect(more.filter(each => each !== undefined)).toHaveLength(15)
    await reader?.return?.()
    expect(calls.follow({})).toBeDefined()
    calls.close()
    expect(await more[0]?.next()).toEqual({ done: true, value: undefined })
  })
})
