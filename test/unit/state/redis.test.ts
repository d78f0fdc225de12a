import { createServer, type Server, type Socket } from 'node:net'
import { once } from 'node:events'
import { afterAll, beforeAll, describe, expect, it, onTestFinished } from 'vitest'
import { describeError } from '../../../src/core/errors.ts'
import { SILENT, type Logger } from '../../../src/core/logger.ts'
import { createMemoryStore } from '../../../src/state/memory.ts'
import { openStore } from '../../../src/state/open.ts'
import { openRedisStore } from '../../../src/state/redis.ts'
import type { Store, TakeRequest } from '../../../src/state/store.ts'
import { describeAmounts } from '../../contract/amounts.ts'
import { describeStore } from '../../contract/store.ts'
import { hasRedis, startRedis, type RedisServer } from '../../helpers/redis-server.ts'
import { freePort } from '../../helpers/served.ts'
import { rng } from '../../helpers/rng.ts'
import { RunningTime } from '../../helpers/running-time.ts'

let next = 0

function recorder(): { logger: Logger; lines: string[] } {
  const lines: string[] = []
  const say = (message: string): void => void lines.push(message)
  return { lines, logger: { ...SILENT, info: say, warn: say, error: say } }
}

async function reachable(store: Store): Promise<void> {
  for (;;) {
    try {
      return void (await store.get('x'))
    } catch {
      await new Promise(resolve => setTimeout(resolve, 20))
    }
  }
}

