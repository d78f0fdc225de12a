import { createHash, randomBytes } from 'node:crypto'
import { describe, expect, it, onTestFinished } from 'vitest'
import { epochKey } from '../../src/cache/shared/epoch.ts'
import { toolTag } from '../../src/cache/tags.ts'
import { SharedEpochs } from '../../src/cache/shared/epochs.ts'
import { StoredTier } from '../../src/cache/shared/store-tier.ts'
import { nameOf } from '../../src/cache/shared/codec.ts'
import { SILENT } from '../../src/core/logger.ts'
import type { TierEntry } from '../../src/cache/tier.ts'
import type { Store } from '../../src/state/store.ts'

const HOUR = 3_600_000

/** An answer to a question asked now. */
export function entryOf(text: string, tags: readonly string[] = [], upstreamMs = 0): TierEntry {
  return { text, modern: false, storedAt: Date.now() + upstreamMs, upstreamMs, tags }
}

/** A result of random letters, which does not get smaller. */
function noise(length: number): string {
  return `"${randomBytes(length).toString('base64').slice(0, length)}"`
}

/** As an entry is written, with a checksum that is right. */
function signed(rest: string): string {
  return `1${createHash('sha256').update(rest).digest('base64url').slice(0, 22)}${rest}`
}

/** One process of those that share a store. */
export interface Process {
  readonly tier: StoredTier
  readonly epochs: SharedEpochs
  /** What it heard of, by server. */
  readonly heard: (readonly [string, readonly string[] | undefined])[]
  readonly store: Store
}

/** `store` is not closed. */
export async function startProcess(
  store: Store,
  {
    cached = ['s'],
    ...options
  }: { cached?: string[]; maxQueued?: number; maxQueuedBytes?: number; maxBytes?: number } = {},
): Promise<Process> {
  const heard: [string, readonly string[] | undefined][] = []
  const epochs = new SharedEpochs({
    store,
    servers: ['s', 't', 'a/b', 'a'],
    cached: () => cached,
    onForeignChange: (server, tags) => heard.push([server, tags]),
    logger: SILENT,
  })
  const tier = new StoredTier({ store, epochs, compressOverBytes: 1000, maxBytes: 100_000_000, ...options })
  await epochs.start()
  onTestFinished(async () => {
    await tier.close()
    await epochs.close()
  })
  return { tier, epochs, heard, store }
}

