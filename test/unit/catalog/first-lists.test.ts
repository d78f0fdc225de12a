import { afterEach, beforeEach, expect, test, vi } from 'vitest'
import { FirstLists, type Try } from '../../../src/catalog/first-lists.ts'
import type { ServerConfig } from '../../../src/config/types.ts'
import { deferred } from '../../helpers/deferred.ts'
import { SILENT } from '../../../src/core/logger.ts'

const server = { name: 's' } as ServerConfig
const attempt = (of: Partial<Try> = {}): Try => ({ server, key: 's\nl', first: false, shown: false, ...of })

function lists(timeoutMs: number): FirstLists {
  const kept = { silent: () => Promise.resolve([]), setSilent: () => Promise.resolve() }
  return new FirstLists({ timeoutMs, isListed: () => true, kept, logger: SILENT })
}

beforeEach(() => void vi.useFakeTimers())
afterEach(() => void vi.useRealTimers())

const sleep = (ms: number): Promise<unknown> => vi.advanceTimersByTimeAsync(ms)

/** How long lists wait for a try that never ends. */
async function waitedMs(first: FirstLists, of: Try): Promise<number | undefined> {
  first.begin(of)
  return await lasts(first.wait(of))
}

async function lasts(wait: Promise<void> | undefined): Promise<number | undefined> {
  if (!wait) return undefined
  const lasting = { over: false }
  void wait.then(() => (lasting.over = true))
  let ms = 0
  for (; !lasting.over; ms += 10) await sleep(10)
  return ms
}

test('a server that has been late once is waited for a second from then on, and not at all before it is listed', async () => {
  const first = lists(1600)
  expect(await waitedMs(first, attempt())).toBeGreaterThan(1550)
  expect(await waitedMs(first, attempt())).toBeUndefined()
  first.end(attempt(), false)
  // Its own retry has listed it, for no kind of client in particular.
  first.begin(attempt({ key: 's' }))
  first.end(attempt({ key: 's', first: true }), true)
  const again = await waitedMs(first, attempt())
  expect(again).toBeGreaterThan(950)
  expect(again).toBeLessThan(1050)
  first.close()
})

test('a server whose last known lists are there to be shown is waited for a second', async () => {
  const first = lists(1600)
  const waited = await waitedMs(first, attempt({ shown: true }))
  expect(waited).toBeGreaterThan(950)
  expect(waited).toBeLessThan(1050)
  first.close()
})

test('a server that is tried for a second kind of client is waited for its full time, counted from that try', async () => {
  const first = lists(1200)
  const legacy = attempt()
  const modern = attempt({ key: 's\nm' })
  first.begin(legacy)
  await sleep(800)
  first.begin(modern)
  const wait = first.wait(modern)
  await sleep(100)
  // That the first try ends is nothing to the second.
  first.end(legacy, false)
  const rest = await lasts(wait)
  expect(rest).toBeGreaterThan(1050)
  expect(rest).toBeLessThan(1150)
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
  const rest = await lasts(first.wait(modern))
  expect(rest).toBeGreaterThan(350)
  expect(rest).toBeLessThan(450)
  first.close()
})

test('a handshake waits for a server during its first attempt, for any kind of client', async () => {
  const first = lists(1600)
  expect(first.greetingMs(attempt())).toBe(2000)
  first.begin(attempt())
  await sleep(300)
  first.begin(attempt({ key: 's\nm' }))
  expect(first.greetingMs(attempt({ key: 's\nm' }))).toBeLessThan(1750)
  first.close()
})

test('a stored mark of a server that is replaced while it is read does not count for the server that follows', async () => {
  const held = deferred()
  const silent = async (servers: readonly ServerConfig[]): Promise<string[]> => {
    await held.promise
    return servers.map(({ name }) => name)
  }
  const kept = { silent, setSilent: () => Promise.resolve() }
  const first = new FirstLists({ timeoutMs: 1600, isListed: () => false, kept, logger: SILENT })
  const other = { name: 'other' } as ServerConfig
  const restored = first.restore([server, other])
  first.restart(new Set(['s']))
  held.resolve()
  await restored
  expect(first.wait(attempt())).toBeDefined()
  expect(first.wait(attempt({ server: other, key: 'other' }))).toBeUndefined()
  first.close()
})
