import { afterEach, beforeEach, expect, it, vi } from 'vitest'
import type { ServerConfig } from '../../../../src/config/types.ts'
import { Deadlines } from '../../../../src/core/deadlines.ts'
import { GatewayError } from '../../../../src/core/errors.ts'
import type { Exchange } from '../../../../src/core/exchange.ts'
import { clientPrincipal } from '../../../../src/core/principal.ts'
import { SILENT } from '../../../../src/core/logger.ts'
import { LinksPerClient } from '../../../../src/upstream/pool/links-per-client.ts'
import type { Link } from '../../../../src/upstream/link/link.ts'
import { Pool } from '../../../../src/upstream/pool/pool.ts'
import { exchangeOf, FakeTransport, poolListener, serverConfig } from '../../../helpers/fake-transport.ts'

/** Transports that are given out, in this order; those that were used. */
const next: FakeTransport[] = []
const used: FakeTransport[] = []
vi.mock('../../../../src/upstream/transport/stdio/stdio.ts', () => ({
  createStdioTransport: () => {
    const transport = next.shift() ?? new FakeTransport()
    used.push(transport)
    return transport
  },
}))

let deadlines: Deadlines
const pools: Pool[] = []
beforeEach(() => {
  vi.useFakeTimers()
  vi.spyOn(Math, 'random').mockReturnValue(1)
  deadlines = new Deadlines()
})
afterEach(async () => {
  await Promise.all(pools.splice(0).map(pool => pool.close()))
  expect(used.every(({ closed }) => closed > 0)).toBe(true)
  deadlines.close()
  next.length = used.length = 0
  expect(vi.getTimerCount()).toBe(0)
  vi.useRealTimers()
  vi.restoreAllMocks()
})

function poolOf(changes: Partial<ServerConfig> = {}): Pool & { heard: string[] } {
  const heard: string[] = []
  const pool: Pool = new Pool({
    server: serverConfig({ warmInstances: 1, ...changes }),
    deadlines,
    logger: SILENT,
    clientInfo: '{"name":"gateway","version":"1"}',
    clientLinks: new LinksPerClient(100),
    dns: { refreshMs: 0, servers: [] },
    drainTimeoutMs: 30_000,
    listener: {
      ...poolListener(() => pool),
      onNotification: (_, method) => void heard.push(method),
    },
  })
  pools.push(pool)
  return Object.assign(pool, { heard })
}

const exchangeFor = (name: string) => exchangeOf('tools/call', {}, { principal: clientPrincipal(name) })
/** A link that is at once given back. */
async function linkOf(pool: Pool, exchange: Exchange): Promise<Link> {
  const lease = await pool.acquire(exchange)
  lease.release()
  return lease.link
}
const linkFor = (pool: Pool, name: string): Promise<Link> => linkOf(pool, exchangeFor(name))
/** Lets what is ready happen. */
const settle = (): Promise<unknown> => vi.advanceTimersByTimeAsync(1)
const gone = (): GatewayError =>
  new GatewayError('upstream_closed', 'Server "fake" is gone.', { server: 'fake', delivery: 'unknown' })
const broken = (): FakeTransport => {
  const transport = new FakeTransport()
  transport.opening = Promise.reject(
    new GatewayError('upstream_start_failed', 'Server "fake" is broken.', { server: 'fake' }),
  )
  transport.opening.catch(() => {})
  return transport
}
const alive = (): FakeTransport[] => used.filter(({ closed }) => closed === 0)

it('waits from the first link on, serves the next one, and is replaced', async () => {
  const pool = poolOf({ warmInstances: 2 })
  await settle()
  expect(used).toHaveLength(0)
  await linkFor(pool, 'ann')
  await settle()
  expect(used).toHaveLength(3)
  const link = await linkFor(pool, 'bob')
  expect(used.slice(1, 3)).toContain(link.transport)
  // Greeted only once.
  expect((link.transport as unknown as FakeTransport).of('initialize')).toHaveLength(1)
  await settle()
  expect(used).toHaveLength(4)
  expect(pool.size).toBe(2)
})

