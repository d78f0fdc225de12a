import { describe, expect, it, onTestFinished } from 'vitest'
import { lifeOf, type HoldRequest, type Store, type TakeRequest } from '../../src/state/store.ts'
import { rng } from '../helpers/rng.ts'

/**
 * What a store must do with limited amounts and permits. `open` gives two stores on the given clock that share everything; they may be one and the same.
 */
export function describeAmounts(name: string, open: (now: () => number) => Promise<[Store, Store]>): void {
  describe(`amounts contract: ${name}`, () => {
    let time = 0
    async function start(): Promise<[Store, Store]> {
      time = 1_700_000_000_000
      const stores = await open(() => time)
      onTestFinished(async () => {
        for (const store of stores) await store.close()
      })
      return stores
    }
    const of = (request: Partial<TakeRequest>): TakeRequest => ({
      key: 'quota/x',
      limit: 10,
      window: { until: 1_700_000_060_000 },
      want: 1,
      atLeast: 1,
      spend: 0,
      ...request,
    })
    const sliding = (request: Partial<TakeRequest>): TakeRequest =>
      of({ window: { slidingMs: 60_000 }, ...request })

    it('grants up to the limit and no more', async () => {
      const [a, b] = await start()
      expect(await a.take(of({ want: 4 }))).toMatchObject({ granted: 4, left: 6, retryAt: 0 })
      expect(await b.take(of({ want: 4 }))).toMatchObject({ granted: 4, left: 2, retryAt: 0 })
      expect(await a.take(of({ want: 4 }))).toMatchObject({
        granted: 2,
        left: 0,
        retryAt: 1_700_000_060_000,
      })
      expect(await b.take(of({}))).toMatchObject({ granted: 0, left: 0, at: time })
    })

    it('counts each key separately', async () => {
      const [a, b] = await start()
      await a.take(of({ want: 10 }))
      expect(await b.take(of({ key: 'quota/y', want: 10 }))).toMatchObject({ granted: 10 })
    })

    it('grants nothing when less than the least is left', async () => {
      const [a] = await start()
      await a.take(of({ want: 7 }))
      expect(await a.take(of({ want: 5, atLeast: 4 }))).toMatchObject({ granted: 0, left: 3, retryAt: 0 })
      expect(await a.take(of({ want: 5, atLeast: 3 }))).toMatchObject({ granted: 3, left: 0 })
    })

    it('begins a new window only with a later end', async () => {
      const [a, b] = await start()
      await a.take(of({ want: 10 }))
      // A process whose clock went backwards.
      expect(await b.take(of({ window: { until: 1_700_000_000_000 } }))).toMatchObject({
        granted: 0,
        retryAt: 1_700_000_060_000,
      })
      time -= 3_600_000
      expect(await a.take(of({}))).toMatchObject({ granted: 0 })
      time += 3_600_000 + 60_000
      expect(await a.take(of({ window: { until: 1_700_000_120_000 }, want: 3 }))).toMatchObject({
        granted: 3,
        left: 7,
      })
      // One whose clock is behind counts into the window that has begun.
      expect(await b.take(of({ want: 3 }))).toMatchObject({ granted: 3, left: 4 })
    })

    it('does not forget a window that has ended by the clock of the store but not by that of a process', async () => {
      const [a, b] = await start()
      await a.take(of({ want: 8 }))
      time += 65_000
      expect(await b.take(of({ want: 8 }))).toMatchObject({ granted: 2, left: 0 })
      expect(await a.take(of({ want: 8 }))).toMatchObject({ granted: 0, left: 0 })
    })

    it('books what was spent, whatever the limit says', async () => {
      const [a, b] = await start()
      expect(await a.take(of({ want: 0, atLeast: 0, spend: 14 }))).toMatchObject({ granted: 0, left: 0 })
      expect(await b.take(of({ want: 5, spend: -6 }))).toMatchObject({ granted: 2, left: 0 })
    })

    it('takes back what was not used, but never more than was taken, and not into another window', async () => {
      const [a, b] = await start()
      await a.take(of({ want: 5 }))
      expect(await b.take(of({ want: 0, atLeast: 0, spend: -50 }))).toMatchObject({ left: 10 })
      await a.take(of({ window: { until: 1_700_000_120_000 }, want: 10 }))
      expect(await b.take(of({ want: 0, atLeast: 0, spend: -5 }))).toMatchObject({ left: 0 })
    })

    it('adds decimals without drifting', async () => {
      const [a] = await start()
      for (let i = 0; i < 10; i++)
        expect((await a.take(of({ limit: 1, want: 0.1, atLeast: 0.1 }))).granted).toBe(0.1)
      expect(await a.take(of({ limit: 1, want: 0.1, atLeast: 0.1 }))).toMatchObject({ granted: 0, left: 0 })
      const large = 2 ** 52
      expect(await a.take(of({ key: 'l', limit: large, want: large - 1 }))).toMatchObject({
        granted: large - 1,
        left: 1,
      })
    })

    it('counts what was taken from a sliding window for its length, and at most a sixtieth more', async () => {
      const [a, b] = await start()
      await a.take(sliding({ want: 6 }))
      time += 30_000
      await b.take(sliding({ want: 4 }))
      time += 29_999
      expect(await a.take(sliding({ want: 10 }))).toMatchObject({ granted: 0, left: 0 })
      time += 1 + 1000
      const { granted } = await a.take(sliding({ want: 10 }))
      expect(granted).toBe(6)
      time += 30_000
      expect((await a.take(sliding({ want: 10 }))).granted).toBe(4)
    })

    it('says when something is left again, by its own clock', async () => {
      const [a] = await start()
      await a.take(sliding({ want: 10 }))
      const { retryAt, at } = await a.take(sliding({}))
      expect(at).toBe(time)
      expect(retryAt - at).toBeGreaterThan(60_000)
      expect(retryAt - at).toBeLessThanOrEqual(61_000)
      time = retryAt - 1
      expect((await a.take(sliding({}))).granted).toBe(0)
      time = retryAt
      expect((await a.take(sliding({}))).granted).toBe(1)
    })

    it('takes back into the part of a sliding window it came from', async () => {
      const [a, b] = await start()
      const first = await a.take(sliding({ want: 6 }))
      time += 20_000
      const second = await b.take(sliding({ want: 4 }))
      await a.take(sliding({ want: 0, atLeast: 0, spend: -5, takenAt: first.at }))
      await b.take(sliding({ want: 0, atLeast: 0, spend: -400, takenAt: second.at }))
      // 1 of the first is left, nothing of the second.
      expect(await a.take(sliding({ want: 10 }))).toMatchObject({ granted: 9 })
      time += 41_000
      expect(await a.take(sliding({ want: 10 }))).toMatchObject({ granted: 1 })
      time += 62_000
      await a.take(sliding({ want: 0, atLeast: 0, spend: -6, takenAt: first.at }))
      expect(await a.take(sliding({ want: 10 }))).toMatchObject({ granted: 10 })
    })

    it('counts on when its clock goes backwards, but no longer than the window is', async () => {
      const [a] = await start()
      await a.take(sliding({ want: 10 }))
      time -= 3_600_000
      expect(await a.take(sliding({}))).toMatchObject({ granted: 0 })
      time += 59_000
      expect(await a.take(sliding({}))).toMatchObject({ granted: 0 })
      time += 2_000
      expect((await a.take(sliding({ want: 10 }))).granted).toBe(10)
    })

    it('never grants more than the limit in any span of a sliding window, with a clock that jumps', async () => {
      const [a, b] = await start()
      const random = rng(7)
      const slidingMs = 1000
      for (let run = 0; run < 3; run++) {
        const key = `run/${run}`
        const granted: { at: number; amount: number }[] = []
        for (let step = 0; step < 300; step++) {
          time += Math.floor(random() ** 3 * 400)
          const store = random() < 0.5 ? a : b
          const want = 1 + Math.floor(random() * 8)
          const taken = await store.take(sliding({ key, want, atLeast: 1, window: { slidingMs } }))
          // Used as late as it may be.
          if (taken.granted > 0) granted.push({ at: time + lifeOf(slidingMs), amount: taken.granted })
        }
        expect(granted.length).toBeGreaterThan(20)
        for (const { at } of granted) {
          const inSpan = granted.filter(other => other.at > at - slidingMs && other.at <= at)
          expect(inSpan.reduce((sum, { amount }) => sum + amount, 0)).toBeLessThanOrEqual(10)
        }
      }
    })

    it('grants all of an amount exactly once to many simultaneous requests', async () => {
      const [a, b] = await start()
      const answers = await Promise.all(
        Array.from({ length: 200 }, (_, at) => (at % 2 ? a : b).take(of({ limit: 150 }))),
      )
      expect(answers.reduce((sum, { granted }) => sum + granted, 0)).toBe(150)
      expect(answers.filter(({ granted }) => granted === 0)).toHaveLength(50)
    })

    const claim = (request: Partial<HoldRequest>): HoldRequest => ({
      key: 'permits/x',
      holder: 'p',
      want: 1,
      limit: 4,
      ttlMs: 10_000,
      ...request,
    })

    it('gives permits to several holders, never more than there are', async () => {
      const [a, b] = await start()
      expect(await a.hold(claim({ want: 3 }))).toEqual({ permits: 3, left: 1 })
      expect(await b.hold(claim({ holder: 'q', want: 3 }))).toEqual({ permits: 1, left: 0 })
      expect(await a.hold(claim({ want: 2 }))).toEqual({ permits: 2, left: 1 })
      expect(await b.hold(claim({ holder: 'q', want: 3 }))).toEqual({ permits: 2, left: 0 })
      expect(await a.hold(claim({ want: 0 }))).toEqual({ permits: 0, left: 2 })
      expect(await b.hold(claim({ holder: 'q', want: 9 }))).toEqual({ permits: 4, left: 0 })
      expect(await b.hold(claim({ key: 'permits/y', want: 9 }))).toEqual({ permits: 4, left: 0 })
    })

    it('frees the permits of a holder that lapses, and keeps those of one that renews', async () => {
      const [a, b] = await start()
      await a.hold(claim({ want: 3 }))
      await b.hold(claim({ holder: 'q', want: 1 }))
      time += 9_999
      expect(await b.hold(claim({ holder: 'q', want: 2 }))).toEqual({ permits: 1, left: 0 })
      time += 1
      expect(await b.hold(claim({ holder: 'q', want: 9 }))).toEqual({ permits: 4, left: 0 })
      expect(await a.hold(claim({ want: 3 }))).toEqual({ permits: 0, left: 0 })
    })

    it('gives all permits exactly once to many simultaneous claims', async () => {
      const [a, b] = await start()
      const answers = await Promise.all(
        Array.from({ length: 40 }, (_, at) =>
          (at % 2 ? a : b).hold(claim({ holder: `h${at} "quoted"`, limit: 25 })),
        ),
      )
      expect(answers.reduce((sum, { permits }) => sum + permits, 0)).toBe(25)
    })

    it('renews a claim on request only while it is live', async () => {
      const [a, b] = await start()
      expect(await a.hold(claim({ renews: true }))).toEqual({ permits: 0, left: 4 })
      await a.hold(claim({ want: 2 }))
      time += 9_999
      expect(await b.hold(claim({ want: 2, renews: true }))).toEqual({ permits: 2, left: 2 })
      time += 9_999
      expect(await b.hold(claim({ want: 2, renews: true }))).toEqual({ permits: 2, left: 2 })
      time += 10_000
      expect(await a.hold(claim({ want: 2, renews: true }))).toEqual({ permits: 0, left: 4 })
      expect(await a.hold(claim({ want: 2 }))).toEqual({ permits: 2, left: 2 })
    })

    it('sets a value for the holder of a live claim alone', async () => {
      const [a, b] = await start()
      const write = { key: 'v', claim: 'permits/x', holder: 'p' }
      expect(await a.setHeld({ ...write, value: '0' })).toBe(false)
      await a.hold(claim({}))
      expect(await b.setHeld({ ...write, value: '1' })).toBe(true)
      expect(await b.setHeld({ ...write, value: '2', holder: 'q' })).toBe(false)
      expect(await b.setHeld({ ...write, value: '2', claim: 'permits/y' })).toBe(false)
      expect(await a.get('v')).toBe('1')
      time += 9_999
      expect(await a.setHeld({ ...write, value: 'é\n"' })).toBe(true)
      expect(await b.get('v')).toBe('é\n"')
      time += 1
      expect(await a.setHeld({ ...write, value: '3' })).toBe(false)
      expect(await a.setHeld({ ...write, value: undefined })).toBe(false)
      expect(await b.get('v')).toBe('é\n"')
      await b.hold(claim({ holder: 'q', limit: 1 }))
      await a.hold(claim({ limit: 1 }))
      expect(await a.setHeld({ ...write, value: '4' })).toBe(false)
      expect(await b.setHeld({ ...write, holder: 'q', value: '5' })).toBe(true)
      expect(await a.get('v')).toBe('5')
      await expect(b.setHeld({ ...write, key: 'x'.repeat(1025), value: '' })).rejects.toThrow(RangeError)
    })

    it('deletes, and lets expire, what the holder of a claim has set', async () => {
      const [a, b] = await start()
      const write = { key: 'v', claim: 'permits/x', holder: 'p' }
      await a.hold(claim({ ttlMs: 1_000_000 }))
      await a.setHeld({ ...write, value: '1', ttlMs: 100 })
      time += 99
      expect(await b.get('v')).toBe('1')
      time += 1
      expect(await b.get('v')).toBeUndefined()
      expect(await b.keys('v')).toEqual([])
      await a.setHeld({ ...write, value: '2', ttlMs: 100 })
      await a.setHeld({ ...write, value: '3' })
      time += 1000
      expect(await b.get('v')).toBe('3')
      await a.setHeld({ ...write, value: '4', ttlMs: 0 })
      expect(await b.get('v')).toBeUndefined()
      await a.setHeld({ ...write, value: '5' })
      expect(await b.setHeld({ ...write, value: undefined })).toBe(true)
      expect(await a.get('v')).toBeUndefined()
      expect(await b.setHeld({ ...write, value: undefined })).toBe(true)
    })

    it('rejects after it was closed', async () => {
      const [a] = await start()
      await a.close()
      await expect(a.take(of({}))).rejects.toThrow('closed')
      await expect(a.hold(claim({}))).rejects.toThrow('closed')
      const write = { key: 'v', value: '', claim: 'permits/x', holder: 'p' }
      await expect(a.setHeld(write)).rejects.toThrow('closed')
    })
  })
}