/** What a tier over any store must do. `open` gives stores that share what is in them. */
export function describeTier(name: string, open: () => Promise<readonly [Store, Store]>): void {
  describe(`tier contract: ${name}`, () => {
    async function start(cached?: string[]): Promise<[Process, Process]> {
      const stores = await open()
      onTestFinished(async () => void (await Promise.all(stores.map(store => store.close()))))
      const options = cached ? { cached } : {}
      const [one, other] = [await startProcess(stores[0], options), await startProcess(stores[1], options)]
      // What starting wrote is not what the tests are about.
      one.heard.length = other.heard.length = 0
      return [one, other]
    }

    it('returns to every process what one has stored, and nothing under another key or server', async () => {
      const [one, other] = await start()
      const large = `{"content":[{"type":"text","text":"${'é\u{1f600} '.repeat(20_000)}"}]}`
      const entries = { small: entryOf('{"a":1.0}', ['x'], 12), large: { ...entryOf(large), modern: true } }
      for (const [key, entry] of Object.entries(entries)) one.tier.set('s', key, entry, HOUR)
      await one.tier.idle()
      for (const process of [one, other])
        for (const [key, entry] of Object.entries(entries))
          expect(await process.tier.get('s', key)).toEqual(entry)
      expect(await other.tier.get('s', 'neither')).toBeUndefined()
      expect(await other.tier.get('t', 'small')).toBeUndefined()
      expect(other.tier.counts).toMatchObject({ hits: 2, misses: 2, outdated: 0, damaged: 0 })
      expect(one.tier.counts.written).toBe(2)
      // Smaller than it is, although its letters are not those of Latin.
      expect((await one.store.get(nameOf('s', 'large')))?.length).toBeLessThan(large.length / 10)
    })

    it('keeps servers apart whose names look like paths, and no argument in the name of a key', async () => {
      const [one] = await start()
      one.tier.set('a/b', 'k', entryOf('"ab"'), HOUR)
      one.tier.set('a', 'b/k {"secret":"swordfish"}', entryOf('"a"'), HOUR)
      await one.tier.idle()
      expect((await one.tier.get('a/b', 'k'))?.text).toBe('"ab"')
      expect(await one.tier.get('a', 'b/k')).toBeUndefined()
      const names = await one.store.keys('cache/')
      expect(names).toHaveLength(2)
      expect(names.filter(key => key.startsWith('cache/a/'))).toHaveLength(1)
      expect(names.join()).not.toContain('swordfish')
    })

    it('drops entries after their time to live', async () => {
      const [one] = await start()
      one.tier.set('s', 'k', entryOf('1'), 0)
      one.tier.set('s', 'l', entryOf('1'), 40)
      await one.tier.idle()
      await expect.poll(() => one.tier.get('s', 'l')).toBeUndefined()
      expect(await one.tier.get('s', 'k')).toBeUndefined()
    })

    it('never returns an entry from before a change of this process, even before other processes know of the change', async () => {
      const [one, other] = await start()
      one.tier.set('s', 'k', entryOf('1'), HOUR)
      await one.tier.idle()
      one.epochs.changed('s')
      expect(await one.tier.get('s', 'k')).toBeUndefined()
      await one.epochs.flush()
      expect(await other.tier.get('s', 'k')).toBeUndefined()
      expect([one.tier.counts.outdated, other.heard]).toEqual([1, [['s', undefined]]])
      other.tier.set('s', 'k', entryOf('2'), HOUR)
      await other.tier.idle()
      expect((await one.tier.get('s', 'k'))?.text).toBe('2')
      expect(one.heard).toEqual([])
    })

    it('keeps entries that a change by tags does not concern', async () => {
      const [one, other] = await start()
      for (const tag of ['x', 'constructor', '__proto__'])
        one.tier.set('s', tag, entryOf('1', [tag, toolTag(tag)]), HOUR)
      one.tier.set('s', 'none', entryOf('1'), HOUR)
      await one.tier.idle()
      other.epochs.changed('s', ['__proto__', toolTag('constructor')])
      await other.epochs.flush()
      const left = async (): Promise<string[]> => {
        const keys = ['x', 'constructor', '__proto__', 'none']
        const found = await Promise.all(keys.map(key => one.tier.get('s', key)))
        return keys.filter((_, at) => found[at])
      }
      expect(await left()).toEqual(['x', 'none'])
      expect(one.heard).toEqual([['s', ['__proto__', toolTag('constructor')]]])
    })

    it('does not store a result that was requested before a change and answered after it', async () => {
      const [one, other] = await start()
      await new Promise(resolve => setTimeout(resolve, 10))
      other.epochs.changed('s')
      await other.epochs.flush()
      await one.epochs.poll()
      const late = { ...entryOf('old'), upstreamMs: 1000 }
      one.tier.set('s', 'k', late, HOUR)
      await one.tier.idle()
      expect(await one.tier.get('s', 'k')).toBeUndefined()
      expect(one.tier.counts).toMatchObject({ unstamped: 1, written: 0 })
    })

    it('does not return what another process has written without knowledge of a change', async () => {
      const [one, other] = await start()
      one.epochs.changed('s')
      await one.epochs.flush()
      // It does not know yet, and may have asked before.
      other.tier.set('s', 'k', entryOf('old'), HOUR)
      await other.tier.idle()
      expect(await one.tier.get('s', 'k')).toBeUndefined()
      expect(await other.tier.get('s', 'k')).toBeUndefined()
    })

    it('gets every change, also of two at the same moment', async () => {
      const [one, other] = await start()
      for (let round = 0; round < 10; round++) {
        one.heard.length = other.heard.length = 0
        one.epochs.changed('s')
        other.epochs.changed('s', ['x'])
        await Promise.all([one.epochs.flush(), other.epochs.flush()])
        for (let look = 0; look < 3; look++)
          for (const { epochs } of [one, other]) await Promise.all([epochs.flush(), epochs.poll()])
        expect(one.heard.flatMap(([, tags]) => tags)).toContain('x')
        expect(other.heard.some(([, tags]) => tags === undefined)).toBe(true)
      }
    })

    it('reads nothing of servers without entries', async () => {
      const [one, other] = await start([])
      one.epochs.changed('s')
      await one.epochs.flush()
      let reads = 0
      const { getMany } = other.store
      other.store.getMany = keys => {
        reads++
        return getMany.call(other.store, keys)
      }
      await other.epochs.poll()
      expect([reads, other.heard]).toEqual([0, []])
    })

    it('treats lost epochs as a change of everything', async () => {
      const [one] = await start()
      one.tier.set('s', 'k', entryOf('1'), HOUR)
      await one.tier.idle()
      await one.store.delete(epochKey('s'))
      expect(await one.tier.get('s', 'k')).toBeUndefined()
      expect(one.heard).toEqual([['s', undefined]])
      await one.epochs.flush()
      expect(await one.tier.get('s', 'k')).toBeUndefined()
      one.tier.set('s', 'k', entryOf('2'), HOUR)
      await one.tier.idle()
      expect((await one.tier.get('s', 'k'))?.text).toBe('2')
    })

    it('drops, counts and deletes what it cannot trust', async () => {
      const [one] = await start()
      one.tier.set('s', 'k', entryOf(`"${'x'.repeat(2000)}"`), HOUR)
      await one.tier.idle()
      const name = nameOf('s', 'k')
      const good = (await one.store.get(name)) as string
      const bad: Record<string, string> = {
        empty: '',
        text: 'hello',
        cut: good.slice(0, -4),
        changed: good.replace('"bytes":2002', '"bytes":2003'),
        version: `2${good.slice(1)}`,
        'of another key': good,
        'with no description': signed('null\n1'),
        'that is no JSON': signed('{\n1'),
        'without tags': signed(good.slice(23).replace('"tags":[]', '"tags":null')),
        'from no time': signed(good.slice(23).replace(/"storedAt":\d+/, '"storedAt":"now"')),
        'larger than it says': signed(good.slice(23).replace('"bytes":2002', '"bytes":20')),
      }
      for (const [what, value] of Object.entries(bad)) {
        const key = what === 'of another key' ? 'other' : 'k'
        await one.store.set(nameOf('s', key), value)
        expect([what, await one.tier.get('s', key)]).toEqual([what, undefined])
        await expect.poll(() => one.store.get(nameOf('s', key))).toBeUndefined()
      }
      expect(one.tier.counts).toMatchObject({ damaged: 11, hits: 0 })
      await one.store.set(name, good)
      expect((await one.tier.get('s', 'k'))?.text).toHaveLength(2002)
    })

    it('has at most the configured size in the store, of all processes, and drops the oldest entries', async () => {
      const [{ store }, { store: second }] = await start()
      const one = await startProcess(store, { maxBytes: 10_000 })
      const other = await startProcess(second, { maxBytes: 10_000 })
      for (let at = 0; at < 40; at++) {
        const { tier } = at % 2 === 0 ? one : other
        tier.set('s', `k${at}`, entryOf(`"${'x'.repeat(500)}"`), HOUR)
        await tier.idle()
      }
      const found = await Promise.all(Array.from({ length: 40 }, (_, at) => one.tier.get('s', `k${at}`)))
      const first = found.findIndex(entry => entry !== undefined)
      expect(first).toBeGreaterThan(20)
      expect(first).toBeLessThan(35)
      expect(found.slice(first).every(entry => entry !== undefined)).toBe(true)
      const { entries, bytes } = await store.zone('cache')
      expect(entries).toBe(40 - first)
      expect(bytes).toBeLessThanOrEqual(10_000)
      expect(await store.keys('cache/')).toHaveLength(entries)
      // One that is larger than all of it costs the others nothing.
      one.tier.set('s', 'large', entryOf(noise(12_000)), HOUR)
      await one.tier.idle()
      expect(one.tier.counts).toMatchObject({ refused: 1, written: 20 })
      expect(await store.zone('cache')).toEqual({ entries, bytes })
    })

    it('drops what does not fit in the queue, and counts it', async () => {
      const [{ store }] = await start()
      const { tier } = await startProcess(store, { maxQueued: 3, maxQueuedBytes: 100 })
      for (let at = 0; at < 5; at++) tier.set('s', `k${at}`, entryOf('1'), HOUR)
      tier.set('s', 'large', entryOf('x'.repeat(101)), HOUR)
      await tier.idle()
      expect(tier.counts).toMatchObject({ written: 3, dropped: 3 })
    })
  })
}
