import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import type { ServerConfig } from '../../../../src/config/types.ts'
import { Deadlines } from '../../../../src/core/deadlines.ts'
import { EventBus } from '../../../../src/core/event-bus.ts'
import { SILENT } from '../../../../src/core/logger.ts'
import type { LinkLease } from '../../../../src/upstream/pool/lease.ts'
import { LinksPerClient } from '../../../../src/upstream/pool/links-per-client.ts'
import { Pool } from '../../../../src/upstream/pool/pool.ts'
import {
  exchangeOf,
  FakeTransport,
  poolListener,
  replicaConfig,
  serverConfig,
} from '../../../helpers/fake-transport.ts'

/** What other settings of its server change in a pool that has links and calls in flight. */

const transports: FakeTransport[] = []
vi.mock('../../../../src/upstream/transport/stdio/stdio.ts', () => ({
  createStdioTransport: () => {
    const transport = new FakeTransport()
    transports.push(transport)
    return transport
  },
}))

const GATEWAY = { dns: { refreshMs: 0, servers: [] }, drainTimeoutMs: 60_000, zone: undefined }

let deadlines: Deadlines
let pool: Pool

function poolOf(changes: Partial<ServerConfig> = {}, events?: EventBus): Pool {
  pool = new Pool({
    server: serverConfig(changes),
    deadlines,
    logger: SILENT,
    clientInfo: '{"name":"gateway","version":"1"}',
    clientLinks: new LinksPerClient(3),
    ...GATEWAY,
    listener: poolListener(() => pool),
    events,
  })
  return pool
}

beforeEach(() => {
  vi.useFakeTimers()
  transports.length = 0
  deadlines = new Deadlines()
})
afterEach(async () => {
  await pool.close()
  deadlines.close()
  vi.useRealTimers()
})

const command = (name: string): Pick<ServerConfig, 'replicas' | 'fingerprint'> => ({
  replicas: [replicaConfig({ endpoint: { kind: 'stdio', command: name, args: [], env: {}, cwd: '/' } })],
  fingerprint: name,
})

const acquire = async (): Promise<LinkLease> => await pool.acquire(exchangeOf('tools/call', { name: 'x' }))

/** A call on a link, which the server answers when the test lets it. */
function callOn({ link }: LinkLease): Promise<unknown> {
  return link.call(exchangeOf('tools/call', { name: 'x' }), {
    method: 'tools/call',
    change: { target: { key: 'name', value: 'x' } },
  })
}

describe('a pool that is reconfigured', () => {
  it('keeps its links where only limits and timeouts differ, and uses these from then on', async () => {
    poolOf({ timeoutMs: 1000 })
    const { server } = pool
    const lease = await acquire()
    pool.reconfigure(serverConfig({ timeoutMs: 7000, maxLinks: 3, retries: 0 }), GATEWAY)
    expect(pool.current).toBe(lease.link)
    // Its parts hold the settings, which are the same object.
    expect(pool.server).toBe(server)
    expect(server).toMatchObject({ timeoutMs: 7000, maxLinks: 3, retries: 0 })
    expect((await acquire()).link).toBe(lease.link)
    expect(transports).toHaveLength(1)
  })

  it.each([
    ['another command', command('other')],
    ['another bound of messages', { maxMessageBytes: 7 }],
    ['other roots', { roots: [{ uri: 'file:///a' }] }],
  ] as const)('opens new links for %s, and ends the call in flight on the old one', async (_, changes) => {
    poolOf()
    const old = await acquire()
    const call = callOn(old)
    pool.reconfigure(serverConfig(changes as Partial<ServerConfig>), GATEWAY)
    const next = await acquire()
    expect(next.link).not.toBe(old.link)
    expect(pool.links).toContain(next.link)
    await vi.advanceTimersByTimeAsync(1000)
    expect(transports[0]?.closed).toBe(0)
    transports[0]?.answer(transports[0].idOf('tools/call'), { result: { content: [] } })
    expect(await call).toMatchObject({ kind: 'result' })
    old.release()
    await vi.advanceTimersByTimeAsync(1000)
    expect([transports[0], transports[1]].map(transport => (transport?.closed ?? 0) > 0)).toEqual([
      true,
      false,
    ])
    expect(pool.links).toEqual([next.link])
  })

  it('drains the old replica alone where both its address and settings of its links differ', async () => {
    const events = new EventBus(SILENT)
    const drained: unknown[] = []
    events.on('replica.drained', event => drained.push(event))
    poolOf({}, events)
    const [before] = pool.replicas.list
    pool.reconfigure(serverConfig({ ...command('other'), maxMessageBytes: 7 }), GATEWAY)
    expect(drained).toHaveLength(1)
    expect(pool.replicas.list).toHaveLength(1)
    expect(pool.replicas.list).not.toContain(before)
  })

  it('ends a call on an old link that outlasts the drain timeout of now, with that cause', async () => {
    poolOf({ timeoutMs: 0 })
    const old = await acquire()
    const call = callOn(old).catch((error: unknown) => error)
    pool.reconfigure(serverConfig({ timeoutMs: 0, ...command('other') }), {
      ...GATEWAY,
      drainTimeoutMs: 3000,
    })
    await vi.advanceTimersByTimeAsync(4000)
    const error = await call
    expect(error).toMatchObject({ code: 'upstream_closed', delivery: 'unknown', server: 'fake' })
    expect((error as Error).message).toContain('calls may go on for 3 s after that ("gateway.drainTimeout")')
  })

  it('opens no third link when it is changed and changed back before the call on the first has ended', async () => {
    poolOf({ maxLinks: 1, ...command('one') })
    const old = await acquire()
    const call = callOn(old)
    pool.reconfigure(serverConfig({ maxLinks: 1, ...command('two') }), GATEWAY)
    // The old link does not count for the most links there may be.
    const second = await acquire()
    second.release()
    pool.reconfigure(serverConfig({ maxLinks: 1, ...command('one') }), GATEWAY)
    const third = await acquire()
    expect(third.link).not.toBe(old.link)
    transports[0]?.answer(transports[0].idOf('tools/call'), { result: { content: [] } })
    await call
    old.release()
    await vi.advanceTimersByTimeAsync(1000)
    expect(pool.links).toEqual([third.link])
  })

  it('takes no call once its server is removed, and resolves when the last one has ended', async () => {
    poolOf()
    const lease = await acquire()
    const call = callOn(lease)
    let over = false
    const retired = pool.retire().then(() => (over = true))
    await expect(acquire()).rejects.toMatchObject({
      code: 'upstream_unreachable',
      delivery: 'not_sent',
      message: expect.stringContaining('There is no server "fake" in the configuration any more') as string,
    })
    await vi.advanceTimersByTimeAsync(1000)
    expect(over).toBe(false)
    transports[0]?.answer(transports[0].idOf('tools/call'), { result: { content: [] } })
    await call
    lease.release()
    await vi.advanceTimersByTimeAsync(1000)
    await retired
    expect(over).toBe(true)
    expect(transports[0]?.closed).toBeGreaterThan(0)
  })
})
