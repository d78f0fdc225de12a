import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { Deadlines } from '../../../../src/core/deadlines.ts'
import { GatewayError } from '../../../../src/core/errors.ts'
import { SILENT } from '../../../../src/core/logger.ts'
import type { Link } from '../../../../src/upstream/link/link.ts'
import type { SlotKey } from '../../../../src/upstream/replica/slot-key.ts'
import { LinkSlot } from '../../../../src/upstream/pool/link-slot.ts'
import type { ReplicaConfig } from '../../../../src/config/replica-types.ts'
import type { ServerConfig } from '../../../../src/config/types.ts'
import { deferred } from '../../../helpers/deferred.ts'
import {
  exchangeOf,
  FakeTransport,
  replicaConfig,
  replicaOf,
  serverConfig,
} from '../../../helpers/fake-transport.ts'

/** Transports the slot is given, one a start, in this order; those that were used. */
const next: FakeTransport[] = []
const used: FakeTransport[] = []
vi.mock('../../../../src/upstream/transport/stdio/stdio.ts', () => ({
  createStdioTransport: () => {
    const transport = next.shift() ?? new FakeTransport()
    used.push(transport)
    return transport
  },
}))

const slots: LinkSlot[] = []
let deadlines: Deadlines

/** The slot reads this clock, and links the one that adds to the start of the process: both begin at the same moment. */
const ORIGIN = Math.floor(performance.timeOrigin)

beforeEach(() => {
  vi.useFakeTimers({ now: ORIGIN })
  vi.spyOn(Math, 'random').mockReturnValue(1)
  deadlines = new Deadlines()
})
afterEach(async () => {
  await Promise.all(slots.splice(0).map(slot => slot.close()))
  deadlines.close()
  next.length = 0
  used.length = 0
  expect(vi.getTimerCount()).toBe(0)
  vi.useRealTimers()
  vi.restoreAllMocks()
})

interface Told {
  readonly opened: () => number
  readonly unreachable: GatewayError[]
  /** Links that were lost after another one had taken their place. */
  readonly retired: Link[]
}

