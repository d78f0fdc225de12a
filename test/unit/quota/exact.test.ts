import { spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import type { Readable } from 'node:stream'
import { describe, expect, it, onTestFinished } from 'vitest'
import { hasRedis } from '../../helpers/redis-server.ts'
import { sharedLmdb, sharedRedis } from '../../helpers/shared-state.ts'

/**
 * Real processes use up one budget as fast as they can. What they were granted together is never more than the budget, and nearly all of it. `npm run quotas` does
 * the same with more.
 */

const FACTOR = Number(process.env['QUOTA_FACTOR'] ?? 1)
const PROGRAM = new URL('../../fixtures/programs/quota-hammer.js', import.meta.url).pathname

interface Hammer {
  readonly child: ChildProcess
  admitted: number
  readonly ready: Promise<unknown>
  readonly ended: Promise<number | null>
}

/** A process that waits for `begin`. */
function hammer(state: string, budget: number, onAdmitted?: (hammer: Hammer) => void): Hammer {
  const child = spawn(process.execPath, [PROGRAM, state, String(budget), 'month', '16'], {
    stdio: ['pipe', 'pipe', 'inherit'],
  })
  onTestFinished(() => void child.kill('SIGKILL'))
  const output = child.stdout as Readable
  const self: Hammer = {
    child,
    admitted: 0,
    ready: once(output, 'data').then(() => {
      output.on('data', (chunk: Buffer) => {
        self.admitted += chunk.length
        onAdmitted?.(self)
      })
    }),
    ended: once(child, 'close').then(([code]) => code as number | null),
  }
  return self
}

/** Lets them all begin at once; resolves with what they were granted together. */
async function run(hammers: readonly Hammer[]): Promise<number> {
  await Promise.all(hammers.map(({ ready }) => ready))
  for (const { child } of hammers) child.stdin?.write('.')
  await Promise.all(hammers.map(({ ended }) => ended))
  return hammers.reduce((sum, { admitted }) => sum + admitted, 0)
}

const cases: [string, number, () => Promise<string>, boolean][] = [
  ['four processes over LMDB', 4, sharedLmdb, true],
  ['eight processes over Redis', 8, sharedRedis, hasRedis()],
]

describe.each(cases)('%s', (name, processes, open, possible) => {
  it.runIf(possible)(
    'are granted all of a budget and no more',
    async () => {
      const budget = 20_000 * FACTOR
      const state = await open()
      const hammers = Array.from({ length: processes }, () => hammer(state, budget))
      const admitted = await run(hammers)
      console.log(`${name}: ${admitted} of ${budget} (${hammers.map(one => one.admitted).join(' ')})`)
      expect(await Promise.all(hammers.map(({ ended }) => ended))).toEqual(hammers.map(() => 0))
      expect(admitted).toBeLessThanOrEqual(budget)
      expect(admitted).toBeGreaterThanOrEqual(0.95 * budget)
    },
    30_000 * FACTOR,
  )

  it.runIf(possible)(
    'lose at most a lease with one that is killed',
    async () => {
      const budget = 20_000 * FACTOR
      const state = await open()
      const victim = hammer(state, budget, self => {
        if (self.admitted > budget / processes / 3) self.child.kill('SIGKILL')
      })
      const others = Array.from({ length: processes - 1 }, () => hammer(state, budget))
      const admitted = await run([victim, ...others])
      console.log(`${name}, one killed after ${victim.admitted}: ${admitted} of ${budget}`)
      expect(victim.child.signalCode).toBe('SIGKILL')
      expect(admitted).toBeLessThanOrEqual(budget)
      // The largest lease is a twelfth of the budget, and one may be under way while another is used.
      expect(budget - admitted).toBeLessThanOrEqual(budget / 6)
    },
    30_000 * FACTOR,
  )
})
