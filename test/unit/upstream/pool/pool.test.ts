import { afterEach, beforeEach, expect, it, vi } from 'vitest'
import { Deadlines } from '../../../../src/core/deadlines.ts'
import type { Exchange } from '../../../../src/core/exchange.ts'
import { SILENT } from '../../../../src/core/logger.ts'
import type { ServerConfig } from '../../../../src/config/types.ts'
import type { Link } from '../../../../src/upstream/link/link.ts'
import { LinksPerClient } from '../../../../src/upstream/pool/links-per-client.ts'
import { clientPrincipal } from '../../../../src/core/principal.ts'
import { Pool } from '../../../../src/upstream/pool/pool.ts'
import { deferred } from '../../../helpers/deferred.ts'
import {
  exchangeOf,
  FakeTransport,
  LEGACY,
  MODERN,
  poolListener,
  serverConfig,
} from '../../../helpers/fake-transport.ts'

vi.mock('../../../../src/upstream/transport/stdio/stdio.ts', () => ({
  createStdioTransport: () => new FakeTransport(era === 'modern' ? MODERN : LEGACY),
}))

/** Era of the servers. */
let era: 'legacy' | 'modern'
let deadlines: Deadlines
let clientLinks: LinksPerClient
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
    listener: poolListener(() => pool),
  })
  pools.push(pool)
  return pool
}

beforeEach(() => {
  vi.useFakeTimers()
  era = 'legacy'
  deadlines = new Deadlines()
  clientLinks = new LinksPerClient(3)
  pools = []
})
afterEach(async () => {
  await Promise.all(pools.map(pool => pool.close()))
  deadlines.close()
  vi.useRealTimers()
})

/** A call of a client without a session that can be asked. */
const asking = () => exchangeOf('tools/call', {}, { modern: true, features: '{"elicitation":{}}' })

/** Uses a link for a call, and gives it back. */
async function run<T>(pool: Pool, exchange: Exchange, use: (link: Link) => Promise<T>): Promise<T> {
  const lease = await pool.acquire(exchange)
  try {
    return await use(lease.link)
  } finally {
    lease.release()
  }
}

it('gives each call a link of its own where that is configured, lets others wait, and not for ever', async () => {
  const pool = poolOf({ isolation: 'call', maxExclusiveLinks: 2, linkTimeoutMs: 5000 })
  const held = deferred<void>()
  const links = new Set<unknown>()
  const running = Array.from({ length: 2 }, () =>
    run(pool, asking(), async link => {
      links.add(link)
      await held.promise
    }),
  )
  await vi.advanceTimersByTimeAsync(100)
  expect(links.size).toBe(2)

  const late = run(pool, asking(), () => Promise.resolve('too late')).catch((error: unknown) => error)
  await vi.advanceTimersByTimeAsync(6000)
  expect(await late).toMatchObject({
    code: 'overloaded',
    server: 'fake',
    delivery: 'not_sent',
    retryAfterMs: 5000,
  })

  const patient = run(pool, asking(), () => Promise.resolve('its turn'))
  await vi.advanceTimersByTimeAsync(100)
  held.resolve()
  await Promise.all(running)
  expect(await patient).toBe('its turn')
})

it('shares the link of a call that was to have one of its own, where the server turns out to keep nothing', async () => {
  era = 'modern'
  const pool = poolOf({ isolation: 'call', maxExclusiveLinks: 1, linkTimeoutMs: 5000 })
  const cancelled = asking()
  const first = await pool.acquire(cancelled)
  const second = await pool.acquire(asking())
  expect(second.link).toBe(first.link)
  const calls = [first, second].map(({ link }, at) =>
    link
      .call(at === 0 ? cancelled : asking(), { method: 'tools/call', change: {} })
      .catch((error: unknown) => error),
  )
  cancelled.cancellation.cancel('enough')
  await calls[0]
  expect(first.link.hasCancelledCalls).toBe(true)
  first.release()
  await vi.advanceTimersByTimeAsync(1000)
  expect(second.link.usable).toBe(true)
  expect(pool.size).toBe(1)
})

it('lends a link that is given back twice to one call at a time', async () => {
  const pool = poolOf({ isolation: 'call', maxExclusiveLinks: 1, linkTimeoutMs: 5000 })
  const first = await pool.acquire(asking())
  first.release()
  first.release()
  const second = await pool.acquire(asking())
  expect(second.link).toBe(first.link)
  first.release()
  const third = Promise.resolve(pool.acquire(asking()))
  await vi.advanceTimersByTimeAsync(1000)
  second.release()
  expect((await third).link).toBe(first.link)
})

