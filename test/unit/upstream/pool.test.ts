import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { Deadlines } from '../../../src/core/deadlines.ts'
import { GatewayError } from '../../../src/core/errors.ts'
import { SILENT } from '../../../src/core/logger.ts'
import { Pool } from '../../../src/upstream/pool.ts'
import type { ServerConfig } from '../../../src/config/types.ts'
import { deferred } from '../../helpers/deferred.ts'
import { exchangeOf, FakeTransport, serverConfig } from '../../helpers/fake-transport.ts'

/** Transports the pool is given, one a start, in this order; those that were used. */
const next: FakeTransport[] = []
const used: FakeTransport[] = []
vi.mock('../../../src/upstream/stdio.ts', () => ({
  createStdioTransport: () => {
    const transport = next.shift() ?? new FakeTransport()
    used.push(transport)
    return transport
  },
}))

const pools: Pool[] = []
let deadlines: Deadlines

beforeEach(() => {
  vi.useFakeTimers()
  vi.spyOn(Math, 'random').mockReturnValue(1)
  deadlines = new Deadlines()
})
afterEach(async () => {
  await Promise.all(pools.splice(0).map(pool => pool.close()))
  deadlines.close()
  next.length = 0
  used.length = 0
  expect(vi.getTimerCount()).toBe(0)
  vi.useRealTimers()
  vi.restoreAllMocks()
})

function poolOf(changes: Partial<ServerConfig> = {}): Pool & { opened: () => number } {
  let opened = 0
  const pool: Pool = new Pool({
    server: serverConfig(changes),
    deadlines,
    logger: SILENT,
    clientInfo: '{"name":"gateway","version":"1"}',
    listener: {
      onNotification: () => {},
      onRequest: () => Promise.reject(new GatewayError('unknown_method', 'no')),
      onLost: (link, error) => pool.lost(link, error),
      onOpen: () => void opened++,
    },
  })
  pools.push(pool)
  return Object.assign(pool, { opened: () => opened })
}

const gone = (): GatewayError =>
  new GatewayError('upstream_closed', 'Server "fake" is gone.', { server: 'fake', delivery: 'unknown' })

/** A transport whose start fails. */
function broken(): FakeTransport {
  const transport = new FakeTransport()
  transport.opening = Promise.reject(
    new GatewayError('upstream_start_failed', 'Server "fake" is broken.', { server: 'fake' }),
  )
  transport.opening.catch(() => {})
  return transport
}

async function failureOf(pick: unknown): Promise<GatewayError> {
  return await Promise.resolve(pick).then(
    () => {
      throw new Error('it did not fail')
    },
    (error: GatewayError) => error,
  )
}

