import { setTimeout as sleep } from 'node:timers/promises'
import { expect, it } from 'vitest'
import { SILENT } from '../../../src/core/logger.ts'
import { CLOCK } from '../../../src/core/clock.ts'
import { CLAIM_MS, ConcurrencyLeases } from '../../../src/quota/concurrency-leases.ts'
import { StoreAvailability, Uncounted, StoreUnavailableError } from '../../../src/quota/store-availability.ts'
import { createMemoryStore } from '../../../src/state/memory.ts'
import type { HoldRequest, Store } from '../../../src/state/store.ts'
import { TestClock } from './clocks.ts'

function setUp(clock = new TestClock()): {
  clock: TestClock
  asked: HoldRequest[]
  state: { fails: boolean }
  /** The content of the store is gone. */
  lose(): void
  permits(holder: string, limit: number, fail?: 'open' | 'closed'): ConcurrencyLeases
} {
  let memory = createMemoryStore({ now: () => clock.wall() })
  const asked: HoldRequest[] = []
  const state = { fails: false }
  const store = Object.assign(Object.create(memory) as Store, {
    async hold(request: HoldRequest) {
      asked.push(request)
      if (state.fails) throw new Error('gone')
      return await memory.hold(request)
    },
  })
  return {
    clock,
    asked,
    state,
    lose() {
      memory = createMemoryStore({ now: () => clock.wall() })
      Object.assign(store, { lostAt: clock.wall() })
    },
    permits: (holder, limit, fail = 'closed') =>
      new ConcurrencyLeases({
        key: 'k',
        limit,
        holder,
        store,
        reach: new StoreAvailability(fail, SILENT, clock, store),
        clock,
        wake: () => undefined,
      }),
  }
}

it('lets so many in and refuses the next at once, when all are here', async () => {
  const { permits, asked } = setUp()
  const one = permits('p', 2)
  expect(await one.enter()).toBeUndefined()
  expect(await one.enter()).toBeUndefined()
  // What waits would wait for this clock, which stands still.
  expect(await one.enter()).toBeDefined()
  one.leave()
  // What was left is at hand.
  const before = asked.length
  expect(one.tryEnter()).toBe(true)
  expect(asked.length).toBe(before)
})

it('lets many simultaneous calls share few requests to the store', async () => {
  const { permits, asked } = setUp()
  const one = permits('p', 100)
  const refusals = await Promise.all(Array.from({ length: 80 }, () => one.enter()))
  expect(refusals.filter(refusal => refusal !== undefined)).toEqual([])
  expect(asked.length).toBeLessThanOrEqual(3)
})

it('waits a moment for a place that another process frees', async () => {
  const real = Object.assign(new TestClock(), { wall: () => Date.now(), steady: () => CLOCK.steady() })
  const { permits } = setUp(real)
  const a = permits('p', 1)
  const b = permits('q', 1)
  expect(await a.enter()).toBeUndefined()
  expect(await b.enter()).toBeDefined()
  a.leave()
  const entering = b.enter()
  // Unused permits go back after a moment.
  for (let i = 0; i < 6; i++) {
    await sleep(100)
    a.sweep()
  }
  expect(await entering).toBeUndefined()
  b.leave()
})

it('renews its claim while calls are under way, gives back what is idle, and frees what a dead process held', async () => {
  const { permits, clock, asked } = setUp()
  const a = permits('p', 4)
  const b = permits('q', 4)
  for (let i = 0; i < 3; i++) expect(await a.enter()).toBeUndefined()
  a.leave()
  for (let passed = 0; passed < 3 * CLAIM_MS; passed += 1000) {
    clock.at += 1000
    a.sweep()
    await Promise.resolve()
  }
  // Two are in use, the third went back.
  expect(asked.at(-1)).toMatchObject({ holder: 'p', want: 2 })
  expect(asked.length).toBeLessThan(15)
  expect(await b.enter()).toBeUndefined()
  expect(await b.enter()).toBeUndefined()
  await b.refresh()
  expect(b.left).toBe(0)
  // Nothing renews for a process that is gone.
  clock.at += CLAIM_MS
  await b.refresh()
  expect(b.left).toBe(2)
})

it('does not use permits whose claim may have lapsed', async () => {
  const { permits, clock } = setUp()
  const a = permits('p', 2)
  await a.enter()
  a.leave()
  clock.at += CLAIM_MS
  expect(a.tryEnter()).toBe(false)
  expect(await a.enter()).toBeUndefined()
})

it('refuses or lets pass while the store is away', async () => {
  const closed = setUp()
  closed.state.fails = true
  const strict = closed.permits('p', 2)
  for (let i = 0; i < 10; i++) await expect(strict.enter()).rejects.toThrow(StoreUnavailableError)
  expect(closed.asked.length).toBe(1)
  const open = setUp()
  open.state.fails = true
  const lenient = open.permits('p', 2, 'open')
  for (let i = 0; i < 10; i++) expect(await lenient.enter()).toBeUndefined()
  for (let i = 0; i < 10; i++) lenient.leave()
  open.state.fails = false
  open.clock.at += 300
  expect(await lenient.enter()).toBeUndefined()
  expect(lenient.left).toBe(1)
})

it('gives no new place until every claim is there again that the store has lost', async () => {
  const { clock, permits, lose } = setUp()
  const [one, other] = [permits('one', 2), permits('other', 2)]
  expect(await one.enter()).toBeUndefined()
  expect(await other.enter()).toBeUndefined()
  lose()
  other.leave()
  await expect(one.enter()).rejects.toThrow(Uncounted)
  clock.at += CLAIM_MS
  expect(await one.enter()).toBeUndefined()
})