it('is not started where there is to be none', async () => {
  const pool = poolOf({ warmInstances: 0 })
  await linkFor(pool, 'ann')
  await settle()
  expect(used).toHaveLength(1)
})

it('takes over from one that is gone, at once', async () => {
  const pool = poolOf()
  const link = await linkFor(pool, 'ann')
  await settle()
  // No other process could be started now.
  next.push(broken())
  ;(link.transport as unknown as FakeTransport).receiver.onClose(gone())
  const second = await linkFor(pool, 'ann')
  expect(second.transport).toBe(used[1])
  expect(second.usable).toBe(true)
})

it('takes over again and again, until that is a crash loop', async () => {
  const pool = poolOf({ restartLimit: 3 })
  let link = await linkFor(pool, 'ann')
  for (let crash = 1; crash < 3; crash++) {
    await settle()
    ;(link.transport as unknown as FakeTransport).receiver.onClose(gone())
    link = await linkFor(pool, 'ann')
  }
  await settle()
  ;(link.transport as unknown as FakeTransport).receiver.onClose(gone())
  await expect(linkFor(pool, 'ann')).rejects.toThrow(/crash loop: 3 starts/)
})

it('belongs to a session as soon as that has it, and says nothing before', async () => {
  const pool = poolOf({ isolation: 'session' })
  await linkFor(pool, 'ann')
  await settle()
  used[1]?.say({ jsonrpc: '2.0', method: 'notifications/message', params: { level: 'info', data: 'x' } })
  used[1]?.say({ jsonrpc: '2.0', id: 'q', method: 'roots/list' })
  await settle()
  expect(pool.heard).toEqual([])
  expect(used[1]?.sent.map(({ text }) => text).find(text => text.includes('"q"'))).toContain('"error"')
  const conversation = { id: 'session 1', view: '', notify: () => {} } as never
  const exchange = exchangeOf('tools/call', {}, { principal: clientPrincipal('bob'), conversation })
  const link = await linkOf(pool, exchange)
  expect(link.transport).toBe(used[1])
  expect(link.owner).toBe(conversation)
  used[1]?.say({ jsonrpc: '2.0', method: 'notifications/message', params: { level: 'info', data: 'x' } })
  expect(pool.heard).toEqual(['notifications/message'])
  pool.leave(conversation)
  await settle()
  expect(used[1]?.closed).toBeGreaterThan(0)
})

it('serves no client that can be asked, because its handshake did not declare that', async () => {
  const pool = poolOf()
  await linkFor(pool, 'ann')
  await settle()
  const conversation = { id: 'session 1', view: '', notify: () => {} } as never
  const asked = exchangeOf('tools/call', {}, { conversation, features: '{"elicitation":{}}' })
  const link = await linkOf(pool, asked)
  expect(link.transport).not.toBe(used[1])
  expect(used[1]?.closed).toBe(0)
})

it('counts towards "maxLinks", and makes room', async () => {
  const pool = poolOf({ warmInstances: 4, maxLinks: 3 })
  await linkFor(pool, 'ann')
  await settle()
  expect(used).toHaveLength(3)
  await linkFor(pool, 'bob')
  await linkFor(pool, 'cid')
  await settle()
  expect(alive()).toHaveLength(3)
  expect(used).toHaveLength(3)
  // One that needs another process takes the place of one that is idle, as ever.
  await linkFor(pool, 'dan')
  await settle()
  expect(alive()).toHaveLength(3)
})

it('gives its place to a link that it cannot serve', async () => {
  const pool = poolOf({ warmInstances: 1, maxLinks: 2 })
  await linkFor(pool, 'ann')
  await settle()
  const conversation = { id: 'session 1', view: '', notify: () => {} } as never
  const asked = exchangeOf('tools/call', {}, { conversation, features: '{"elicitation":{}}' })
  await linkOf(pool, asked)
  await settle()
  expect(used[1]?.closed).toBe(1)
  expect(used[0]?.closed).toBe(0)
  expect(alive()).toHaveLength(2)
})

