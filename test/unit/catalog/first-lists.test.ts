import { setTimeout as sleep } from 'node:timers/promises'
import { expect, test } from 'vitest'
import { FirstLists, type Try } from '../../../src/catalog/first-lists.ts'
import type { ServerConfig } from '../../../src/config/types.ts'
import { SILENT } from '../../../src/core/logger.ts'

const server = { name: 's' } as ServerConfig
const attempt = (of: Partial<Try> = {}): Try => ({ server, key: 's\nl', first: false, shown: false, ...of })

function lists(timeoutMs: number): FirstLists {
  const kept = { silent: () => Promise.resolve([]), setSilent: () => Promise.resolve() }
  return new FirstLists({ timeoutMs, isListed: () => true, kept, logger: SILENT })
}

/** How long lists wait for a try that never ends. */
async function waitedMs(first: FirstLists, of: Try): Promise<number | undefined> {
  first.begin(of)
  const begun = performance.now()
  const wait = first.wait(of)
  if (!wait) return undefined
  await wait
  return performance.now() - begun
}

test('a server that has been late once is waited for a second from then on, and not at all before it is listed', async () => {
  const first = lists(1600)
  expect(await waitedMs(first, attempt())).toBeGreaterThan(1500)
  expect(await waitedMs(first, attempt())).toBeUndefined()
  first.end(attempt(), false)
  // Its own retry has listed it, for no kind of client in particular.
  first.begin(attempt({ key: 's' }))
  first.end(attempt({ key: 's', first: true }), true)
  const again = await waitedMs(first, attempt())
  expect(again).toBeGreaterThan(900)
  expect(again).toBeLessThan(1500)
  first.close()
})

test('a server whose last known lists are there to be shown is waited for a second', async () => {
  const first = lists(1600)
  const waited = await waitedMs(first, attempt({ shown: true }))
  expect(waited).toBeGreaterThan(900)
  expect(waited).toBeLessThan(1500)
  first.close()
})

test('a server that is tried for a second kind of client is waited for its full time, counted from that try', async () => {
  const first = lists(1200)
  const legacy = attempt()
  const modern = attempt({ key: 's\nm' })
  first.begin(legacy)
  await sleep(800)
  const waited = waitedMs(first, modern)
  await sleep(100)
  // That the first try ends is nothing to the second.
  first.end(legacy, false)
  expect(await waited).toBeGreaterThan(1100)
  first.close()
})

test('the wait of a kind of client whose try ends counts from its own begin after another kind was tried', async () => {
  const first = lists(1200)
  const legacy = attempt()
  const modern = attempt({ key: 's\nm' })
  first.begin(legacy)
  first.begin(modern)
  first.end(legacy, true)
  await sleep(800)
  const begun = performance.now()
  await first.wait(modern)
  expect(performance.now() - begun).toBeLessThan(1000)
  first.close()
})

test('a greeting waits for a server as long as its first try goes on, whichever kind of client it is for', async () => {
  const first = lists(1600)
  expect(first.greetingMs(attempt())).toBe(2000)
  first.begin(attempt())
  await sleep(300)
  first.begin(attempt({ key: 's\nm' }))
  expect(first.greetingMs(attempt({ key: 's\nm' }))).toBeLessThan(1750)
  first.close()
})
