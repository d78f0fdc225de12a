import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { expect, test } from 'vitest'
import { makeScratch } from '../helpers/scratch.ts'
import { serve } from '../helpers/served.ts'
import { serveMeasured } from '../helpers/measured-gateway.ts'
import { ModernHttp } from '../helpers/wire-clients.ts'
import { RunningTime } from '../helpers/running-time.ts'

/** What a server with very long lists costs the gateway, and the client of another server. */

const LONG_LISTS = fileURLToPath(new URL('../fixtures/servers/long-lists.js', import.meta.url))
const IGNORE_CANCELLATION = fileURLToPath(
  new URL('../fixtures/servers/ignore-cancellation.js', import.meta.url),
)
const READY = /listening (\S+)/
const MIB = 1024 * 1024

/** A healthy client is answered within 2 s; the rest is for a machine that is busy with other tests. */
const MOST_MS = 6000

interface Cost {
  /** Everything the gateway wrote. */
  readonly said: string
  /** Longest time until the healthy client was answered. */
  readonly slowestMs: number
  /** By how many MiB memory in RAM grew at most. */
  readonly grown: number
  /** What JavaScript holds at the end, in MiB. */
  readonly held: number
  readonly exited: boolean
}

/** Runs a gateway over a server with long lists and a healthy one until one of them has said `until`, with a client that calls the healthy one throughout. */
async function costOf(shape: readonly number[], until: RegExp): Promise<Cost> {
  await using scratch = makeScratch()
  await using healthy = await serve([IGNORE_CANCELLATION, 'modern'], { ready: READY })
  await using long = await serve([LONG_LISTS, ...shape.map(String)], { ready: READY })
  await using gateway = await serveMeasured(
    scratch.write('servers.json', {
      mcpServers: { s: { url: healthy.origin }, long: { url: long.origin } },
      gateway: { http: { port: 0 }, state: `lmdb:${join(scratch.path, 'state')}` },
    }),
  )
  await using client = new ModernHttp(gateway.origin)
  let exited = false
  void gateway.exited.then(() => (exited = true))
  const before = gateway.rss
  let most = before
  let slowestMs = 0
  using time = new RunningTime()
  const call = async (): Promise<void> => {
    const begun = time.ms
    expect(await client.request('1', 'tools/call', '{"name":"s__ok","arguments":{}}')).toContain('"ok"')
    slowestMs = Math.max(slowestMs, time.ms - begun)
    most = Math.max(most, gateway.rss)
  }
  const listed = client.request('2', 'tools/list', '{}')
  for (
    const end = performance.now() + 60_000;
    performance.now() < end && !until.test(gateway.said + long.said);
  ) {
    await call()
    await sleep(10)
  }
  await listed
  for (let round = 0; round < 20; round++) await call().then(() => sleep(20))
  const held = await gateway.held()
  return { said: gateway.said, slowestMs, grown: most - before, held, exited }
}

test(
  'a server with 18 list pages of 30 MB is refused with the limit, and a client of another server is answered meanwhile',
  { timeout: 120_000 },
  async () => {
    const { said, slowestMs, grown, held, exited } = await costOf([18, 30, 1_000_000], /could not be listed/)
    expect(exited).toBe(false)
    expect(said).toMatch(
      /Server "long" answered tools\/list with 30\d{6} characters; at most 8388608 are accepted/,
    )
    expect(slowestMs).toBeLessThan(MOST_MS)
    expect(grown).toBeLessThan(384)
    expect(held).toBeLessThan(64)
  },
)

test(
  'of a server with 18 list pages of 7 MB the first 8 MiB are taken, and a client of another server is answered meanwhile',
  { timeout: 120_000 },
  async () => {
    const { said, slowestMs, grown, held, exited } = await costOf([18, 70, 100_000], /the rest is left out/)
    expect(exited).toBe(false)
    expect(said).toContain('more than 8388608 characters')
    expect(slowestMs).toBeLessThan(MOST_MS)
    expect(grown).toBeLessThan(384)
    expect(held).toBeLessThan(128)
  },
)

test(
  'of 18 list pages of 7 MB with one tool each, the gateway keeps the tools and not the pages',
  { timeout: 120_000 },
  async () => {
    const { slowestMs, held, exited } = await costOf([18, 1, 10, 7 * MIB], /page 18/)
    expect(exited).toBe(false)
    expect(slowestMs).toBeLessThan(MOST_MS)
    expect(held).toBeLessThan(128)
  },
)

test(
  'a server with 80,000 definitions in four lists is refused with the limit of all servers, and a client of another server is answered meanwhile',
  { timeout: 120_000 },
  async () => {
    const { said, slowestMs, held, exited } = await costOf([2, 10_000, 10, 0, 4], /could not be listed/)
    expect(exited).toBe(false)
    expect(said).toMatch(
      /The lists of server \\"long\\" have 80000 definitions, .* at most 499\d\d are kept of it now, and 100000 of all/,
    )
    expect(slowestMs).toBeLessThan(MOST_MS)
    expect(held).toBeLessThan(128)
  },
)
