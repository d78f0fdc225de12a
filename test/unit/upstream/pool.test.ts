import { afterEach, beforeEach, expect, it, vi } from 'vitest'
import { Deadlines } from '../../../src/core/deadlines.ts'
import { GatewayError } from '../../../src/core/errors.ts'
import type { Exchange } from '../../../src/core/exchange.ts'
import { SILENT } from '../../../src/core/logger.ts'
import type { ServerConfig } from '../../../src/config/types.ts'
import { ClientLinks } from '../../../src/upstream/client-links.ts'
import { clientPrincipal } from '../../../src/core/principal.ts'
import { Pool } from '../../../src/upstream/pool.ts'
import { deferred } from '../../helpers/deferred.ts'
import { exchangeOf, FakeTransport, serverConfig } from '../../helpers/fake-transport.ts'

vi.mock('../../../src/upstream/stdio.ts', () => ({ createStdioTransport: () => new FakeTransport() }))

let deadlines: Deadlines
let clientLinks: ClientLinks
let pools: Pool[]

function poolOf(changes: Partial<ServerConfig> = {}): Pool {
  const pool: Pool = new Pool({
    server: serverConfig(changes),
    deadlines,
    logger: SILENT,
    clientInfo: '{"name":"gateway","version":"1"}',
    clientLinks,
    dns: { refreshMs: 0, servers: [] },
    drainTimeoutMs: 60_000,
    listener: {
      onNotification: () => {},
      onRequest: () => Promise.reject(new GatewayError('unknown_method', 'no')),
      onLost: (link, error) => pool.lost(link, error),
      onGap: () => {},
      onUnreachable: (slot, error) => pool.unreachable(slot, error),
      onOpen: (slot, link, era) => pool.opened(slot, link, era),
    },
  })
  pools.push(pool)
  return pool
}

beforeEach(() => {
  vi.useFakeTimers()
  deadlines = new Deadlines()
  clientLinks = new ClientLinks(3)
  pools = []
})
afterEach(async () => {
  await Promise.all(pools.map(pool => pool.close()))
  deadlines.close()
  vi.useRealTimers()
})

/** A call of a client without a session that can be asked. */
const asking = () => exchangeOf('tools/call', {}, { modern: true, features: '{"elicitation":{}}' })

it('gives calls that may be asked about a link each, lets others wait, and not for ever', async () => {
  const pool = poolOf({ maxExclusiveLinks: 2, linkWaitMs: 5000 })
  const held = deferred<void>()
  const links = new Set<unknown>()
  const running = Array.from({ length: 2 }, () =>
    pool.run(asking(), async link => {
      links.add(link)
      await held.promise
    }),
  )
  await vi.advanceTimersByTimeAsync(100)
  expect(links.size).toBe(2)

  const late = pool.run(asking(), () => Promise.resolve('too late')).catch((error: unknown) => error)
  await vi.advanceTimersByTimeAsync(6000)
  expect(await late).toMatchObject({
    code: 'overloaded',
    server: 'fake',
    delivery: 'not_sent',
    retryAfterMs: 5000,
  })

  const patient = pool.run(asking(), () => Promise.resolve('its turn'))
  await vi.advanceTimersByTimeAsync(100)
  held.resolve()
  await Promise.all(running)
  expect(await patient).toBe('its turn')
})

it('shares one link among calls that nobody can be asked about', async () => {
  const pool = poolOf()
  const links = new Set<unknown>()
  const note = (link: unknown): Promise<void> => {
    links.add(link)
    return Promise.resolve()
  }
  await Promise.all([
    pool.run(exchangeOf('tools/call'), note),
    pool.run(exchangeOf('tools/call', {}, { modern: true }), note),
  ])
  expect(links.size).toBe(1)
})

/** A call of an identified client. */
const callOf = (name: string, changes: Partial<Exchange> = {}) =>
  exchangeOf('tools/call', {}, { principal: clientPrincipal(name), ...changes })

/** Starts a call that holds its link until it is let go. */
async function holding(pool: Pool, exchange: Exchange): Promise<() => Promise<void>> {
  const held = deferred<void>()
  const begun = deferred<void>()
  const running = pool.run(exchange, async link => {
    const calling = link.call(exchange, { method: 'tools/call', change: {} }).catch(() => undefined)
    begun.resolve()
    await held.promise
    exchange.cancellation.cancel('let go')
    await calling
  })
  await Promise.race([begun.promise, running])
  return async () => {
    held.resolve()
    await running
  }
}

it('has so many links and no more; idle ones make room', async () => {
  const pool = poolOf({ maxLinks: 2 })
  const letGo = await holding(pool, callOf('a'))
  const others = await holding(pool, callOf('b'))
  await expect(holding(pool, callOf('c'))).rejects.toMatchObject({
    code: 'overloaded',
    message: expect.stringContaining('raise "maxLinks"'),
  })
  await letGo()
  const third = await holding(pool, callOf('c'))
  expect(pool.size).toBe(2)
  await others()
  await third()
})

it('counts the links of a client over all servers; idle ones make room', async () => {
  const [one, two] = [poolOf(), poolOf()]
  const asking = (): Exchange => callOf('a', { modern: true, features: '{"elicitation":{}}' })
  const running = [
    await holding(one, asking()),
    await holding(two, asking()),
    await holding(two, callOf('a')),
  ]
  expect(clientLinks.count('client:a')).toBe(3)
  const refused = {
    code: 'overloaded',
    message: expect.stringContaining('raise "gateway.maxLinksPerClient"'),
  }
  await expect(holding(one, asking())).rejects.toMatchObject(refused)
  // What is open already is used, and others are not concerned.
  running.push(await holding(two, callOf('a')), await holding(one, callOf('b')))
  await running.shift()?.()
  running.push(await holding(two, asking()))
  expect(clientLinks.count('client:a')).toBe(3)
  expect(one.links).toHaveLength(1)
  for (const letGo of running) await letGo()
  await Promise.all(pools.map(pool => pool.close()))
  expect(clientLinks.count('client:a') + clientLinks.count('client:b')).toBe(0)
})

it('does not count whom it cannot tell apart', async () => {
  const pool = poolOf()
  const running = []
  for (let n = 0; n < 5; n++) running.push(await holding(pool, asking()))
  expect(pool.size).toBe(5)
  for (const letGo of running) await letGo()
})