it('lends the link of a call that was cancelled while it waited to the next one', async () => {
  const pool = poolOf({ isolation: 'call', maxExclusiveLinks: 1, linkTimeoutMs: 5000 })
  const first = await pool.acquire(asking())
  const cancelled = asking()
  const waiting = Promise.resolve(pool.acquire(cancelled)).catch((error: unknown) => error)
  const next = Promise.resolve(pool.acquire(asking()))
  await vi.advanceTimersByTimeAsync(1000)
  cancelled.cancellation.cancel('enough')
  expect(await waiting).toMatchObject({ code: 'cancelled' })
  first.release()
  expect((await next).link).toBe(first.link)
})

it('keeps a link that is leased when there is no room for another one', async () => {
  const pool = poolOf({ maxLinks: 1 })
  const lease = await pool.acquire(callOf('a'))
  await expect(run(pool, callOf('b'), () => Promise.resolve())).rejects.toMatchObject({ code: 'overloaded' })
  lease.release()
  expect(await run(pool, callOf('b'), link => Promise.resolve(link))).not.toBe(lease.link)
})

it('hands out an open link at once', async () => {
  const pool = poolOf()
  const first = await pool.acquire(callOf('a'))
  first.release()
  const second = pool.acquire(callOf('a'))
  expect(second).toMatchObject({ link: first.link })
})

it('shares one link among the calls of a client that can be asked', async () => {
  const pool = poolOf()
  const links = new Set<unknown>()
  const running = Array.from({ length: 4 }, () => run(pool, asking(), async link => void links.add(link)))
  await vi.advanceTimersByTimeAsync(100)
  await Promise.all(running)
  expect([links.size, pool.size]).toEqual([1, 1])
})