describe('a start', () => {
  it('is shared by everyone who needs the link, and happens once', async () => {
    const pool = poolOf()
    expect(pool.state.kind).toBe('idle')
    const [one, two] = await Promise.all([pool.pick(), pool.pick()])
    expect(one).toBe(two)
    expect(pool.pick()).toBe(one)
    expect(pool.current).toBe(one)
    expect(used).toHaveLength(1)
    expect(pool.opened()).toBe(1)
    expect(pool.era).toBe('legacy')
  })

  it('that fails is not repeated before its time, and calls hear the cause and when', async () => {
    next.push(broken(), broken())
    const pool = poolOf()
    expect((await failureOf(pool.pick())).message).toBe('Server "fake" is broken.')
    expect(pool.state.kind).toBe('failed')
    vi.setSystemTime(Date.now() + 499)
    const refused = await failureOf(pool.pick())
    expect(refused).toMatchObject({
      code: 'upstream_start_failed',
      server: 'fake',
      retryAfterMs: 1,
      delivery: 'not_sent',
    })
    expect(refused.message).toBe('Server "fake" is broken. Next attempt in 1 s.')
    expect(used).toHaveLength(1)
    vi.setSystemTime(Date.now() + 1)
    await failureOf(pool.pick())
    expect(used).toHaveLength(2)
    expect(used.map(({ closed }) => closed)).toEqual([1, 1])
  })

  it('is tried less and less often, at least once a minute', async () => {
    const pool = poolOf()
    const delays: number[] = []
    for (let n = 0; n < 10; n++) {
      next.push(broken())
      await failureOf(pool.pick())
      if (pool.state.kind !== 'failed') throw new Error(pool.state.kind)
      delays.push(pool.state.nextTry - Date.now())
      vi.setSystemTime(pool.state.nextTry)
    }
    expect(delays).toEqual([500, 1000, 2000, 4000, 8000, 16_000, 32_000, 60_000, 60_000, 60_000])
    await pool.pick()
    expect(pool.state.kind).toBe('ready')
  })

  it('that failed can be forgiven', async () => {
    next.push(broken())
    const pool = poolOf()
    await failureOf(pool.pick())
    pool.forgive()
    await pool.pick()
    expect(pool.state.kind).toBe('ready')
  })

  it('that never comes to an end fails when its time is up', async () => {
    const silent = new FakeTransport()
    silent.opening = new Promise(() => {})
    next.push(silent)
    const pool = poolOf({ startTimeoutMs: 3000 })
    const failure = failureOf(pool.pick())
    await vi.advanceTimersByTimeAsync(3000)
    expect(await failure).toMatchObject({ code: 'upstream_timeout', server: 'fake' })
    expect((await failure).message).toMatch(/"fake".*3 s.*"startTimeout"/)
    expect(silent.closed).toBe(1)
  })

  it('in progress ends when the pool closes, and leaves nothing', async () => {
    const slow = new FakeTransport()
    const opening = deferred()
    slow.opening = opening.promise
    next.push(slow)
    const pool = poolOf()
    const failure = failureOf(pool.pick())
    const closing = pool.close()
    opening.resolve()
    await closing
    expect(await failure).toMatchObject({ code: 'shutting_down' })
    expect(slow.closed).toBeGreaterThan(0)
    expect(await failureOf(pool.pick())).toMatchObject({ code: 'shutting_down' })
    expect(used).toHaveLength(1)
  })

  it('that waits for the server is broken off when the pool closes', async () => {
    next.push(new FakeTransport({}))
    const pool = poolOf({ startTimeoutMs: 60_000 })
    const failure = failureOf(pool.pick())
    await vi.advanceTimersByTimeAsync(10)
    expect(used[0]?.of('server/discover')).toHaveLength(1)
    // No time passes: a server that is slow to start does not keep the gateway from ending.
    await pool.close()
    expect(await failure).toMatchObject({ code: 'shutting_down' })
    expect(used[0]?.closed).toBeGreaterThan(0)
    expect(used).toHaveLength(1)
  })
})

describe('a link that is lost', () => {
  it('is replaced at the next call, at once the first time', async () => {
    const pool = poolOf()
    const first = await pool.pick()
    used[0]?.receiver.onClose(gone())
    expect(pool.current).toBeUndefined()
    const second = await pool.pick()
    expect(second).not.toBe(first)
    expect(used[0]?.closed).toBeGreaterThan(0)
  })

  it('again and again is a crash loop, and backed off', async () => {
    const pool = poolOf()
    const delays: number[] = []
    for (let n = 0; n < 4; n++) {
      await pool.pick()
      used.at(-1)?.receiver.onClose(gone())
      if (pool.state.kind !== 'failed') throw new Error(pool.state.kind)
      delays.push(pool.state.nextTry - Date.now())
      vi.setSystemTime(pool.state.nextTry)
    }
    expect(delays).toEqual([0, 1000, 2000, 4000])
    // One that held for a while is no part of it.
    await pool.pick()
    vi.setSystemTime(Date.now() + 30_000)
    used.at(-1)?.receiver.onClose(gone())
    expect(pool.state).toMatchObject({ kind: 'failed', nextTry: Date.now() })
  })

  it('with its session is opened anew; what is in flight on the old one is still answered', async () => {
    const pool = poolOf()
    const first = await pool.pick()
    const call = first.call(exchangeOf('tools/call', { name: 'x' }), {
      method: 'tools/call',
      change: { target: { key: 'name', value: 'x' } },
    })
    used[0]?.receiver.onSessionLost()
    expect(pool.state.kind).toBe('idle')
    expect(first.usable).toBe(false)
    const second = await pool.pick()
    expect(second).not.toBe(first)
    expect(used[0]?.closed).toBe(0)
    used[0]?.answer(used[0].idOf('tools/call'), { result: { late: true } })
    expect(await call).toMatchObject({ kind: 'result', text: '{"late":true}' })
    expect(used[0]?.closed).toBeGreaterThan(0)
    expect(second.usable).toBe(true)
  })

  it('fails what was in flight as unknown', async () => {
    const pool = poolOf()
    const link = await pool.pick()
    const call = link.call(exchangeOf('tools/call', { name: 'x' }), {
      method: 'tools/call',
      change: { target: { key: 'name', value: 'x' } },
    })
    used[0]?.receiver.onClose(gone())
    expect(await failureOf(call)).toMatchObject({
      code: 'upstream_closed',
      delivery: 'unknown',
      server: 'fake',
    })
  })
})

