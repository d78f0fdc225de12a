import { describe, expect, it } from 'vitest'
import { EventBudget } from '../../../../src/front/http/event-budget.ts'
import { SessionEvents, type EventBounds } from '../../../../src/front/http/event-store.ts'
import { boundedRecord, MAX_RECORD } from '../../../../src/relay/log-record.ts'

const MIB = 1024 * 1024

const BOUNDS = (): EventBounds => ({ maxEvents: 1000, maxEventBytes: MIB })

describe('the event logs of all sessions', () => {
  it('hold 64 MiB, and the client with most of it gives way', () => {
    const budget = new EventBudget()
    const log = (principal: string): SessionEvents => new SessionEvents(BOUNDS, principal, budget)
    const modest = Array.from({ length: 4 }, () => log('modest'))
    for (const events of modest) for (let at = 0; at < 10; at++) events.add(1, 'x'.repeat(MIB / 10 - 10))
    const greedy = Array.from({ length: 200 }, () => log('greedy'))
    for (const events of greedy) for (let at = 0; at < 10; at++) events.add(1, 'x'.repeat(MIB / 10 - 10))
    expect(budget.bytes).toBeLessThanOrEqual(64 * MIB)
    for (const events of modest) expect(events.bytes).toBeGreaterThan(0.9 * MIB)
    for (const events of [...modest, ...greedy]) events.clear()
    expect(budget.bytes).toBe(0)
  })

  it('keep an answer larger than the bound only as long as it is not delivered', () => {
    const events = new SessionEvents(BOUNDS)
    const id = events.add(1, 'first')
    events.add(1, 'x'.repeat(20 * MIB))
    expect(events.bytes).toBe(0)
    events.add(1, 'y'.repeat(20 * MIB), true)
    expect(events.after(id)?.events).toHaveLength(1)
    events.add(1, 'next')
    expect(events.bytes).toBe(4)
  })

  it('bound what waits for a stream by bytes', () => {
    const events = new SessionEvents(BOUNDS)
    for (let at = 0; at < 200; at++) events.wait(String(at).padEnd(MIB / 4, 'x'))
    expect(events.bytes).toBe(MIB)
    expect(events.takeWaiting().map(text => text.slice(0, 3))).toEqual(['196', '197', '198', '199'])
    expect(events.bytes).toBe(0)
  })
})

it('a log record above the bound says what was cut, and keeps its level and logger', () => {
  const value = { level: 'error', logger: 'db', data: `begin ${'x'.repeat(MIB)}` }
  const { text } = boundedRecord({ text: JSON.stringify(value), value })
  expect(text.length).toBeLessThan(MAX_RECORD)
  const cut = JSON.parse(text) as typeof value
  expect(cut).toMatchObject({ level: 'error', logger: 'db' })
  expect(cut.data).toMatch(
    /^begin x.*… \[cut by the gateway: the record has 1048\d+ bytes, and 65536 are relayed\]$/s,
  )
  const small = { text: '{"level":"info","data":1}', value: {} }
  expect(boundedRecord(small)).toBe(small)
})