it('that dies is replaced, less and less often when that goes on', async () => {
  const pool = poolOf({ restartLimit: 4, idleMs: 0 })
  await linkFor(pool, 'ann')
  await settle()
  const times: number[] = []
  for (let n = 0; n < 5; n++) {
    const since = Date.now()
    const before = used.length
    used.at(-1)?.receiver.onClose(gone())
    while (used.length === before && Date.now() - since < 400_000) await vi.advanceTimersByTimeAsync(100)
    times.push(Date.now() - since)
    await settle()
  }
  const [first = NaN, second = NaN, third = NaN, fourth = NaN, fifth = NaN] = times
  expect(first).toBeLessThan(600)
  expect(second).toBeGreaterThanOrEqual(1000)
  expect(third).toBeGreaterThanOrEqual(2000)
  expect(fourth).toBeGreaterThanOrEqual(300_000)
  expect(fifth).toBeGreaterThanOrEqual(300_000)
  expect(alive()).toHaveLength(2)
})

it('that cannot be started is tried again with back-off, and disturbs no call', async () => {
  const pool = poolOf()
  next.push(new FakeTransport(), broken(), broken())
  const link = await linkFor(pool, 'ann')
  await settle()
  expect(used).toHaveLength(2)
  await vi.advanceTimersByTimeAsync(400)
  expect(used).toHaveLength(2)
  await vi.advanceTimersByTimeAsync(3000)
  expect(used).toHaveLength(4)
  expect(await linkFor(pool, 'ann')).toBe(link)
  expect(pool.replicas.list[0]?.health.away).toBe(false)
})

it('that grows too large is ended, and another one waits in its place', async () => {
  const pool = poolOf()
  await linkFor(pool, 'ann')
  await settle()
  used[1]?.receiver.onMemoryLimitExceeded(5e9)
  await vi.advanceTimersByTimeAsync(600)
  expect(used[1]?.closed).toBe(1)
  expect(used).toHaveLength(3)
})

it('is ended when the server is unused, and is there again with the next use', async () => {
  const pool = poolOf({ idleMs: 10_000 })
  await linkFor(pool, 'ann')
  await settle()
  await vi.advanceTimersByTimeAsync(8000)
  const call = exchangeFor('ann')
  const lease = await pool.acquire(call)
  const calling = lease.link.call(call, { method: 'tools/call', change: {} }).catch(() => undefined)
  // Nothing is idle while a call waits for its answer.
  await vi.advanceTimersByTimeAsync(9000)
  call.cancellation.cancel('enough')
  await calling
  lease.release()
  await vi.advanceTimersByTimeAsync(9000)
  expect(alive()).toHaveLength(2)
  await vi.advanceTimersByTimeAsync(3000)
  expect(alive()).toHaveLength(0)
  await vi.advanceTimersByTimeAsync(60_000)
  expect(used).toHaveLength(2)
  await linkFor(pool, 'ann')
  await settle()
  expect(alive()).toHaveLength(2)
})

it('is ended with its replica, when that is drained', async () => {
  const pool = poolOf()
  await linkFor(pool, 'ann')
  await settle()
  expect(alive()).toHaveLength(2)
  pool.membership.drain(new Set(['']))
  await vi.advanceTimersByTimeAsync(200)
  expect(alive()).toHaveLength(0)
  pool.membership.drain(new Set())
  await linkFor(pool, 'ann')
  await settle()
  expect(alive()).toHaveLength(2)
})

it('that is still being started is broken off at the end', async () => {
  const pool = poolOf()
  next.push(new FakeTransport(), new FakeTransport({}))
  await linkFor(pool, 'ann')
  await settle()
  await pool.close()
  expect(used).toHaveLength(2)
})