describe('an idle link', () => {
  it('is stopped in its time, and started again by the next call', async () => {
    const pool = poolOf({ idleMs: 60_000 })
    const first = await pool.pick()
    await vi.advanceTimersByTimeAsync(59_000)
    expect(pool.current).toBe(first)
    await vi.advanceTimersByTimeAsync(2000)
    expect(pool.state.kind).toBe('idle')
    expect(used[0]?.closed).toBe(1)
    expect(await pool.pick()).not.toBe(first)
  })

  it('counts from its last use', async () => {
    const pool = poolOf({ idleMs: 60_000, timeoutMs: 0 })
    const link = await pool.pick()
    await vi.advanceTimersByTimeAsync(40_000)
    const call = link.call(exchangeOf('tools/call', { name: 'x' }), {
      method: 'tools/call',
      change: { target: { key: 'name', value: 'x' } },
    })
    // Nothing is idle that still owes an answer.
    await vi.advanceTimersByTimeAsync(200_000)
    expect(pool.current).toBe(link)
    used[0]?.answer(used[0].idOf('tools/call'), { result: {} })
    await call
    await vi.advanceTimersByTimeAsync(55_000)
    expect(pool.current).toBe(link)
    await vi.advanceTimersByTimeAsync(10_000)
    expect(pool.state.kind).toBe('idle')
  })

  it('stays while it is pinned, and comes back by itself when it is lost', async () => {
    const pool = poolOf({ idleMs: 60_000 })
    await pool.pick()
    pool.pin()
    await vi.advanceTimersByTimeAsync(300_000)
    expect(pool.state.kind).toBe('ready')
    next.push(broken(), broken())
    used[0]?.receiver.onClose(gone())
    await vi.advanceTimersByTimeAsync(0)
    expect(pool.state.kind).toBe('failed')
    await vi.advanceTimersByTimeAsync(3000)
    expect(pool.state.kind).toBe('ready')
    expect(used).toHaveLength(4)
    pool.unpin()
    await vi.advanceTimersByTimeAsync(61_000)
    expect(pool.state.kind).toBe('idle')
  })

  it('stays for ever where idling is off', async () => {
    const pool = poolOf({ idleMs: 0 })
    await pool.pick()
    await vi.advanceTimersByTimeAsync(24 * 60 * 60 * 1000)
    expect(pool.state.kind).toBe('ready')
  })
})

it('closing waits for every link, also one that was being closed already', async () => {
  const pool = poolOf()
  await pool.pick()
  const closing = deferred()
  const [transport] = used
  if (transport) transport.closing = closing.promise
  transport?.receiver.onClose(gone())
  let closed = false
  const done = pool.close().then(() => (closed = true))
  await vi.advanceTimersByTimeAsync(1000)
  expect(closed).toBe(false)
  closing.resolve()
  await done
  await pool.close()
})
