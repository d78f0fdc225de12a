import { describe, expect, it, onTestFinished } from 'vitest'
import { SILENT, type Logger } from '../../src/core/logger.ts'
import { createSealingKey, KeyRing } from '../../src/state/key-ring.ts'
import type { Store } from '../../src/state/store.ts'
import { MAX_RECORD_BYTES } from '../../src/vault/record.ts'
import { SealedVault, type SealedVaultOptions } from '../../src/vault/sealed-vault.ts'
import type { RecordName } from '../../src/vault/vault.ts'
import { deferred } from '../helpers/deferred.ts'

const TOKENS: RecordName = { kind: 'tokens', server: 'linear', owner: 'gateway' }
const RECORD = { issuer: 'https://as.example', value: { accessToken: 'secret-of-the-test', n: 1 } }
const TTL_MS = 300

/**
 * What a vault must do, whatever store it is over. `open` gives an empty store; `reopen` opens it once more, as another
 * process does, or is absent where no other process can.
 */
export function describeVault(name: string, open: () => Promise<Store>, reopen?: () => Promise<Store>): void {
  describe(`vault contract: ${name}`, () => {
    const key = createSealingKey()
    const ringOf = (...keys: Buffer[]): SealedVaultOptions['keys'] => ({
      ring: async () => new KeyRing(keys),
    })

    function over(store: Store, options: Partial<SealedVaultOptions> = {}): SealedVault {
      const vault = new SealedVault({
        store,
        logger: SILENT,
        keys: ringOf(key),
        ttlMs: TTL_MS,
        waitMs: 5000,
        ...options,
      })
      onTestFinished(() => vault.close())
      return vault
    }

    async function start(
      options: Partial<SealedVaultOptions> = {},
    ): Promise<[SealedVault, SealedVault, Store]> {
      const store = await open()
      onTestFinished(() => store.close())
      const other = (await reopen?.()) ?? store
      if (other !== store) onTestFinished(() => other.close())
      return [over(store, options), over(other, options), store]
    }

    it('gives back what was written, and undefined for the rest', async () => {
      const [vault, other] = await start()
      await vault.write(TOKENS, RECORD)
      expect(await vault.read(TOKENS)).toEqual(RECORD)
      expect(await other.read(TOKENS)).toEqual(RECORD)
      for (const name of [
        { ...TOKENS, kind: 'login' },
        { ...TOKENS, server: 'other' },
        { ...TOKENS, owner: 'alice' },
      ] as const)
        expect(await vault.read(name)).toBeUndefined()
    })

    it('keeps names of any characters and lengths apart', async () => {
      const [vault] = await start()
      const names = ['', 'a/b', 'a', '/', '\0', 'é\n"', '*', '[x]', 'x'.repeat(3000), `${'x'.repeat(3000)}y`]
      const all = names.flatMap(server =>
        names.map((owner): RecordName => ({ kind: 'registration', server, owner })),
      )
      for (const [value, each] of all.entries()) await vault.write(each, { issuer: 'i', value })
      for (const [value, each] of all.entries())
        expect(await vault.read(each)).toEqual({ issuer: 'i', value })
      const listed = await vault.list()
      expect(listed).toHaveLength(all.length)
      expect(listed).toEqual(expect.arrayContaining(all.map(each => ({ ...each, issuer: 'i', opens: true }))))
    })

    it('stores neither values nor anything derived from them, and no names in keys', async () => {
      const [vault, , store] = await start()
      await vault.write({ ...TOKENS, owner: 'https://idp.example alice' }, RECORD)
      const keys = await store.keys('')
      const texts = await store.getMany(keys)
      expect(texts.join('\n')).not.toMatch(/secret-of-the-test|accessToken/)
      expect(texts.join('\n')).not.toContain(
        Buffer.from('secret-of-the-test').toString('base64').slice(2, -4),
      )
      expect(keys.join('\n')).not.toMatch(/linear|alice|idp/)
    })

    it.each(['issuer', 'server', 'owner', 'sealed'])(
      'does not open a record whose %s was changed',
      async part => {
        const said: string[] = []
        const [vault, , store] = await start({ logger: warnings(said) })
        await vault.write(TOKENS, RECORD)
        const [at = ''] = await store.keys('vault/record/')
        const record = JSON.parse((await store.get(at)) ?? '') as Record<string, string>
        const before = record[part] ?? ''
        const changed =
          part === 'sealed' ? before.replace(/.$/, last => (last === 'A' ? 'B' : 'A')) : `${before}x`
        await store.set(at, JSON.stringify({ ...record, [part]: changed }))
        // The names in the text are for the list alone: a record opens under the name that it was written with.
        const opens = part === 'server' || part === 'owner'
        expect(await vault.read(TOKENS)).toEqual(opens ? RECORD : undefined)
        await vault.read(TOKENS)
        expect(said).toHaveLength(opens ? 0 : 1)
        if (!opens) expect(said[0]).toContain('Fix: log in to "linear" anew')
      },
    )

    it('does not open a record under the key of another one', async () => {
      const [vault, , store] = await start()
      await vault.write(TOKENS, RECORD)
      await vault.write({ ...TOKENS, owner: 'bob' }, { ...RECORD, value: 'of bob' })
      const [one = '', two = ''] = await store.keys('vault/record/')
      const [first = '', second = ''] = await store.getMany([one, two])
      await store.set(one, second)
      await store.set(two, first)
      expect(await vault.read(TOKENS)).toBeUndefined()
      expect(await vault.read({ ...TOKENS, owner: 'bob' })).toBeUndefined()
    })

    it('opens what an older key sealed, and seals it anew when it is written or rotated', async () => {
      const [vault, , store] = await start()
      const fresh = createSealingKey()
      await vault.write(TOKENS, RECORD)
      await vault.write({ ...TOKENS, owner: 'bob' }, { ...RECORD, value: 'of bob' }, 60_000)
      await vault.write({ ...TOKENS, owner: 'eve' }, { ...RECORD, value: 'of eve' })
      const rotated = over(store, { keys: ringOf(fresh, key) })
      expect(await rotated.read(TOKENS)).toEqual(RECORD)
      await rotated.write(TOKENS, RECORD)
      const later = over(store, { keys: ringOf(fresh) })
      expect(await later.read(TOKENS)).toEqual(RECORD)
      expect(await later.read({ ...TOKENS, owner: 'bob' })).toBeUndefined()
      expect(await later.rotate()).toEqual({ sealed: 0, unopened: 2 })
      expect(await rotated.rotate()).toEqual({ sealed: 2, unopened: 0 })
      expect(await rotated.rotate()).toEqual({ sealed: 0, unopened: 0 })
      expect(await later.read({ ...TOKENS, owner: 'bob' })).toEqual({ ...RECORD, value: 'of bob' })
      expect(await vault.read(TOKENS)).toBeUndefined()
    })

    it('names a missing key once, uses nothing of it, and deletes nothing', async () => {
      const [vault, , store] = await start()
      for (const owner of ['a', 'b', 'c']) await vault.write({ ...TOKENS, owner }, RECORD)
      const said: string[] = []
      const without = over(store, { keys: ringOf(createSealingKey()), logger: warnings(said) })
      for (const owner of ['a', 'b', 'c']) {
        expect(await without.read({ ...TOKENS, owner })).toBeUndefined()
        expect(await without.remove({ ...TOKENS, owner }, () => true)).toBe(false)
      }
      expect(said).toHaveLength(1)
      expect(said[0]).toMatch(/sealed with the key [\da-f]{8}, which this gateway does not have/)
      expect(said[0]).toMatch(/Fix: bring the key back .* or log in to the servers anew\./)
      expect((await without.list()).map(({ opens }) => opens)).toEqual([false, false, false])
      expect(await vault.read({ ...TOKENS, owner: 'b' })).toEqual(RECORD)
      // A login anew takes its place, which is said.
      await without.write({ ...TOKENS, owner: 'b' }, RECORD)
      expect(said[1]).toMatch(/is replaced\. Gateways with that key lose it\. Fix: .*"gateway\.vault\.keys"/)
      expect(await without.read({ ...TOKENS, owner: 'b' })).toEqual(RECORD)
    })

    it('is not misled by texts that are no records', async () => {
      const [vault, , store] = await start()
      await vault.write(TOKENS, RECORD)
      const [at = ''] = await store.keys('vault/record/')
      for (const text of [
        '',
        '{',
        '[]',
        'null',
        '{"v":2}',
        '{"v":1,"kind":"x"}',
        '{"v":1,"kind":"tokens"}',
      ]) {
        await store.set(at, text)
        expect(await vault.read(TOKENS)).toBeUndefined()
        expect(await vault.list()).toEqual([])
        expect(await vault.remove(TOKENS, () => true)).toBe(false)
      }
      expect(await vault.remove(TOKENS)).toBe(true)
    })

    it('refuses what is too large, and too many', async () => {
      const [vault] = await start({ maxRecords: 3 })
      const most = 'x'.repeat(MAX_RECORD_BYTES - 2)
      await vault.write(TOKENS, { issuer: 'i', value: most })
      expect(await vault.read(TOKENS)).toEqual({ issuer: 'i', value: most })
      await expect(vault.write(TOKENS, { issuer: 'i', value: `${most}x` })).rejects.toThrow(
        /"linear" cannot be used: they have 65537 bytes, and at most 65536 are kept\. Fix:/,
      )
      await expect(vault.write({ ...TOKENS, owner: 'x'.repeat(20_000) }, RECORD)).rejects.toThrow('16384')
      await vault.write({ ...TOKENS, owner: 'b' }, RECORD)
      await vault.write({ ...TOKENS, owner: 'c' }, RECORD)
      await expect(vault.write({ ...TOKENS, owner: 'd' }, RECORD)).rejects.toThrow(
        'the vault holds 3 records of this kind, which is the most. Fix:',
      )
      await vault.write({ ...TOKENS, owner: 'c' }, RECORD)
      await vault.write({ ...TOKENS, kind: 'login' }, RECORD)
      await vault.remove(TOKENS)
      await vault.write({ ...TOKENS, owner: 'd' }, RECORD)
    })

    it('lets a record end with its time to live', async () => {
      const [vault, other] = await start()
      await vault.write(TOKENS, RECORD, 200)
      expect(await other.read(TOKENS)).toEqual(RECORD)
      await expect.poll(() => other.read(TOKENS)).toBeUndefined()
      expect(await other.list()).toEqual([])
    })

    it('removes the record that is meant and no other one', async () => {
      const [vault, other] = await start()
      expect(await vault.remove(TOKENS)).toBe(false)
      await vault.write(TOKENS, RECORD)
      const isIt = ({ value }: { value: unknown }): boolean => (value as { n: number }).n === 2
      expect(await other.remove(TOKENS, isIt)).toBe(false)
      expect(await vault.read(TOKENS)).toEqual(RECORD)
      await vault.write(TOKENS, { ...RECORD, value: { n: 2 } })
      expect(await other.remove(TOKENS, isIt)).toBe(true)
      expect(await vault.read(TOKENS)).toBeUndefined()
      expect(await vault.list()).toEqual([])
    })

    it('runs one at a time for a name, and others beside it', async () => {
      const [vault, other] = await start()
      let running = 0
      let most = 0
      const order: number[] = []
      const run = (at: number): Promise<void> =>
        (at % 2 ? vault : other).exclusively(TOKENS, async () => {
          most = Math.max(most, ++running)
          await new Promise(resolve => setTimeout(resolve, 5))
          order.push(at)
          running--
        })
      const beside = vault.exclusively({ ...TOKENS, owner: 'bob' }, async () => {
        await Promise.all(Array.from({ length: 20 }, (_, at) => run(at)))
      })
      await beside
      expect(most).toBe(1)
      expect(order).toHaveLength(20)
      // Within a process in the order of arrival.
      const odd = order.filter(at => at % 2)
      expect(odd).toEqual(odd.toSorted((a, b) => a - b))
    })

    it('frees a name when its run fails, with the error of the run', async () => {
      const [vault, other] = await start()
      const failure = new Error('own')
      await expect(vault.exclusively(TOKENS, () => Promise.reject(failure))).rejects.toBe(failure)
      expect(await other.exclusively(TOKENS, async () => 7)).toBe(7)
      await vault.write(TOKENS, RECORD)
      await expect(
        vault.remove(TOKENS, () => {
          throw failure
        }),
      ).rejects.toBe(failure)
      expect(await other.read(TOKENS)).toEqual(RECORD)
    })

    it('reads, writes and removes within a run without waiting for itself, as long as the run takes', async () => {
      const [vault, other] = await start()
      await vault.exclusively(TOKENS, async ({ signal }) => {
        await vault.write(TOKENS, RECORD)
        const write = other.write(TOKENS, { ...RECORD, value: 'later' })
        await new Promise(resolve => setTimeout(resolve, TTL_MS * 2.5))
        expect(await vault.read(TOKENS)).toEqual(RECORD)
        expect(await vault.remove(TOKENS)).toBe(true)
        expect(signal.aborted).toBe(false)
        void write.catch(() => undefined)
      })
      await expect.poll(async () => (await other.read(TOKENS))?.value).toBe('later')
    })

    it('gives up a wait in time, and for a bounded number', async () => {
      const [vault, other] = await start({ waitMs: 200 })
      const end = deferred()
      const begun = deferred()
      const running = vault.exclusively(TOKENS, () => {
        begun.resolve()
        return end.promise
      })
      await begun.promise
      const late = /another login or renewal for this server did not end within 1 s\. Fix: try again/
      await expect(other.exclusively(TOKENS, async () => 1)).rejects.toThrow(late)
      const waits = Array.from({ length: 1010 }, () => vault.exclusively(TOKENS, async () => 1))
      const ends = await Promise.allSettled(waits)
      const texts = ends.map(ended => (ended.status === 'rejected' ? String(ended.reason) : 'ran'))
      expect(texts.filter(text => text.includes('too many requests wait')).length).toBeGreaterThanOrEqual(9)
      expect(texts.filter(text => late.test(text)).length).toBeGreaterThanOrEqual(990)
      end.resolve()
      await running
      expect(await vault.exclusively(TOKENS, async () => 2)).toBe(2)
    })

    it('ends waits and lets the run under way finish when it closes', async () => {
      const [vault, other] = await start()
      const end = deferred()
      const begun = deferred()
      const running = vault.exclusively(TOKENS, async () => {
        begun.resolve()
        await end.promise
        await vault.write(TOKENS, RECORD)
      })
      await begun.promise
      const waiting = Array.from({ length: 3 }, (_, at) =>
        vault.exclusively(TOKENS, async () => at).then(String, (error: Error) => error.message),
      )
      const closing = vault.close()
      expect(await Promise.all(waiting)).toEqual(Array(3).fill('The gateway is shutting down.'))
      end.resolve()
      await Promise.all([running, closing])
      await expect(vault.exclusively(TOKENS, async () => 1)).rejects.toThrow('shutting down')
      expect(await other.read(TOKENS)).toEqual(RECORD)
      expect(await other.exclusively(TOKENS, async () => 3)).toBe(3)
    })

    it('tells listeners of changes by this and other processes within two seconds', async () => {
      const [vault, other] = await start()
      const heard: string[] = []
      const stop = vault.onChanged(TOKENS, () => heard.push('tokens'))
      vault.onChanged({ ...TOKENS, owner: 'bob' }, () => heard.push('bob'))
      await vault.read(TOKENS)
      await vault.read({ ...TOKENS, owner: 'bob' })
      const within = async (change: () => Promise<unknown>, said: string[]): Promise<void> => {
        heard.length = 0
        await change()
        await expect.poll(() => heard, { timeout: 2000, interval: 20 }).toEqual(said)
      }
      await within(() => vault.write(TOKENS, RECORD), ['tokens'])
      if (!reopen) return
      await within(() => other.write(TOKENS, { ...RECORD, value: 2 }), ['tokens'])
      await within(() => other.write({ ...TOKENS, owner: 'bob' }, RECORD), ['bob'])
      await within(() => other.remove(TOKENS), ['tokens'])
      stop()
      await other.write(TOKENS, RECORD)
      await within(() => other.remove({ ...TOKENS, owner: 'bob' }), ['bob'])
      expect(heard).toEqual(['bob'])
    })

    it('turns failures of the store into errors that name server and fix', async () => {
      const [vault, , store] = await start()
      await store.close()
      const failures = await Promise.allSettled([
        vault.read(TOKENS),
        vault.write(TOKENS, RECORD),
        vault.remove(TOKENS),
        vault.exclusively(TOKENS, async () => 1),
      ])
      for (const failure of failures)
        expect(String((failure as PromiseRejectedResult).reason)).toContain(
          'The credentials of "linear" cannot be used: the state store cannot be read or written. Fix:',
        )
    })
  })
}

function warnings(said: string[]): Logger {
  return { ...SILENT, warn: message => void said.push(message), error: message => void said.push(message) }
}