describe.runIf(hasRedis())('redis', () => {
  let server: RedisServer
  beforeAll(async () => {
    server = await startRedis()
  })
  afterAll(() => server.stop())
  const address = (prefix: string): string => `${server.url}/0?prefix=${encodeURIComponent(prefix)}`

  let opened = ''
  describeStore(
    'redis',
    now => openRedisStore((opened = address(`s${next++}[*]:`)), { now, logger: SILENT }),
    now => openRedisStore(opened, { now, logger: SILENT }),
  )
  describeAmounts('redis', async now => {
    const url = address(`a${next++}:`)
    return [
      await openRedisStore(url, { now, logger: SILENT }),
      await openRedisStore(url, { now, logger: SILENT }),
    ]
  })

  it('answers as the arithmetic in TypeScript does, whatever is asked', async () => {
    let time = 1_700_000_000_000
    const now = (): number => time
    const redis = await openRedisStore(address('same:'), { now, logger: SILENT })
    const memory = createMemoryStore({ now })
    const random = rng(3)
    const pick = <T>(list: readonly T[]): T => list[Math.floor(random() * list.length)] as T
    const ats: number[] = [time]
    for (let step = 0; step < 1500; step++) {
      time += Math.floor((random() - 0.2) * 900)
      const want = pick([0, 1, 2.5, 0.001, 7, 30])
      const request: TakeRequest = {
        key: pick(['a', 'b', 'c']),
        limit: pick([10, 25.5]),
        window: { slidingMs: 2000 },
        want,
        atLeast: pick([0, want, want / 2]),
        spend: pick([0, 0, 1.234, -2, -0.5, 12]),
        takenAt: pick(ats.slice(-8)),
      }
      const fixed = { ...request, key: `f/${request.key}`, window: { until: time - (time % 5000) + 5000 } }
      const claim = {
        key: 'h',
        holder: pick(['p', 'q', 'r']),
        want: pick([0, 1, 3, 9]),
        limit: 5,
        ttlMs: 1500,
        renews: pick([true, false]),
      }
      for (const asked of [request, fixed]) {
        const answer = await memory.take(asked)
        expect(await redis.take(asked), JSON.stringify({ step, asked })).toEqual(answer)
        ats.push(answer.at)
      }
      expect(await redis.hold(claim)).toEqual(await memory.hold(claim))
    }
    await redis.close()
  })

  it('runs on the clock of Redis, which lets everything expire', async () => {
    const store = await openRedisStore(address('real:'), { logger: SILENT })
    onTestFinished(() => store.close())
    const request = { key: 'k', limit: 3, want: 2, atLeast: 1, spend: 0 }
    const first = await store.take({ ...request, window: { slidingMs: 2000 } })
    expect(first).toMatchObject({ granted: 2, left: 1 })
    expect(Math.abs(first.at - Date.now())).toBeLessThan(5000)
    expect(await store.take({ ...request, window: { slidingMs: 2000 } })).toMatchObject({ granted: 1 })
    await store.hold({ key: 'h', holder: 'p', want: 2, limit: 2, ttlMs: 2000 })
    await store.set('v', '1', { ttlMs: 2000 })
    await store.setHeld({ key: 'w', value: '1', ttlMs: 2000, claim: 'h', holder: 'p' })
    expect(await store.keys('')).toEqual(['h', 'k', 'v', 'w'])
    await expect.poll(() => store.keys('')).toEqual([])
    expect(await store.take({ ...request, window: { until: Date.now() + 60_000 } })).toMatchObject({
      left: 1,
    })
  })

  it('goes on when Redis has forgotten its scripts', async () => {
    const store = await openRedisStore(address('scripts:'), { logger: SILENT })
    const request = { key: 'k', limit: 3, window: { slidingMs: 60_000 }, want: 1, atLeast: 1, spend: 0 }
    await store.take(request)
    const { createClient } = await import('@redis/client')
    const other = createClient({ url: server.url })
    await other.connect()
    await other.scriptFlush()
    await other.close()
    expect(await store.take(request)).toMatchObject({ granted: 1, left: 1 })
    await store.close()
  })

  it.each(['emptied', 'restarted'])(
    'says that Redis has lost its content, once, when it was %s',
    async how => {
      let own = await startRedis()
      onTestFinished(() => own.stop())
      const { logger, lines } = recorder()
      const [one, other] = [
        await openRedisStore(own.url, { logger }),
        await openRedisStore(own.url, { logger }),
      ]
      const window = { until: Date.now() + 3_600_000 }
      const take = async (store: Store): Promise<number> =>
        (await store.take({ key: 'k', limit: 3, window, want: 1, atLeast: 1, spend: 0 })).left
      const hold = (store: Store): Promise<unknown> =>
        store.hold({ key: 'p', holder: 'me', want: 1, limit: 3, ttlMs: 1000 })
      expect([await take(one), await take(other), await take(one)]).toEqual([2, 1, 0])
      await hold(other)
      expect(lines).toEqual([])
      if (how === 'emptied') {
        const { createClient } = await import('@redis/client')
        const client = createClient({ url: own.url })
        await client.connect()
        await client.flushAll()
        await client.close()
      } else {
        await own.stop()
        own = await startRedis(own.port)
        await Promise.all([reachable(one), reachable(other)])
      }
      expect(await take(one)).toBe(2)
      await hold(other)
      await Promise.all([take(one), hold(one), take(other)])
      const lost = lines.filter(line => line.includes('has lost its content'))
      // One of each process.
      expect(lost).toEqual(Array(2).fill(expect.stringContaining(`The state store ${one.name} has lost`)))
      expect([one.lostAt, other.lostAt]).toEqual([expect.any(Number), expect.any(Number)])
      // What comes later knows of nothing that could be lost.
      const late = await openRedisStore(own.url, { logger })
      await take(late)
      expect(late.lostAt).toBeUndefined()
      expect(lines.filter(line => line.includes('has lost its content'))).toHaveLength(2)
      await Promise.all([one.close(), other.close(), late.close()])
    },
  )

  it('notices a loss also where nothing was counted before', async () => {
    const own = await startRedis()
    onTestFinished(() => own.stop())
    const { logger, lines } = recorder()
    const store = await openRedisStore(own.url, { logger })
    await own.stop()
    const again = await startRedis(own.port)
    onTestFinished(() => again.stop())
    await reachable(store)
    await expect.poll(() => store.lostAt).toBeTypeOf('number')
    expect(lines.filter(line => line.includes('has lost its content'))).toHaveLength(1)
    await store.close()
  })

  it('says once that Redis is gone, rejects meanwhile, and is back with it', async () => {
    const own = await startRedis()
    onTestFinished(() => own.stop())
    const { logger, lines } = recorder()
    const store = await openRedisStore(own.url, { logger })
    await store.set('a', '1')
    await own.stop()
    await expect(store.get('a')).rejects.toThrow(/cannot be reached/)
    using time = new RunningTime()
    for (let i = 0; i < 20; i++) await expect(store.get('a')).rejects.toThrow(/cannot be reached/)
    expect(time.ms).toBeLessThan(5000)
    const again = await startRedis(own.port)
    onTestFinished(() => again.stop())
    await reachable(store)
    expect(await store.get('a')).toBeUndefined()
    // A connection that was accepted just before the end may break once more; each change is said once.
    const changes = lines.filter(line => !line.includes('has lost its content'))
    const said = changes.map(line =>
      line.endsWith(' can be reached again.')
        ? 'back'
        : line.includes(' cannot be reached: ')
          ? 'gone'
          : line,
    )
    expect(said.slice(0, 2)).toEqual(['gone', 'back'])
    expect(said).toEqual(said.map((_, at) => (at % 2 === 0 ? 'gone' : 'back')))
    await store.close()
  })

  it('gives up on an answer that does not come, and uses Redis again when it answers', async () => {
    const own = await startRedis()
    onTestFinished(() => own.stop())
    const store = await openRedisStore(own.url, { logger: SILENT })
    own.freeze()
    using time = new RunningTime()
    const request = { key: 'k', limit: 3, window: { slidingMs: 60_000 }, want: 1, atLeast: 1, spend: 0 }
    const failure = await store.take(request).catch(describeError)
    expect(failure).toMatch(/cannot be reached.*: no answer in 2000 ms/)
    expect(time.ms).toBeLessThan(15_000)
    await expect(store.take(request)).rejects.toThrow(/cannot be reached/)
    own.thaw()
    await reachable(store)
    expect((await store.take(request)).granted).toBe(1)
    await store.close()
  })

  it('names no password, wherever it fails', async () => {
    const own = await startRedis(undefined, ['--requirepass', 'right-secret'])
    onTestFinished(() => own.stop())
    const { logger, lines } = recorder()
    const wrong = await openRedisStore(`redis://:wrong-secret@127.0.0.1:${own.port}/1`, { logger })
    const failure = await wrong.get('a').catch((error: Error) => error)
    expect(wrong.name).toBe(`redis:127.0.0.1:${own.port}/1`)
    expect(lines).toHaveLength(1)
    const { inspect } = await import('node:util')
    expect(`${lines.join()} ${inspect(failure)} ${wrong.name}`).not.toContain('wrong-secret')
    await wrong.close()
    const right = await openRedisStore(`redis://:right-secret@127.0.0.1:${own.port}/1`, { logger })
    await right.set('a', '1')
    expect(await right.get('a')).toBe('1')
    await right.close()
  })
})

it('starts without a Redis, and uses it when it comes', async () => {
  const port = await freePort()
  const { logger, lines } = recorder()
  const store = await openStore(`redis://127.0.0.1:${port}`, logger)
  expect(lines).toHaveLength(1)
  expect(lines[0]).toMatch(/cannot be reached: .*ECONNREFUSED/)
  await expect(store.getMany(['a'])).rejects.toThrow('cannot be reached')
  await store.close()
  await expect(store.get('a')).rejects.toThrow('closed')
})

it('does not wait for ever for something that accepts and says nothing', async () => {
  const sockets = new Set<Socket>()
  const silent: Server = createServer(socket => void sockets.add(socket)).listen(0, '127.0.0.1')
  await once(silent, 'listening')
  const { port } = silent.address() as { port: number }
  const { logger, lines } = recorder()
  const store = await openStore(`redis://:pw@127.0.0.1:${port}`, logger)
  expect(lines[0]).toMatch(/cannot be reached: no answer in 2000 ms/)
  await store.close()
  for (const socket of sockets) socket.destroy()
  silent.close()
})

it('refuses an address that is none', async () => {
  await expect(openRedisStore('redis://', { logger: SILENT })).rejects.toThrow('is no URL')
})