function slotOf(changes: Partial<ServerConfig> = {}, key: Partial<SlotKey> = {}): LinkSlot & Told {
  let opened = 0
  const unreachable: GatewayError[] = []
  const retired: Link[] = []
  const slot: LinkSlot = new LinkSlot({
    server: serverConfig(changes),
    replica: replicaOf(serverConfig(changes)),
    key: {
      id: 'common',
      era: 'legacy',
      capabilities: '{}',
      owner: undefined,
      principal: undefined,
      shared: 'legacy',
      exclusive: false,
      ...key,
    },
    deadlines,
    logger: SILENT,
    clientInfo: '{"name":"gateway","version":"1"}',
    now: () => Date.now(),
    listener: {
      onNotification: () => {},
      onRequest: () => Promise.reject(new GatewayError('unknown_method', 'no')),
      onLost: (link, error) => {
        if (!slot.holds(link)) retired.push(link)
        slot.lost(link, error)
      },
      onGap: () => {},
      onUnreachable: (_, error) => void unreachable.push(error),
      onOpen: () => void opened++,
    },
  })
  slots.push(slot)
  return Object.assign(slot, { opened: () => opened, unreachable, retired })
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
  it('is shared by all calls that need the link, and happens once', async () => {
    const slot = slotOf()
    expect(slot.state.kind).toBe('idle')
    const [one, two] = await Promise.all([slot.pick(), slot.pick()])
    expect(one).toBe(two)
    expect(slot.pick()).toBe(one)
    expect(slot.current).toBe(one)
    expect(used).toHaveLength(1)
    expect(slot.opened()).toBe(1)
    expect(slot.spoken).toEqual({ legacy: true, modern: false })
  })

  it.each(['needs_login', 'missing_value'] as const)(
    'that fails with %s is repeated by the next call, as often as it is so',
    async code => {
      const lacking = (): FakeTransport => {
        const transport = new FakeTransport()
        transport.opening = Promise.reject(
          new GatewayError(code, 'Server "fake" lacks it.', { server: 'fake' }),
        )
        transport.opening.catch(() => {})
        return transport
      }
      const slot = slotOf()
      for (let times = 1; times <= 12; times++) {
        next.push(lacking())
        expect(await failureOf(slot.pick())).toMatchObject({ code, message: 'Server "fake" lacks it.' })
        expect(slot.state).toMatchObject({ kind: 'failed', attempts: 0 })
      }
      expect(await slot.pick()).toBe(slot.current)
    },
  )

  it('that fails is not repeated before its time, and calls get the cause and the time of the next try', async () => {
    next.push(broken(), broken())
    const slot = slotOf()
    expect((await failureOf(slot.pick())).message).toBe('Server "fake" is broken.')
    expect(slot.state.kind).toBe('failed')
    vi.setSystemTime(Date.now() + 499)
    const refused = await failureOf(slot.pick())
    expect(refused).toMatchObject({
      code: 'upstream_start_failed',
      server: 'fake',
      retryAfterMs: 1,
      delivery: 'not_sent',
    })
    expect(refused.message).toBe('Server "fake" is broken. Next attempt in 1 s.')
    expect(used).toHaveLength(1)
    vi.setSystemTime(Date.now() + 1)
    await failureOf(slot.pick())
    expect(used).toHaveLength(2)
    expect(used.map(({ closed }) => closed)).toEqual([1, 1])
  })

  it('is tried less and less often, and is a crash loop in the end: every five minutes', async () => {
    const slot = slotOf()
    const delays: number[] = []
    for (let n = 0; n < 10; n++) {
      next.push(broken())
      await failureOf(slot.pick())
      expect(slot.state.kind).toBe(n < 7 ? 'failed' : 'stopped')
      const nextTry = slot.nextTry as number
      delays.push(nextTry - Date.now())
      vi.setSystemTime(nextTry)
    }
    expect(delays).toEqual([500, 1000, 2000, 4000, 8000, 16_000, 32_000, 300_000, 300_000, 300_000])
    await slot.pick()
    expect(slot.state.kind).toBe('ready')
  })

  it('of what is reached by an address is tried once a minute at least', async () => {
    const endpoint: ReplicaConfig['endpoint'] = {
      kind: 'http',
      url: 'http://127.0.0.1:1/',
      headers: {},
      sseFallback: false,
    }
    const slot = slotOf({ restartLimit: 1, replicas: [replicaConfig({ endpoint })] })
    // An address without a listener refuses at once, whatever the clock of the test says.
    vi.useRealTimers()
    await failureOf(slot.pick())
    vi.useFakeTimers()
    expect(slot.state.kind).toBe('failed')
    expect((slot.nextTry as number) - Date.now()).toBeLessThanOrEqual(60_000)
  })

  it('that failed can be forgiven', async () => {
    next.push(broken())
    const slot = slotOf()
    await failureOf(slot.pick())
    slot.forgive()
    await slot.pick()
    expect(slot.state.kind).toBe('ready')
  })

  it('that never comes to an end fails when its time is up', async () => {
    const silent = new FakeTransport()
    silent.opening = new Promise(() => {})
    next.push(silent)
    const slot = slotOf({ startTimeoutMs: 3000 })
    const failure = failureOf(slot.pick())
    await vi.advanceTimersByTimeAsync(3000)
    expect(await failure).toMatchObject({ code: 'upstream_timeout', server: 'fake' })
    expect((await failure).message).toMatch(/"fake".*3 s.*"startTimeout"/)
    expect(silent.closed).toBe(1)
  })

  it('in progress ends when the slot closes, and leaves nothing', async () => {
    const slow = new FakeTransport()
    const opening = deferred()
    slow.opening = opening.promise
    next.push(slow)
    const slot = slotOf()
    const failure = failureOf(slot.pick())
    const closing = slot.close()
    opening.resolve()
    await closing
    expect(await failure).toMatchObject({ code: 'shutting_down' })
    expect(slow.closed).toBeGreaterThan(0)
    expect(await failureOf(slot.pick())).toMatchObject({ code: 'shutting_down' })
    expect(used).toHaveLength(1)
  })

  it('that waits for the server is broken off when the slot closes', async () => {
    next.push(new FakeTransport({}))
    const slot = slotOf({ startTimeoutMs: 60_000 })
    const failure = failureOf(slot.pick())
    await vi.advanceTimersByTimeAsync(10)
    expect(used[0]?.of('server/discover')).toHaveLength(1)
    // No time passes: a server that is slow to start does not keep the gateway from ending.
    await slot.close()
    expect(await failure).toMatchObject({ code: 'shutting_down' })
    expect(used[0]?.closed).toBeGreaterThan(0)
    expect(used).toHaveLength(1)
  })
})

