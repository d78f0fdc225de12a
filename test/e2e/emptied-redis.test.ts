import { createClient } from '@redis/client'
import { describe, expect, onTestFinished, test } from 'vitest'
import { SILENT, type Logger } from '../../src/core/logger.ts'
import { openRedisStore } from '../../src/state/redis.ts'
import { bearer, keyOf, withKeys } from '../helpers/callers.ts'
import { startGateway } from '../helpers/gateway.ts'
import { hasRedis, startRedis, type RedisServer } from '../helpers/redis-server.ts'
import { scriptedHttp, type ScriptedServer } from '../helpers/scripted-servers.ts'
import { ModernHttp } from '../helpers/wire-clients.ts'

/** A Redis loses its data while gateways run on it. */

const CALL = '{"name":"s__t","arguments":{}}'
const RAN = '"content":[]'
const LIMITED = ['used', 'begun', 'paced', 'placed']

interface Running extends AsyncDisposable {
  readonly callOf: (client: string) => Promise<string>
  readonly said: string[]
}

async function gatewayOn(
  { url }: { readonly url: string },
  server: ScriptedServer,
  fail: 'open' | 'closed',
): Promise<Running> {
  const said: string[] = []
  const say = (message: string): void => void said.push(message)
  const logger: Logger = { ...SILENT, warn: say, error: say, child: () => logger }
  const gateway = await startGateway(
    {
      mcpServers: { s: server.entry },
      clients: withKeys({
        used: { budget: { calls: '3/month' } },
        begun: { budget: { calls: '1000/month' } },
        paced: { rate: '1000/minute' },
        placed: { concurrency: 2 },
        free: {},
      }),
      gateway: { timeZone: 'UTC', fail },
    },
    { store: await openRedisStore(url, { logger }), logger },
  )
  await gateway.gateway.warmUp()
  const callOf = async (client: string): Promise<string> => {
    await using caller = new ModernHttp(gateway.origin, '/mcp', { headers: bearer(keyOf(client)) })
    return await caller.request('1', 'tools/call', CALL)
  }
  return { callOf, said, [Symbol.asyncDispose]: () => gateway[Symbol.asyncDispose]() }
}

/** A Redis without its data. It ends before the gateways that were there first: they would find its process left behind. */
interface Emptied extends AsyncDisposable {
  readonly url: string
}

/** Takes everything out of a Redis. */
const LOSSES = {
  'FLUSHALL empties': async ({ url }: RedisServer): Promise<Emptied> => {
    const client = createClient({ url })
    await client.connect()
    await client.flushAll()
    await client.close()
    return { url, [Symbol.asyncDispose]: () => Promise.resolve() }
  },
  'a restart empties': async (redis: RedisServer): Promise<Emptied> => {
    await redis.stop()
    const again = await startRedis(redis.port)
    return { url: again.url, [Symbol.asyncDispose]: () => again.stop() }
  },
}

describe.runIf(hasRedis()).each(Object.entries(LOSSES))(
  'a Redis that %s while gateways run on it',
  (_, lose) => {
    const setUp = async (): Promise<{ redis: RedisServer; server: ScriptedServer }> => {
      const redis = await startRedis()
      onTestFinished(() => redis.stop())
      const server = await scriptedHttp()
      onTestFinished(() => server[Symbol.asyncDispose]())
      server.results.set('tools/call', '{"content":[]}')
      return { redis, server }
    }
    const useUp = async ({ callOf }: Running): Promise<void> => {
      for (let at = 0; at < 3; at++) expect(await callOf('used')).toContain(RAN)
      expect(await callOf('used')).toContain('is used up')
    }

    test('begins no quota anew with "quotaFailureMode": "closed", also in a gateway that had counted nothing before', async () => {
      const { redis, server } = await setUp()
      await using counting = await gatewayOn(redis, server, 'closed')
      await using idle = await gatewayOn(redis, server, 'closed')
      await useUp(counting)
      await using emptied = await lose(redis)
      const ran = (): number => server.messages.all.filter(text => text.includes('"tools/call"')).length
      const before = ran()
      // What is known to be used up is not asked for again at once.
      await expect.poll(() => counting.callOf('used'), { interval: 100 }).toContain('quota_unavailable')
      for (const { callOf, said } of [counting, idle]) {
        for (const client of LIMITED) {
          const answer = await callOf(client)
          expect([client, answer]).toEqual([client, expect.stringContaining('quota_unavailable')])
          expect(answer).toContain('is not known, because the gateway has lost its state')
          expect(answer).toContain('the operator')
        }
        expect(said.filter(line => line.includes('has lost its content'))).toHaveLength(1)
        expect(said.filter(line => line.includes('Limited calls are refused'))).toHaveLength(1)
        expect(said.join('\n')).toContain('a restart of the gateway begins all periods anew')
      }
      expect(ran()).toBe(before)
      expect(await counting.callOf('free')).toContain(RAN)
      // As the log says.
      await using restarted = await gatewayOn(emptied, server, 'closed')
      for (const client of LIMITED)
        expect([client, await restarted.callOf(client)]).toEqual([client, expect.stringContaining(RAN)])
    })

    test('counts anew with "quotaFailureMode": "open", and calls go on', async () => {
      const { redis, server } = await setUp()
      await using gateway = await gatewayOn(redis, server, 'open')
      await useUp(gateway)
      await using emptied = await lose(redis)
      await expect.poll(() => gateway.callOf('used'), { interval: 100 }).toContain(RAN)
      for (const client of LIMITED)
        expect([client, await gateway.callOf(client)]).toEqual([client, expect.stringContaining(RAN)])
      expect(gateway.said.filter(line => line.includes('has lost its content'))).toHaveLength(1)
      expect(gateway.said.filter(line => line.includes('Counting begins anew'))).toHaveLength(1)
      await using later = await gatewayOn(emptied, server, 'open')
      expect(await later.callOf('begun')).toContain(RAN)
      expect(later.said).toEqual([])
    })
  },
)
