import { expect, it } from 'vitest'
import { SILENT } from '../../../src/core/logger.ts'
import { AmountLease } from '../../../src/quota/lease.ts'
import type { Window } from '../../../src/quota/lease-options.ts'
import { StoreAvailability, Uncounted, StoreUnavailableError } from '../../../src/quota/store-availability.ts'
import { createMemoryStore } from '../../../src/state/memory.ts'
import type { Store, TakeRequest } from '../../../src/state/store.ts'
import { rng } from '../../helpers/rng.ts'
import { minutes, TestClock } from './clocks.ts'

interface Setup {
  readonly clock: TestClock
  readonly store: Store
  readonly asked: TakeRequest[]
  fails: boolean
  /** Its content is gone. */
  lose(): void
  lease(limit: number, window?: Window, fail?: 'open' | 'closed'): AmountLease
  /** The store's answers arrive. */
  settle(): Promise<void>
  /** Housekeeping of all leases, as if time went by. */
  pass(ms: number): Promise<void>
}

function setUp(): Setup {
  const clock = new TestClock()
  let memory = createMemoryStore({ now: () => clock.wall() })
  const leases: AmountLease[] = []
  const setup: Setup = {
    clock,
    asked: [],
    fails: false,
    lose() {
      memory = createMemoryStore({ now: () => clock.wall() })
      Object.assign(setup.store, { lostAt: clock.wall() })
    },
    store: Object.assign(Object.create(memory) as Store, {
      async take(request: TakeRequest) {
        setup.asked.push(request)
        if (setup.fails) throw new Error('gone')
        return await memory.take(request)
      },
    }),
    lease(limit, window = { kind: 'calendar', endOf: minutes }, fail = 'closed') {
      const reach = new StoreAvailability(fail, SILENT, clock, setup.store)
      const lease = new AmountLease({
        key: 'k',
        limit,
        window,
        store: setup.store,
        reach,
        clock,
        wake: () => undefined,
      })
      leases.push(lease)
      return lease
    },
    async settle() {
      for (let turn = 0; turn < 20; turn++) await Promise.resolve()
    },
    async pass(ms) {
      for (let passed = 0; passed < ms; passed += 100) {
        clock.at += 100
        for (const lease of leases) lease.sweep()
        await setup.settle()
      }
    },
  }
  return setup
}

/** How many of `count` are granted, one after the other. */
async function use(lease: AmountLease, count: number): Promise<number> {
  let granted = 0
  for (let i = 0; i < count; i++) if (lease.tryTake(1) || !(await lease.take(1))) granted++
  return granted
}

it('hands out all of a window and no more, and all of the next', async () => {
  const { lease, clock } = setUp()
  const one = lease(10)
  expect(await use(one, 15)).toBe(10)
  const refusal = await one.take(1)
  expect(refusal).toEqual({ retryAt: minutes(clock.wall()) })
  expect(one.left).toBe(0)
  clock.at = minutes(clock.wall())
  expect(one.left).toBe(10)
  expect(await use(one, 15)).toBe(10)
})

it('asks the store far less often than it is asked', async () => {
  const { lease, asked, clock } = setUp()
  const one = lease(10_000)
  let sync = 0
  for (let i = 0; i < 2000; i++) {
    clock.at += 1
    if (one.tryTake(1)) sync++
    else await one.take(1)
    if (i % 10 === 0) await Promise.resolve()
  }
  expect(sync).toBeGreaterThan(1900)
  expect(asked.length).toBeLessThan(100)
})

it('lets waiting calls share one request to the store', async () => {
  const { lease, asked } = setUp()
  const one = lease(100)
  const answers = await Promise.all(Array.from({ length: 40 }, () => one.take(1)))
  expect(answers.every(answer => answer === undefined)).toBe(true)
  expect(asked.length).toBeLessThanOrEqual(3)
})

it('does not ask again for each call once nothing is left, but soon enough for what others give back', async () => {
  const { lease, asked, clock, pass } = setUp()
  const a = lease(12)
  const b = lease(12)
  await a.take(6)
  await b.take(6)
  expect(await b.take(1)).toBeDefined()
  const before = asked.length
  for (let i = 0; i < 50; i++) expect(await b.take(1)).toBeDefined()
  expect(asked.length).toBe(before)
  a.giveBack(5, clock.steady())
  await pass(1500)
  expect(await use(b, 9)).toBe(5)
})

it('gives back what it does not use for a while', async () => {
  const { lease, pass, clock } = setUp()
  const a = lease(100)
  for (let i = 0; i < 20; i++) {
    clock.at += 5
    await use(a, 1)
  }
  await pass(1500)
  const b = lease(100)
  expect(await use(b, 200)).toBe(80)
})

it('gives back and books when it is closed', async () => {
  const { lease, store, clock } = setUp()
  const a = lease(100)
  await a.take(30)
  a.giveBack(10, clock.steady())
  await a.close()
  const b = lease(100)
  await b.admit()
  b.charge(25)
  await b.close()
  const window = { until: minutes(clock.wall()) }
  expect(await store.take({ key: 'k', limit: 100, window, want: 0, atLeast: 0, spend: 0 })).toMatchObject({
    left: 55,
  })
})

it('keeps nothing of a window for the next one', async () => {
  const { lease, clock } = setUp()
  const one = lease(10)
  const since = clock.steady()
  await one.take(8)
  clock.at = minutes(clock.wall())
  one.giveBack(8, since)
  expect(await use(one, 20)).toBe(10)
})

it('opens no window when the clock goes backwards', async () => {
  const { lease, clock } = setUp()
  const one = lease(10)
  const other = lease(10)
  await use(one, 10)
  clock.offset = -3_600_000
  expect(await use(one, 5)).toBe(0)
  expect(await use(other, 5)).toBe(0)
  clock.offset = 0
  clock.at += 60_000
  expect(await use(one, 20)).toBe(10)
})

