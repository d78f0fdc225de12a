import { describe, expect, it } from 'vitest'
import { SILENT } from '../../../src/core/logger.ts'
import { ConcurrencyLeases } from '../../../src/quota/concurrency-leases.ts'
import type { Window } from '../../../src/quota/lease-options.ts'
import { AmountLease } from '../../../src/quota/lease.ts'
import { StoreAvailability } from '../../../src/quota/store-availability.ts'
import { createMemoryStore } from '../../../src/state/memory.ts'
import { minutes, TestClock } from './clocks.ts'

/** A limit that is raised, lowered or below what is used, in this process and beside another one. */

const CALENDAR: Window = { kind: 'calendar', endOf: minutes }
const SLIDING: Window = { kind: 'sliding', ms: 60_000 }

function setUp() {
  const clock = new TestClock()
  const store = createMemoryStore({ now: () => clock.wall() })
  const common = (limit: number) => ({
    key: 'k',
    limit,
    store,
    reach: new StoreAvailability('closed', SILENT, clock, store),
    clock,
    wake: () => undefined,
  })
  const lease = (limit: number, window: Window): AmountLease => new AmountLease({ ...common(limit), window })
  const permits = (holder: string, limit: number): ConcurrencyLeases =>
    new ConcurrencyLeases({ ...common(limit), holder })
  return { clock, lease, permits }
}

/** How many of `count` are granted, one after the other. */
async function use(lease: AmountLease, count: number): Promise<number> {
  let granted = 0
  for (let at = 0; at < count; at++) if (lease.tryTake(1) || !(await lease.take(1))) granted++
  return granted
}

const settle = async (): Promise<void> => {
  for (let turn = 0; turn < 50; turn++) await Promise.resolve()
}

describe.each([
  ['of a period', CALENDAR],
  ['of the last minute', SLIDING],
])('a limit %s', (_, window) => {
  it('that is raised lets in what is new, and no more', async () => {
    const { lease } = setUp()
    const one = lease(10, window)
    expect(await use(one, 20)).toBe(10)
    one.changeLimit(15)
    expect(await use(one, 20)).toBe(5)
    expect(one.left).toBe(0)
  })

  it('that is lowered below what is used lets nothing in, and what was used stays used', async () => {
    const { lease } = setUp()
    const one = lease(10, window)
    expect(await use(one, 8)).toBe(8)
    one.changeLimit(5)
    await settle()
    expect(await use(one, 5)).toBe(0)
    expect(one.left).toBe(0)
    one.changeLimit(9)
    await settle()
    expect(await use(one, 5)).toBe(1)
  })

  it('that is lowered while credit is at hand takes the credit back', async () => {
    const { lease } = setUp()
    const one = lease(1000, window)
    expect(await use(one, 2)).toBe(2)
    one.changeLimit(3)
    await settle()
    expect(await use(one, 10)).toBe(1)
  })

  it('that is lowered while the store is being asked grants no more than it', async () => {
    const { lease } = setUp()
    const one = lease(100, window)
    const taking = Promise.all(Array.from({ length: 50 }, () => one.take(1)))
    one.changeLimit(10)
    const granted = (await taking).filter(refusal => refusal === undefined).length
    await settle()
    // Those asked for under the former limit may pass.
    expect(granted).toBeLessThanOrEqual(50)
    expect(await use(one, 100)).toBe(Math.max(0, 10 - granted))
  })

  it('that is changed in one process after the other counts once in both', async () => {
    const { lease } = setUp()
    const [one, two] = [lease(10, window), lease(10, window)]
    expect(await use(one, 4)).toBe(4)
    one.changeLimit(6)
    await settle()
    two.changeLimit(6)
    await settle()
    expect((await use(two, 10)) + (await use(one, 10))).toBe(2)
  })

  it('whose period is over begins with the limit of now', async () => {
    const { lease, clock } = setUp()
    const one = lease(10, window)
    expect(await use(one, 10)).toBe(10)
    one.changeLimit(4)
    clock.at += 120_000
    expect(await use(one, 10)).toBe(4)
  })
})

describe('a number of calls at once', () => {
  it('that is lowered below what runs lets none in until fewer run', async () => {
    const { permits } = setUp()
    const one = permits('p', 4)
    for (let at = 0; at < 4; at++) expect(await one.enter()).toBeUndefined()
    one.changeLimit(2)
    expect(await one.enter()).toBeDefined()
    one.leave()
    one.leave()
    expect(one.tryEnter()).toBe(false)
    expect(await one.enter()).toBeDefined()
    one.leave()
    expect(await one.enter()).toBeUndefined()
    expect(one.tryEnter()).toBe(false)
  })

  it('that is raised lets more in at once', async () => {
    const { permits } = setUp()
    const one = permits('p', 1)
    expect(await one.enter()).toBeUndefined()
    expect(one.tryEnter()).toBe(false)
    one.changeLimit(3)
    expect(await one.enter()).toBeUndefined()
    expect(await one.enter()).toBeUndefined()
    expect(await one.enter()).toBeDefined()
    expect(one.left).toBe(0)
  })

  it('that is lowered in one process frees permits for no other above it', async () => {
    const { permits } = setUp()
    const [one, two] = [permits('p', 4), permits('q', 4)]
    for (let at = 0; at < 3; at++) expect(await one.enter()).toBeUndefined()
    one.changeLimit(3)
    two.changeLimit(3)
    await settle()
    expect(two.tryEnter()).toBe(false)
    one.leave()
    one.sweep()
    await settle()
  })
})
