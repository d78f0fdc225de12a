import { describe, expect, it, onTestFinished } from 'vitest'
import { rng } from '../helpers/rng.ts'
import { MAX_KEY_BYTES, MAX_VALUE_BYTES, type Store } from '../../src/state/store.ts'

/**
 * What a store must do, whatever keeps the values. `open` gives an empty store that runs on the given clock; `reopen` opens the one
 * that was opened last once more, for a store that others can share.
 */
export function describeStore(
  name: string,
  open: (now: () => number) => Promise<Store>,
  reopen?: (now: () => number) => Promise<Store>,
): void {
  describe(`store contract: ${name}`, () => {
    let time = 1_000_000

    async function start(): Promise<Store> {
      const store = await open(() => time)
      onTestFinished(() => store.close())
      return store
    }

    it('is shared with other processes that open it, where it claims so', async () => {
      const store = await start()
      expect(store.shared).toBe(reopen !== undefined)
      await store.set('a', '1')
      const other = await reopen?.(() => time)
      if (!other) return
      onTestFinished(() => other.close())
      expect(await other.get('a')).toBe('1')
    })

    it('gives back what was set, and undefined for the rest', async () => {
      const store = await start()
      await store.set('a', '1')
      await store.set('b', '')
      expect(await store.get('a')).toBe('1')
      expect(await store.get('b')).toBe('')
      expect(await store.get('c')).toBeUndefined()
    })

    it('overwrites, and a value set without a time to live loses the old one', async () => {
      const store = await start()
      await store.set('a', '1', { ttlMs: 10 })
      await store.set('a', '2')
      time += 1000
      expect(await store.get('a')).toBe('2')
    })

    it('sets a value only where there is none, and gives the one that stands', async () => {
      const store = await start()
      expect(await store.setIfAbsent('a', '1')).toBe('1')
      expect(await store.setIfAbsent('a', '2')).toBe('1')
      expect(await store.get('a')).toBe('1')
      await store.set('b', '')
      expect(await store.setIfAbsent('b', '2')).toBe('')
      time += 1e15
      expect(await store.get('a')).toBe('1')
      await store.delete('a')
      expect(await store.setIfAbsent('a', '3')).toBe('3')
      await expect(store.setIfAbsent('x'.repeat(MAX_KEY_BYTES + 1), '1')).rejects.toThrow(RangeError)
    })

    it('gives one value to all that set it at once', async () => {
      const store = await start()
      const other = (await reopen?.(() => time)) ?? store
      onTestFinished(() => other.close())
      const values = Array.from({ length: 50 }, (_, at) => (at % 2 ? store : other).setIfAbsent('a', `${at}`))
      const [stands] = await Promise.all(values)
      expect(new Set(await Promise.all(values))).toEqual(new Set([stands]))
      expect(await other.get('a')).toBe(stands)
    })

    it('reads many in the order of the keys', async () => {
      const store = await start()
      await store.set('a', '1')
      await store.set('b', '2')
      expect(await store.getMany(['b', 'x', 'a', 'b'])).toEqual(['2', undefined, '1', '2'])
      expect(await store.getMany([])).toEqual([])
    })

    it('deletes, also what is not there', async () => {
      const store = await start()
      await store.set('a', '1')
      await store.delete('a')
      await store.delete('a')
      expect(await store.get('a')).toBeUndefined()
      expect(await store.keys('')).toEqual([])
    })

    it('lets a value expire at its moment, not before', async () => {
      const store = await start()
      await store.set('a', '1', { ttlMs: 100 })
      time += 99
      expect(await store.get('a')).toBe('1')
      expect(await store.keys('a')).toEqual(['a'])
      time += 1
      expect(await store.keys('a')).toEqual([])
      expect(await store.getMany(['a'])).toEqual([undefined])
      expect(await store.get('a')).toBeUndefined()
    })

    it('takes a time to live of nothing as expired', async () => {
      const store = await start()
      await store.set('a', '1', { ttlMs: 0 })
      expect(await store.get('a')).toBeUndefined()
      await expect(store.set('a', '1', { ttlMs: Number.NaN })).rejects.toThrow(RangeError)
    })

    it('keeps a renewed value when the old expiry passes', async () => {
      const store = await start()
      await store.set('a', 'old', { ttlMs: 100 })
      await store.set('a', 'new', { ttlMs: 500_000 })
      time += 200_000
      await store.set('other', '1', { ttlMs: 1 })
      expect(await store.get('a')).toBe('new')
    })

    it('lists keys by prefix in byte order', async () => {
      const store = await start()
      // U+FF5E sorts before U+1F600 in bytes and after it in UTF-16 units.
      const keys = [
        'list/b',
        'list/\u{1f600}',
        'list/\uff5e',
        'list/',
        'list/é',
        'list/a/1',
        'lisu',
        'lis',
        'list/\0',
      ]
      for (const key of keys) await store.set(key, 'v')
      expect(await store.keys('list/')).toEqual([
        'list/',
        'list/\0',
        'list/a/1',
        'list/b',
        'list/é',
        'list/\uff5e',
        'list/\u{1f600}',
      ])
      expect(await store.keys('nothing')).toEqual([])
      expect(await store.keys('')).toHaveLength(keys.length)
    })

    it('keeps values of any text, large ones too', async () => {
      const store = await start()
      const odd = 'é\0\n\u2028\u{1f600}"\\'
      await store.set('ключ/鍵/\u{1f511}', odd)
      expect(await store.get('ключ/鍵/\u{1f511}')).toBe(odd)
      const large = 'ab\u{1f600}'.repeat(1_500_000)
      await store.set('large', large)
      await store.set('small', 'x')
      expect((await store.get('large')) === large).toBe(true)
      expect(
        await store.getMany(['small', 'large', 'small']).then(all => [all[0], all[1]?.length, all[2]]),
      ).toEqual(['x', large.length, 'x'])
    })

    it('refuses keys and values beyond the bounds, and accepts the bounds', async () => {
      const store = await start()
      const longest = '\u{1f511}'.repeat(MAX_KEY_BYTES / 4)
      await store.set(longest, '1', { ttlMs: 1000 })
      expect(await store.get(longest)).toBe('1')
      await expect(store.set(`${longest}x`, '1')).rejects.toThrow(RangeError)
      await expect(store.get(`${longest}x`)).rejects.toThrow(RangeError)
      await expect(store.delete(`${longest}x`)).rejects.toThrow(RangeError)
      await expect(store.set('a', 'x'.repeat(MAX_VALUE_BYTES + 1))).rejects.toThrow(RangeError)
      expect(await store.get('a')).toBeUndefined()
    })

    it('settles writes of one turn in their order', async () => {
      const store = await start()
      const writes = Array.from({ length: 100 }, (_, index) => store.set('a', String(index)))
      await Promise.all([...writes, store.delete('b'), store.set('b', 'last')])
      expect(await store.getMany(['a', 'b'])).toEqual(['99', 'last'])
    })

    it('makes room in a zone by its oldest entries, and in no other zone', async () => {
      const store = await start()
      // Keys of one byte, values of nine.
      const zone = { name: 'z', maxBytes: 40 }
      const set = (key: string, more: object = {}): Promise<void> =>
        store.set(key, 'x'.repeat(9), { zone, ...more })
      await store.set('free', 'x'.repeat(1000))
      await store.set('o', 'x', { zone: { name: 'other', maxBytes: 40 } })
      for (const key of ['a', 'b', 'c', 'd']) await set(key, key === 'c' ? { ttlMs: 1000 } : {})
      expect(await store.zone('z')).toEqual({ entries: 4, bytes: 40 })
      // Set anew, it is the youngest.
      await set('a')
      await set('e')
      expect(await store.keys('')).toEqual(expect.arrayContaining(['a', 'c', 'd', 'e', 'free', 'o']))
      expect(await store.get('b')).toBeUndefined()
      await store.set('f', 'x'.repeat(20), { zone })
      expect(await store.getMany(['c', 'd', 'a', 'e', 'f'])).toEqual([
        undefined,
        undefined,
        undefined,
        'x'.repeat(9),
        'x'.repeat(20),
      ])
      expect(await store.zone('z')).toEqual({ entries: 2, bytes: 31 })
      expect(await store.zone('other')).toEqual({ entries: 1, bytes: 2 })
      expect(await store.zone('nothing')).toEqual({ entries: 0, bytes: 0 })
      expect(await store.get('free')).toHaveLength(1000)
    })

    it('counts in a zone what is overwritten once, and what is deleted no more', async () => {
      const store = await start()
      const zone = { name: 'z', maxBytes: 1000 }
      await store.set('é', 'x'.repeat(100), { zone })
      await store.set('é', 'é', { zone, ttlMs: 50 })
      expect(await store.zone('z')).toEqual({ entries: 1, bytes: 4 })
      await store.delete('é')
      await store.delete('é')
      expect(await store.zone('z')).toEqual({ entries: 0, bytes: 0 })
      for (let at = 0; at < 100; at++) await store.set(`k${at}`, 'x'.repeat(50), { zone, ttlMs: 1000 })
      const { entries, bytes } = await store.zone('z')
      expect([entries, bytes]).toEqual([18, 18 * 53])
      expect(await store.keys('k')).toHaveLength(18)
    })

    it('makes room when a zone has become smaller, and refuses what is larger than all of it', async () => {
      const store = await start()
      for (let at = 0; at < 30; at++)
        await store.set(`k${at}`, 'x'.repeat(100), { zone: { name: 'z', maxBytes: 10_000 } })
      const small = { name: 'z', maxBytes: 300 }
      await store.set('last', 'x'.repeat(100), { zone: small })
      expect(await store.zone('z')).toEqual({ entries: 2, bytes: 207 })
      await expect(store.set('big', 'x'.repeat(300), { zone: small })).rejects.toThrow(RangeError)
      expect(await store.zone('z')).toEqual({ entries: 2, bytes: 207 })
    })

    it('gives the room of expired entries to new ones', async () => {
      const store = await start()
      const zone = { name: 'z', maxBytes: 1000 }
      await store.set('old', 'x'.repeat(100), { zone, ttlMs: 10 })
      await store.set('kept', 'x'.repeat(100), { zone, ttlMs: 10_000_000 })
      time += 120_000
      await store.set('new', 'x'.repeat(100), { zone, ttlMs: 10_000_000 })
      const found = await store.getMany(['old', 'kept', 'new'])
      expect(found.map(one => one?.length)).toEqual([undefined, 100, 100])
      expect(await store.zone('z')).toEqual({ entries: 2, bytes: 207 })
    })

    it('settles what is set in a zone and deleted in one turn in its order', async () => {
      const store = await start()
      const zone = { name: 'z', maxBytes: 1000 }
      await Promise.all([store.set('a', '1', { zone }), store.delete('a'), store.set('b', '2', { zone })])
      await Promise.all([store.delete('b'), store.set('b', '3', { zone })])
      expect(await store.getMany(['a', 'b'])).toEqual([undefined, '3'])
      expect(await store.zone('z')).toEqual({ entries: 1, bytes: 2 })
    })

    it('never has more in a zone than its bound', async () => {
      const store = await start()
      const random = rng(7)
      const zone = { name: 'z', maxBytes: 2000 }
      const sizes = new Map<string, number>()
      for (let step = 0; step < 400; step++) {
        const key = `k${Math.floor(random() * 60)}`
        if (random() < 0.2) await store.delete(key)
        else {
          sizes.set(key, Math.floor(random() * 300))
          await store.set(key, 'x'.repeat(sizes.get(key) as number), { zone })
        }
        if (step % 20 > 0) continue
        const keys = await store.keys('k')
        const bytes = keys.reduce((sum, name) => sum + name.length + (sizes.get(name) as number), 0)
        expect(await store.zone('z')).toEqual({ entries: keys.length, bytes })
        expect(bytes).toBeLessThanOrEqual(2000)
      }
    })

    it('closes twice and then refuses', async () => {
      const store = await start()
      const writing = store.set('a', '1')
      await Promise.all([store.close(), store.close()])
      await writing
      await expect(store.get('a')).rejects.toThrow('closed')
      await expect(store.getMany([])).rejects.toThrow('closed')
      await expect(store.set('a', '1')).rejects.toThrow('closed')
      await expect(store.delete('a')).rejects.toThrow('closed')
      await expect(store.keys('')).rejects.toThrow('closed')
      await expect(store.zone('z')).rejects.toThrow('closed')
      await store.close()
    })
  })
}