it('admits while something is left, and nothing once it is used beyond', async () => {
  const { lease, settle } = setUp()
  const one = lease(1000)
  expect(await one.admit()).toBeUndefined()
  one.charge(400)
  await settle()
  expect(await one.admit()).toBeUndefined()
  one.charge(5000)
  await settle()
  expect(one.tryAdmit()).toBe(false)
  expect(await one.admit()).toBeDefined()
  const other = lease(1000)
  expect(await other.admit()).toBeDefined()
})

it('takes decimals without drifting', async () => {
  const { lease } = setUp()
  const one = lease(2)
  let granted = 0
  for (let i = 0; i < 30; i++) if (one.tryTake(0.1) || !(await one.take(0.1))) granted++
  expect(granted).toBe(20)
})

it('refuses what needs more than is left and still grants what needs less', async () => {
  const { lease } = setUp()
  const one = lease(10)
  await one.take(7)
  expect(await one.take(5)).toBeDefined()
  expect(await one.take(3)).toBeUndefined()
})

it('refuses while the store is away, without asking it for each call, and is back with it', async () => {
  const setup = setUp()
  const one = setup.lease(100)
  setup.fails = true
  for (let i = 0; i < 20; i++) await expect(one.take(1)).rejects.toThrow(StoreUnavailableError)
  expect(setup.asked.length).toBe(1)
  setup.fails = false
  setup.clock.at += 300
  expect(await one.take(1)).toBeUndefined()
})

it('lets pass while the store is away if it shall, and books it when the store is back', async () => {
  const setup = setUp()
  const one = setup.lease(100, undefined, 'open')
  setup.fails = true
  for (let i = 0; i < 60; i++) expect(await one.take(1)).toBeUndefined()
  expect(setup.asked.length).toBe(1)
  setup.fails = false
  await setup.pass(1000)
  const other = setup.lease(100)
  expect(await use(other, 100)).toBe(40)
})

it.each([
  ['a minute of the calendar', { kind: 'calendar', endOf: minutes } as const, 60_000],
  ['a sliding minute', { kind: 'sliding', ms: 60_000 } as const, 61_000],
])('refuses for %s after the store has lost what was used, and then counts anew', async (_, window, ms) => {
  const setup = setUp()
  const one = setup.lease(10, window)
  expect(await one.take(1)).toBeUndefined()
  await setup.pass(2000)
  setup.lose()
  // Also when another process has begun to count in what is there now.
  await expect(one.take(1)).rejects.toThrow(Uncounted)
  await expect(one.refresh()).rejects.toThrow(Uncounted)
  expect(one.left).toBe(0)
  await setup.pass(ms / 2)
  if (window.kind === 'sliding') await expect(one.take(1)).rejects.toThrow(Uncounted)
  await setup.pass(ms / 2)
  expect(await use(one, 20)).toBe(10)
})

it('finds by its own request that the store has lost what was used, and keeps nothing of what that granted', async () => {
  const setup = setUp()
  const one = setup.lease(10)
  expect(await one.take(1)).toBeUndefined()
  await setup.pass(2000)
  const { store } = setup
  const take = store.take.bind(store)
  store.take = request => {
    setup.lose()
    store.take = take
    return take(request)
  }
  await expect(one.take(1)).rejects.toThrow(Uncounted)
  await expect(one.take(1)).rejects.toThrow(Uncounted)
})

it('counts anew after the store has lost what was used, where calls shall pass', async () => {
  const setup = setUp()
  const one = setup.lease(10, undefined, 'open')
  expect(await one.take(1)).toBeUndefined()
  await setup.pass(2000)
  setup.lose()
  expect(await use(one, 20)).toBe(10)
})

it('never admits more than a rate in any span of its period, for any callers and any clock', async () => {
  for (let seed = 1; seed <= 6; seed++) {
    const { lease, clock, pass, settle } = setUp()
    const random = rng(seed)
    const window: Window = { kind: 'sliding', ms: 60_000 }
    const limit = 5 + Math.floor(random() * 40)
    const leases = [lease(limit, window), lease(limit, window), lease(limit, window)]
    const used: number[] = []
    for (let step = 0; step < 1500; step++) {
      const one = leases[Math.floor(random() * leases.length)] as AmountLease
      if (random() < 0.05) await pass(Math.floor(random() * 15_000))
      else clock.at += Math.floor(random() ** 4 * 2000)
      if (random() < 0.3) await settle()
      if (one.tryTake(1) || !(await one.take(1))) used.push(clock.at)
    }
    expect(used.length).toBeGreaterThan(limit * 2)
    for (const [at, time] of used.entries()) {
      let inSpan = 0
      for (let before = at; before >= 0 && (used[before] as number) > time - 60_000; before--) inSpan++
      expect(inSpan, `seed ${seed}`).toBeLessThanOrEqual(limit)
    }
  }
})

it('lets a steady client have nearly all of its rate', async () => {
  const { lease, clock, pass } = setUp()
  const one = lease(60, { kind: 'sliding', ms: 60_000 })
  let granted = 0
  for (let i = 0; i < 600; i++) {
    await pass(1000)
    if (one.tryTake(1) || !(await one.take(1))) granted++
  }
  expect(clock.steady()).toBe(600_000)
  expect(granted).toBeGreaterThanOrEqual(580)
  const below = setUp()
  const slow = below.lease(60, { kind: 'sliding', ms: 60_000 })
  for (let i = 0; i < 300; i++) {
    await below.pass(1100)
    expect(slow.tryTake(1) || !(await slow.take(1))).toBe(true)
  }
})
