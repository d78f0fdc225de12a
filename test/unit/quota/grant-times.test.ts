import { spawn } from 'node:child_process'
import { once } from 'node:events'
import type { Readable } from 'node:stream'
import { describe, expect, it, onTestFinished } from 'vitest'
import { hasRedis } from '../../helpers/redis-server.ts'
import { sharedLmdb, sharedRedis } from '../../helpers/shared-state.ts'

/**
 * Real processes use a rate and a number of permits as fast as they can, and say when. Together they never have more than the limit, in any span of that length or
 * at any moment, and most of it. `npm run quotas` does the same for longer.
 */

const FACTOR = Number(process.env['QUOTA_FACTOR'] ?? 1)
const MS = 4000 * Math.min(FACTOR, 5)
const PROGRAM = new URL('../../fixtures/programs/quota-times.js', import.meta.url).pathname
const PROCESSES = 4
/** Between what a process was let in by and what it then says. */
const LATE_MS = 10

interface Moment {
  readonly at: number
  readonly change: 1 | -1
}

/** What each of several processes says of itself that begin at once. */
async function grantTimes(state: string, limits: object): Promise<Moment[][]> {
  const running = Array.from({ length: PROCESSES }, () => {
    const child = spawn(process.execPath, [PROGRAM, state, JSON.stringify(limits), '8', String(MS)], {
      stdio: ['pipe', 'pipe', 'inherit'],
    })
    onTestFinished(() => void child.kill('SIGKILL'))
    const output = child.stdout as Readable
    let text = ''
    const ready = once(output, 'data').then(() => output.on('data', (chunk: Buffer) => (text += chunk)))
    const ended = once(child, 'close').then(([code]) => {
      expect(code).toBe(0)
      return text
    })
    return { child, ready, ended }
  })
  await Promise.all(running.map(({ ready }) => ready))
  for (const { child } of running) child.stdin?.write('.')
  const texts = await Promise.all(running.map(({ ended }) => ended))
  return texts.map(text =>
    text
      .split('\n')
      .slice(0, -1)
      .map(line => ({ at: Number(line.slice(1)), change: line.startsWith('+') ? 1 : -1 })),
  )
}

/** Most moments within a span of this length. */
function mostWithin(times: readonly number[], spanMs: number): number {
  let most = 0
  let first = 0
  times.forEach((time, at) => {
    while (time - (times[first] as number) >= spanMs) first++
    most = Math.max(most, at - first + 1)
  })
  return most
}

const cases: [string, () => Promise<string>, boolean][] = [
  ['LMDB', sharedLmdb, true],
  ['Redis', sharedRedis, hasRedis()],
]

describe.each(cases)('four processes over %s', (name, open, possible) => {
  it.runIf(possible)(
    'never pass a rate in any span of its length',
    async () => {
      const rate = 200
      const all = await grantTimes(await open(), { rate: `${rate}/s` })
      const times = all
        .flat()
        .map(({ at }) => at)
        .toSorted((a, b) => a - b)
      const most = mostWithin(times, 1000 - LATE_MS)
      const counts = all.map(moments => moments.length).join(' ')
      console.log(
        `${name}: ${times.length} in ${MS} ms at ${rate}/s, ${most} in a second at most (${counts})`,
      )
      expect(most).toBeLessThanOrEqual(rate)
      expect(times.length).toBeGreaterThanOrEqual(0.5 * rate * (MS / 1000))
    },
    MS + 30_000,
  )

  it.runIf(possible)(
    'never have more permits than there are at any moment',
    async () => {
      const permits = 10
      const all = await grantTimes(await open(), { concurrency: permits })
      // A call that leaves at the same moment has left first.
      const moments = all.flat().toSorted((a, b) => a.at - b.at || a.change - b.change)
      let inside = 0
      let most = 0
      for (const { change } of moments) most = Math.max(most, (inside += change))
      const counts = all.map(list => list.length / 2).join(' ')
      console.log(`${name}: ${moments.length / 2} in ${MS} ms, ${most} of ${permits} at once (${counts})`)
      expect(inside).toBe(0)
      expect(most).toBeLessThanOrEqual(permits)
      expect(most).toBeGreaterThanOrEqual(permits / 2)
    },
    MS + 30_000,
  )
})