describe('a link that is lost', () => {
  it('is replaced at the next call, at once the first time', async () => {
    const slot = slotOf()
    const first = await slot.pick()
    used[0]?.receiver.onClose(gone())
    expect(slot.current).toBeUndefined()
    const second = await slot.pick()
    expect(second).not.toBe(first)
    expect(used[0]?.closed).toBeGreaterThan(0)
  })

  it('again and again is a crash loop, and backed off', async () => {
    const slot = slotOf()
    const delays: number[] = []
    for (let n = 0; n < 4; n++) {
      await slot.pick()
      used.at(-1)?.receiver.onClose(gone())
      if (slot.state.kind !== 'failed') throw new Error(slot.state.kind)
      delays.push(slot.state.nextTry - Date.now())
      vi.setSystemTime(slot.state.nextTry)
    }
    expect(delays).toEqual([0, 1000, 2000, 4000])
    // One that held for a while is no part of it.
    await slot.pick()
    vi.setSystemTime(Date.now() + 30_000)
    used.at(-1)?.receiver.onClose(gone())
    expect(slot.state).toMatchObject({ kind: 'failed', nextTry: Date.now() })
  })

  it('so often that it is a crash loop fails calls at once, with how often, why and until when', async () => {
    const slot = slotOf({ restartLimit: 3 })
    for (let n = 0; n < 3; n++) {
      await slot.pick()
      used.at(-1)?.receiver.onClose(gone())
      if (n < 2) vi.setSystemTime(slot.nextTry as number)
    }
    expect(slot.state).toMatchObject({ kind: 'stopped', nextTry: Date.now() + 300_000, attempts: 3 })
    const refused = await failureOf(slot.pick())
    expect(refused).toMatchObject({
      code: 'upstream_closed',
      server: 'fake',
      delivery: 'not_sent',
      retryAfterMs: 300_000,
    })
    expect(refused.message).toMatch(
      /"fake" is in a crash loop: 3 starts in a row failed or did not last 30 s.*every 5 minutes.*"fake" is gone.*Next attempt in 300 s\./,
    )
    expect(used).toHaveLength(3)
    // The first loss cost no call anything; the second and third did.
    expect(slot.unreachable).toHaveLength(2)
    expect(slot.unreachable[1]?.message).toContain('crash loop')
    // One try, which does not last either.
    vi.setSystemTime(Date.now() + 300_000)
    await slot.pick()
    used.at(-1)?.receiver.onClose(gone())
    expect(slot.state).toMatchObject({ kind: 'stopped', nextTry: Date.now() + 300_000 })
    // And one that does.
    vi.setSystemTime(Date.now() + 300_000)
    await slot.pick()
    vi.setSystemTime(Date.now() + 30_000)
    used.at(-1)?.receiver.onClose(gone())
    expect(slot.state).toMatchObject({ kind: 'failed', nextTry: Date.now() })
  })

  it('after it was idle for long is not held to the crashes before', async () => {
    const slot = slotOf({ restartLimit: 2, idleMs: 60_000 })
    await slot.pick()
    used.at(-1)?.receiver.onClose(gone())
    await slot.pick()
    await vi.advanceTimersByTimeAsync(61_000)
    expect(slot.state.kind).toBe('idle')
    await slot.pick()
    used.at(-1)?.receiver.onClose(gone())
    expect(slot.state.kind).toBe('failed')
  })

  it('with its session is opened anew; what is in flight on the old one is still answered', async () => {
    const slot = slotOf()
    const first = await slot.pick()
    const call = first.call(exchangeOf('tools/call', { name: 'x' }), {
      method: 'tools/call',
      change: { target: { key: 'name', value: 'x' } },
    })
    used[0]?.receiver.onSessionLost()
    expect(slot.state.kind).toBe('idle')
    expect(first.usable).toBe(false)
    const second = await slot.pick()
    expect(second).not.toBe(first)
    expect(used[0]?.closed).toBe(0)
    used[0]?.answer(used[0].idOf('tools/call'), { result: { late: true } })
    expect(await call).toMatchObject({ kind: 'result', text: '{"late":true}' })
    expect(used[0]?.closed).toBeGreaterThan(0)
    expect(second.usable).toBe(true)
  })

  it('fails what was in flight as unknown', async () => {
    const slot = slotOf()
    const link = await slot.pick()
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

const CALL = { method: 'tools/call', change: { target: { key: 'name', value: 'x' } } } as const
const callOn = (link: Link) => link.call(exchangeOf('tools/call', { name: 'x' }), CALL)

describe('a link whose process uses too much memory', () => {
  it('is replaced before it ends, and ends when it has answered', async () => {
    const slot = slotOf({ timeoutMs: 0 })
    const first = await slot.pick()
    const call = callOn(first)
    const opening = deferred()
    const slow = new FakeTransport()
    slow.opening = opening.promise
    next.push(slow)
    used[0]?.receiver.onMemoryLimitExceeded(5e9)
    used[0]?.receiver.onMemoryLimitExceeded(5e9)
    await vi.advanceTimersByTimeAsync(0)
    // Nothing changes for any call until the other one has been greeted.
    expect(slot.pick()).toBe(first)
    opening.resolve()
    await vi.advanceTimersByTimeAsync(0)
    const second = slot.current as Link
    expect(second).not.toBe(first)
    expect(slot.pick()).toBe(second)
    expect(used).toHaveLength(2)
    await vi.advanceTimersByTimeAsync(30_000)
    expect(used[0]?.closed).toBe(0)
    used[0]?.answer(used[0].idOf('tools/call'), { result: { late: true } })
    expect(await call).toMatchObject({ text: '{"late":true}' })
    await vi.advanceTimersByTimeAsync(1000)
    expect(used[0]?.closed).toBe(1)
    expect(slot.retired).toEqual([first])
    expect(slot.current).toBe(second)
    expect(slot.opened()).toBe(2)
  })

  it('ends after a minute in any case; what is left fails as unknown', async () => {
    const slot = slotOf({ timeoutMs: 0 })
    const call = failureOf(callOn(await slot.pick()))
    used[0]?.receiver.onMemoryLimitExceeded(5e9)
    await vi.advanceTimersByTimeAsync(59_000)
    expect(used[0]?.closed).toBe(0)
    await vi.advanceTimersByTimeAsync(2000)
    expect(used[0]?.closed).toBe(1)
    expect(await call).toMatchObject({ code: 'upstream_closed', delivery: 'unknown', server: 'fake' })
    expect((await call).message).toMatch(/memory.*replaced.*60 s/)
  })

  it('goes on while no other one can be started, and is not tried all the time', async () => {
    const slot = slotOf()
    const first = await slot.pick()
    vi.setSystemTime(Date.now() + 30_000)
    next.push(broken(), broken())
    for (let second = 0; second < 3; second++) {
      used[0]?.receiver.onMemoryLimitExceeded(5e9)
      await vi.advanceTimersByTimeAsync(100)
    }
    expect(used).toHaveLength(2)
    expect(slot.pick()).toBe(first)
    expect(slot.state.kind).toBe('ready')
    expect(slot.unreachable).toEqual([])
    vi.setSystemTime(Date.now() + 500)
    used[0]?.receiver.onMemoryLimitExceeded(5e9)
    await vi.advanceTimersByTimeAsync(0)
    expect(used).toHaveLength(3)
    vi.setSystemTime(Date.now() + 1000)
    used[0]?.receiver.onMemoryLimitExceeded(5e9)
    await vi.advanceTimersByTimeAsync(0)
    expect(slot.current).not.toBe(first)
  })

  it('as soon as it runs is replaced less and less often', async () => {
    const slot = slotOf()
    await slot.pick()
    for (let looks = 0; looks < 60; looks++) {
      used.at(-1)?.receiver.onMemoryLimitExceeded(5e9)
      await vi.advanceTimersByTimeAsync(5000)
    }
    // Five minutes of it: at once, then after 1, 2, 4, 8, 16, 32 s, and then not for five minutes.
    expect(used.length).toBeLessThanOrEqual(9)
    expect(used.length).toBeGreaterThan(5)
  })

  it('is what a lost one is followed by, when it was lost meanwhile', async () => {
    const slot = slotOf()
    await slot.pick()
    const opening = deferred()
    const slow = new FakeTransport()
    slow.opening = opening.promise
    next.push(slow)
    used[0]?.receiver.onMemoryLimitExceeded(5e9)
    await vi.advanceTimersByTimeAsync(0)
    used[0]?.receiver.onClose(gone())
    opening.resolve()
    await vi.advanceTimersByTimeAsync(0)
    expect(slot.state.kind).toBe('ready')
    await slot.pick()
    expect(used).toHaveLength(2)
  })

  it("and is one call's alone serves that call to its end", async () => {
    const slot = slotOf({}, { exclusive: true })
    const link = await slot.pick()
    slot.lease()
    const call = callOn(link)
    used[0]?.receiver.onMemoryLimitExceeded(5e9)
    await vi.advanceTimersByTimeAsync(5000)
    expect(slot.retireAfterUse).toBe(true)
    expect(used).toHaveLength(1)
    expect(used[0]?.closed).toBe(0)
    used[0]?.answer(used[0].idOf('tools/call'), { result: {} })
    await call
    const idle = slotOf({}, { exclusive: true })
    await idle.pick()
    used[1]?.receiver.onMemoryLimitExceeded(5e9)
    expect(idle.state.kind).toBe('idle')
    expect(used[1]?.closed).toBe(1)
  })

  it('does not keep its slot from closing while the other one starts', async () => {
    const slot = slotOf()
    await slot.pick()
    next.push(new FakeTransport({}))
    used[0]?.receiver.onMemoryLimitExceeded(5e9)
    await vi.advanceTimersByTimeAsync(10)
    await slot.close()
    expect(used.map(({ closed }) => closed > 0)).toEqual([true, true])
  })
})

describe('an idle link', () => {
  it('is stopped in its time, and started again by the next call', async () => {
    const slot = slotOf({ idleMs: 60_000 })
    const first = await slot.pick()
    await vi.advanceTimersByTimeAsync(59_000)
    expect(slot.current).toBe(first)
    await vi.advanceTimersByTimeAsync(2000)
    expect(slot.state.kind).toBe('idle')
    expect(used[0]?.closed).toBe(1)
    expect(await slot.pick()).not.toBe(first)
  })

  it('counts from its last use', async () => {
    const slot = slotOf({ idleMs: 60_000, timeoutMs: 0 })
    const link = await slot.pick()
    await vi.advanceTimersByTimeAsync(40_000)
    const call = link.call(exchangeOf('tools/call', { name: 'x' }), {
      method: 'tools/call',
      change: { target: { key: 'name', value: 'x' } },
    })
    // Nothing is idle that still owes an answer.
    await vi.advanceTimersByTimeAsync(200_000)
    expect(slot.current).toBe(link)
    used[0]?.answer(used[0].idOf('tools/call'), { result: {} })
    await call
    await vi.advanceTimersByTimeAsync(55_000)
    expect(slot.current).toBe(link)
    await vi.advanceTimersByTimeAsync(10_000)
    expect(slot.state.kind).toBe('idle')
  })

  it('stays while it is pinned, and comes back by itself when it is lost', async () => {
    const slot = slotOf({ idleMs: 60_000 })
    await slot.pick()
    slot.pin()
    await vi.advanceTimersByTimeAsync(300_000)
    expect(slot.state.kind).toBe('ready')
    next.push(broken(), broken())
    used[0]?.receiver.onClose(gone())
    await vi.advanceTimersByTimeAsync(0)
    expect(slot.state.kind).toBe('failed')
    await vi.advanceTimersByTimeAsync(3000)
    expect(slot.state.kind).toBe('ready')
    expect(used).toHaveLength(4)
    slot.unpin()
    await vi.advanceTimersByTimeAsync(61_000)
    expect(slot.state.kind).toBe('idle')
  })

  it('stays for ever where idling is off', async () => {
    const slot = slotOf({ idleMs: 0 })
    await slot.pick()
    await vi.advanceTimersByTimeAsync(24 * 60 * 60 * 1000)
    expect(slot.state.kind).toBe('ready')
  })
})

it('closing waits for every link, also one that was being closed already', async () => {
  const slot = slotOf()
  await slot.pick()
  const closing = deferred()
  const [transport] = used
  if (transport) transport.closing = closing.promise
  transport?.receiver.onClose(gone())
  let closed = false
  const done = slot.close().then(() => (closed = true))
  await vi.advanceTimersByTimeAsync(1000)
  expect(closed).toBe(false)
  closing.resolve()
  await done
  await slot.close()
})
