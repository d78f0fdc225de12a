import { spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { createInterface } from 'node:readline'
import type { Readable } from 'node:stream'
import { describe, expect, it, onTestFinished } from 'vitest'
import { SILENT } from '../../../src/core/logger.ts'
import { KeyRing } from '../../../src/state/key-ring.ts'
import { openStore } from '../../../src/state/open.ts'
import { SealedVault } from '../../../src/vault/sealed-vault.ts'
import { hasRedis } from '../../helpers/redis-server.ts'
import { sharedLmdb, sharedRedis } from '../../helpers/shared-state.ts'

/** Real processes count in one record. Nothing is lost, whichever process is killed or stands still. */

const PROGRAM = new URL('../../fixtures/programs/vault-counter.js', import.meta.url).pathname
const PROCESSES = 12
const EACH = 8
/** As in the gateway. */
const TTL_MS = 5000
/** For the tests that wait for it to pass. */
const SHORT_MS = 1500

interface Counter {
  readonly child: ChildProcess
  readonly said: string[]
  readonly ended: Promise<unknown>
  /** Resolves once it has said the word. */
  heard(word: string): Promise<void>
  begin(): void
}

async function start(state: string, ttlMs: number, what: string, number = 1): Promise<Counter> {
  const child = spawn(process.execPath, [PROGRAM, state, String(ttlMs), what, String(number)], {
    stdio: ['pipe', 'pipe', 'inherit'],
  })
  onTestFinished(async () => {
    child.kill('SIGKILL')
    await counter.ended
  })
  const said: string[] = []
  createInterface(child.stdout as Readable).on('line', line => said.push(line))
  const counter: Counter = {
    child,
    said,
    ended: once(child, 'close'),
    heard: word => expect.poll(() => said, { timeout: 60_000, interval: 5 }).toContain(word),
    begin: () => void child.stdin?.write('.'),
  }
  await counter.heard('ready')
  return counter
}

async function counted(state: string): Promise<unknown> {
  const store = await openStore(state, SILENT)
  const ring = new KeyRing([Buffer.alloc(32, 'counter')])
  const vault = new SealedVault({ store, logger: SILENT, keys: { ring: async () => ring } })
  try {
    return (await vault.read({ kind: 'tokens', server: 'counted', owner: 'gateway' }))?.value
  } finally {
    await vault.close()
    await store.close()
  }
}

const stores: [string, () => Promise<string>, boolean][] = [
  ['LMDB', sharedLmdb, true],
  ['Redis', sharedRedis, hasRedis()],
]

describe.each(stores)('processes over %s', (name, open, possible) => {
  it.runIf(possible)(
    'that count at once lose nothing',
    async () => {
      const state = await open()
      const counters = await Promise.all(
        Array.from({ length: PROCESSES }, () => start(state, TTL_MS, 'count', EACH)),
      )
      const began = performance.now()
      for (const counter of counters) counter.begin()
      await Promise.all(counters.map(({ ended }) => ended))
      console.log(`${name}: ${PROCESSES * EACH} counted in ${Math.round(performance.now() - began)} ms`)
      expect(counters.flatMap(({ said }) => said.filter(word => word !== 'ready'))).toEqual(
        Array(PROCESSES * EACH).fill('counted'),
      )
      expect(await counted(state)).toBe(PROCESSES * EACH)
    },
    150_000,
  )

  it.runIf(possible).each([
    ['taken', 1],
    ['read', 1],
    ['written', 2],
  ])(
    'go on within seconds after kill -9 of one that has %s',
    async (what, expected) => {
      const state = await open()
      const holder = await start(state, SHORT_MS, what)
      const next = await start(state, SHORT_MS, 'count')
      holder.begin()
      await holder.heard(what)
      next.begin()
      // Longer than the claim lasts: it is renewed.
      await new Promise(resolve => setTimeout(resolve, SHORT_MS * 1.2))
      expect(next.said).toEqual(['ready'])
      holder.child.kill('SIGKILL')
      const killed = performance.now()
      await next.heard('counted')
      const tookMs = performance.now() - killed
      console.log(`${name}, killed when ${what}: free after ${Math.round(tookMs)} ms`)
      // The wait between two looks, and a busy machine.
      expect(tookMs).toBeLessThan(SHORT_MS + 2500)
      await next.ended
      expect(await counted(state)).toBe(expected)
    },
    60_000,
  )

  it.runIf(possible)(
    'do not overwrite what another one counted while they stood still',
    async () => {
      const state = await open()
      const holder = await start(state, SHORT_MS, 'still', SHORT_MS * 4)
      const next = await start(state, SHORT_MS, 'count', 2)
      holder.begin()
      await holder.heard('read')
      next.begin()
      await next.heard('counted')
      expect(holder.said).toEqual(['ready', 'read'])
      await Promise.all([holder.ended, next.ended])
      expect(holder.said[2]).toMatch(
        /^refused: The credentials of "counted" cannot be used: this gateway stood still .* nothing was stored\. Fix: try again\.$/,
      )
      expect(await counted(state)).toBe(2)
    },
    60_000,
  )

  it.runIf(possible)(
    'save what they have when nothing else took over while they stood still',
    async () => {
      const state = await open()
      const holder = await start(state, SHORT_MS, 'still', SHORT_MS * 2)
      holder.begin()
      await holder.ended
      expect(holder.said).toEqual(['ready', 'read', 'counted'])
      expect(await counted(state)).toBe(1)
    },
    60_000,
  )
})