it('shares one link among calls whose clients cannot be asked', async () => {
  const pool = poolOf()
  const links = new Set<unknown>()
  const note = (link: unknown): Promise<void> => {
    links.add(link)
    return Promise.resolve()
  }
  await Promise.all([
    run(pool, exchangeOf('tools/call'), note),
    run(pool, exchangeOf('tools/call', {}, { modern: true }), note),
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
  const running = run(pool, exchange, async link => {
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
  const asking = (feature = 'elicitation'): Exchange =>
    callOf('a', { modern: true, features: `{"${feature}":{}}` })
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
  await expect(holding(one, asking('sampling'))).rejects.toMatchObject(refused)
  // What is open already is used, and others are not concerned.
  running.push(await holding(two, callOf('a')), await holding(one, callOf('b')))
  await running.shift()?.()
  running.push(await holding(two, asking('sampling')))
  expect(clientLinks.count('client:a')).toBe(3)
  expect(one.links).toHaveLength(1)
  for (const letGo of running) await letGo()
  await Promise.all(pools.map(pool => pool.close()))
  expect(clientLinks.count('client:a') + clientLinks.count('client:b')).toBe(0)
})

/** A pool whose only link is at rest after a call of client `a`, and the gateway lists the server over it. */
async function listingPool(changes: Partial<ServerConfig> = {}) {
  const pool = poolOf({ maxLinks: 1, ...changes })
  await (
    await holding(pool, callOf('a'))
  )()
  const link = await pool.any()
  const listing = link.request('tools/list', undefined, 60_000)
  const ended = listing.catch((error: unknown) => error)
  return { pool, link, ended }
}

it('lets a call wait for a list that the gateway fetches over the only link', async () => {
  const { pool, link, ended } = await listingPool()
  const calling = holding(pool, callOf('b'))
  await vi.advanceTimersByTimeAsync(1000)
  expect(link.usable).toBe(true)
  const transport = link.transport as FakeTransport
  transport.answer(transport.idOf('tools/list'), { result: { tools: [] } })
  expect(await ended).toMatchObject({ value: { tools: [] } })
  await vi.advanceTimersByTimeAsync(100)
  await (
    await calling
  )()
})

it.each(['maxLinks', 'maxLinksPerClient'])(
  'ends a list that takes longer, and it can be fetched over the link of the call (%s)',
  async limit => {
    clientLinks = new LinksPerClient(limit === 'maxLinks' ? 3 : 1)
    const { pool, link, ended } = await listingPool({ maxLinks: limit === 'maxLinks' ? 1 : 2 })
    const other = limit === 'maxLinks' ? pool : poolOf()
    const calling = holding(other, callOf(limit === 'maxLinks' ? 'b' : 'a'))
    await vi.advanceTimersByTimeAsync(3000)
    const letGo = await calling
    expect(link.usable).toBe(false)
    // So the list is asked for once more.
    expect(await ended).toMatchObject({ code: 'upstream_closed', delivery: 'not_sent' })
    if (other === pool) expect(await pool.any()).not.toBe(link)
    await letGo()
  },
)

it('does not let a list take the place of a call', async () => {
  const pool = poolOf({ maxLinks: 1 })
  const letGo = await holding(pool, callOf('a'))
  const link = await pool.any()
  void link.request('tools/list', undefined, 60_000).catch(() => undefined)
  await expect(holding(pool, callOf('b'))).rejects.toMatchObject({ code: 'overloaded' })
  await letGo()
})

it('lets a call take the place of a link that is opened only to list the server', async () => {
  const pool = poolOf({ maxLinks: 1 })
  const opening = Promise.resolve(pool.any()).catch((error: unknown) => error)
  const calling = holding(pool, callOf('b'))
  await vi.advanceTimersByTimeAsync(100)
  await (
    await calling
  )()
  await opening
})

it('does not count links for each client where clients have no identity', async () => {
  const pool = poolOf({ isolation: 'call' })
  const running = []
  for (let n = 0; n < 5; n++) running.push(await holding(pool, asking()))
  expect(pool.size).toBe(5)
  for (const letGo of running) await letGo()
})

const twoReplicas = () =>
  ['a', 'b'].map(name => ({
    name,
    location: name,
    endpoint: { kind: 'stdio' as const, command: name, args: [], env: {}, cwd: '/' },
    weight: 1,
    priority: 0,
    zone: undefined,
    service: undefined,
  }))

it('lets a replica that is gone finish what it has, but not for ever', async () => {
  const [a, b] = twoReplicas() as [ReturnType<typeof twoReplicas>[0], ReturnType<typeof twoReplicas>[0]]
  const pool = poolOf({ replicas: [a, { ...b, weight: 0 }], isolation: 'shared', timeoutMs: 0 })
  const failure = deferred<unknown>()
  const exchange = exchangeOf('tools/call')
  const running = run(pool, exchange, async link => {
    link.call(exchange, { method: 'tools/call', change: {} }).catch(failure.resolve)
    await failure.promise
    return link.replica.name
  })
  await vi.advanceTimersByTimeAsync(100)
  expect(pool.links.map(link => link.replica.name)).toEqual(['a'])
  pool.membership.update([b])
  expect(pool.membership.all.map(({ name, drained }) => [name, drained])).toEqual([
    ['b', false],
    ['a', true],
  ])
  expect(await run(pool, exchangeOf('tools/call'), link => Promise.resolve(link.replica.name))).toBe('b')
  await vi.advanceTimersByTimeAsync(59_000)
  expect(pool.links.map(link => link.replica.name).sort()).toEqual(['a', 'b'])
  await vi.advanceTimersByTimeAsync(2000)
  expect(await failure.promise).toMatchObject({ code: 'upstream_closed', delivery: 'unknown' })
  expect(await running).toBe('a')
  expect(pool.membership.all.map(({ name }) => name)).toEqual(['b'])
  expect(pool.links.map(link => link.replica.name)).not.toContain('a')
})

it('keeps a replica whose weight has changed, and takes one at another address for another one', async () => {
  const [a, b] = twoReplicas() as [ReturnType<typeof twoReplicas>[0], ReturnType<typeof twoReplicas>[0]]
  const pool = poolOf({ replicas: [a, b] })
  const [first] = pool.replicas.list
  pool.membership.update([
    { ...a, weight: 5, priority: 2, zone: 'z' },
    { ...b, endpoint: { ...b.endpoint, command: 'c' } },
  ])
  expect(pool.replicas.list[0]).toBe(first)
  expect(first).toMatchObject({ weight: 5, priority: 2, zone: 'z', drained: false })
  expect(pool.replicas.list.map(({ common }) => common.id)).toEqual(['common', '@2 common'])
})

it('uses what is drained by name no more until that is over, and says so', async () => {
  const pool = poolOf({ replicas: twoReplicas(), isolation: 'shared' })
  const at = (): Promise<string> =>
    run(pool, exchangeOf('tools/call'), link => Promise.resolve(link.replica.name))
  pool.membership.drain(new Set(['a']))
  for (let call = 0; call < 10; call++) expect(await at()).toBe('b')
  pool.membership.drain(new Set(['']))
  await expect(at()).rejects.toMatchObject({
    code: 'upstream_unreachable',
    delivery: 'not_sent',
    message: expect.stringContaining('is drained'),
  })
  await vi.advanceTimersByTimeAsync(1000)
  expect(pool.links).toEqual([])
  pool.membership.drain(new Set())
  expect(['a', 'b']).toContain(await at())
})
