import { describe, expect, it, onTestFinished } from 'vitest'
import { GatewayError } from '../../src/core/errors.ts'
import type { JsonObject, Outcome } from '../../src/core/exchange.ts'
import { SILENT, type Logger } from '../../src/core/logger.ts'
import { clientPrincipal, type Principal } from '../../src/core/principal.ts'
import type { RunningGateway } from '../../src/gateway/gateway.ts'
import { resultFor } from '../../src/protocol/results.ts'
import { openRedisStore } from '../../src/state/redis.ts'
import { exchangeOf } from '../helpers/fake-transport.ts'
import { startGateway, type GatewayOptions } from '../helpers/gateway.ts'
import { openSession } from '../helpers/http-client.ts'
import { hasRedis, startRedis } from '../helpers/redis-server.ts'
import { freePort } from '../helpers/served.ts'
import { makeScratch } from '../helpers/scratch.ts'
import { scriptedStdio, toolText, type ScriptedServer } from '../helpers/scripted-servers.ts'

/** Quotas through a whole gateway, with a real server behind it. */

const META = 'io.github.mcp-manifold/quota'
const CI = clientPrincipal('ci')

async function upstream(): Promise<ScriptedServer> {
  const server = await scriptedStdio()
  onTestFinished(() => server[Symbol.asyncDispose]())
  server.results.set('tools/list', `{"tools":[${toolText('t')},${toolText('u')}]}`)
  server.results.set('tools/call', '{"content":[{"type":"text","text":"1.0"}],"n":1.0}')
  return server
}

interface Running {
  readonly gateway: RunningGateway
  readonly origin: string
  readonly server: ScriptedServer
  call(name?: string, principal?: Principal): Promise<JsonObject>
  /** Code of the refusal of a request, its data, and its text; `undefined` when it was not refused. */
  refusal(method?: string, params?: JsonObject, principal?: Principal): Promise<GatewayError | undefined>
  text(method: string, params?: JsonObject, principal?: Principal): Promise<string>
}

async function start(
  file: { clients?: JsonObject; entry?: JsonObject; gateway?: JsonObject },
  options: GatewayOptions = {},
): Promise<Running> {
  const server = await upstream()
  const { clients, entry, gateway: settings } = file
  const running = await startGateway(
    {
      mcpServers: { s: { ...server.entry, ...entry } },
      ...(clients && { clients }),
      gateway: { timeZone: 'UTC', ...settings },
    },
    { listen: false, ...options },
  )
  onTestFinished(() => running[Symbol.asyncDispose]())
  const { gateway, origin } = running
  const run = (method: string, params: JsonObject, principal: Principal): Promise<Outcome> =>
    gateway.handle(exchangeOf(method, params, { principal }))
  /** As a front frames it for a legacy client. */
  const text = async (method: string, params: JsonObject = {}, principal = CI): Promise<string> => {
    const exchange = exchangeOf(method, params, { principal })
    const outcome = await gateway.handle(exchange)
    if (outcome.kind !== 'result') return outcome.text.toString()
    return resultFor(exchange, method, outcome, gateway.serverInfo, exchange.state.remaining?.text())
  }
  return {
    gateway,
    origin,
    server,
    text,
    call: async (name = 't', principal = CI) =>
      JSON.parse(await text('tools/call', { name: `s__${name}` }, principal)) as JsonObject,
    async refusal(method = 'tools/call', params = { name: 's__t' }, principal = CI) {
      try {
        await run(method, params, principal)
        return undefined
      } catch (error) {
        if (error instanceof GatewayError) return error
        throw error
      }
    },
  }
}

const left = (result: JsonObject): JsonObject[] => (result._meta as JsonObject)[META] as JsonObject[]

describe('a rate', () => {
  it('counts requests of every kind, and refuses with what a client needs to know', async () => {
    const { refusal, text } = await start({ clients: { ci: { rate: '4/min' } } })
    await text('tools/list')
    await text('resources/list')
    await text('tools/call', { name: 's__t' })
    // One that fails was a request, too.
    expect((await refusal('tools/call', { name: 'nothing' }))?.code).toBe('unknown_name')
    const error = await refusal('prompts/list', {})
    expect(error).toMatchObject({ code: 'rate_limited', data: { limit: 'rate/minute', of: 'client:ci' } })
    expect(error?.message).toMatch(
      /^The limit of 4 requests per minute of client "ci" is reached\. Try again in \d+ s\.$/,
    )
    expect(error?.retryAfterMs).toBeGreaterThan(50_000)
    expect(error?.retryAfterMs).toBeLessThanOrEqual(61_000)
  })

  it('is counted for each identity by itself', async () => {
    const { refusal } = await start({ clients: { ci: { rate: '1/min' } } })
    const of = (id: string): Principal => ({ kind: 'user', id, name: id, client: 'ci', roles: [] })
    for (const id of ['user:a 1', 'user:a 2', 'client:ci']) {
      expect(await refusal('tools/list', {}, of(id))).toBeUndefined()
      expect((await refusal('tools/list', {}, of(id)))?.code).toBe('rate_limited')
    }
  })

  it('of a part of what a client may use takes from none when another limit refuses', async () => {
    const { refusal, call } = await start({
      clients: { ci: { limits: { 's/*': { rate: '3/min' }, 'tool:s/t': { rate: '1/min' } } } },
    })
    await call('t')
    for (let i = 0; i < 5; i++) expect((await refusal())?.data?.limit).toBe('rate/minute tool:s/t')
    // Two of three are still there.
    await call('u')
    await call('u')
    expect((await refusal('tools/call', { name: 's__u' }))?.data?.limit).toBe('rate/minute s/*')
  })
})

describe('concurrency', () => {
  it('limits what is under way, and frees the place whatever becomes of the call', async () => {
    const { server, refusal, call } = await start({ clients: { ci: { concurrency: 2 } } })
    server.results.delete('tools/call')
    const first = call('t')
    const request = await server.called('t')
    const second = call('u')
    const other = await server.called('u')
    const refused = await refusal('tools/list', {})
    expect(refused?.code).toBe('rate_limited')
    expect(refused?.message).toContain('2 calls at once of client "ci"')
    request.answer('"result":{"content":[]}')
    await first
    expect(await refusal('tools/list', {})).toBeUndefined()
    other.answer('"error":{"code":-32000,"message":"no"}')
    await second
    for (let i = 0; i < 4; i++)
      expect((await refusal('tools/call', { name: 'x' }))?.code).toBe('unknown_name')
  })

  it('of a tool is one for all clients', async () => {
    const { server, refusal, call } = await start({
      clients: { ci: {}, me: {} },
      entry: { tools: { t: { concurrency: 1 } } },
    })
    server.results.delete('tools/call')
    const first = call('t', clientPrincipal('me'))
    const request = await server.called('t')
    expect((await refusal())?.message).toContain('1 call at once of tool "s/t"')
    request.answer('"result":{"content":[]}')
    await first
  })
})

describe('a budget', () => {
  it('is charged for what a server did, shown on every result, and refuses when it is used up', async () => {
    const { call, refusal, text } = await start({ clients: { ci: { budget: { calls: '3/month' } } } })
    for (const expected of [2, 1, 0]) {
      const result = await call()
      expect(left(result)).toEqual([
        {
          name: 'calls/month',
          left: expected,
          limit: 3,
          resetsAt: expect.stringMatching(/-01T00:00:00.000Z$/),
        },
      ])
      // Lists and names that do not exist cost nothing.
      await text('tools/list')
      await refusal('tools/call', { name: 'x' })
    }
    const error = await refusal()
    expect(error).toMatchObject({ code: 'quota_exhausted', data: { limit: 'calls/month', amount: 3 } })
    expect(error?.message).toMatch(
      /^The budget of 3 calls per month of client "ci" is used up\. It begins anew at /,
    )
    expect(error?.retryAfterMs).toBeGreaterThan(0)
  })

  it('is sent when less than half is left of it; of several with more, the one that is nearest its end', async () => {
    const { call } = await start({
      clients: {
        ci: {
          rate: '100/min',
          budget: { calls: ['4/month', '20/day'], cost: '10/month' },
          limits: { 's/u': { budget: { calls: '2/month' } } },
        },
      },
      entry: { cost: 2 },
    })
    const told = async (name?: string): Promise<unknown[]> =>
      left(await call(name)).map(limit => [limit.name, limit.left])
    expect(await told()).toEqual([['calls/month', 3]])
    // Half of it is not less than half.
    expect(await told('u')).toEqual([['calls/month', 2]])
    expect(await told()).toEqual([
      ['calls/month', 1],
      ['cost/month', 4],
    ])
    expect(await told('u')).toEqual([
      ['calls/month', 0],
      ['cost/month', 2],
      ['calls/month s/u', 0],
    ])
  })

  it('leaves the bytes of a result as they are, but for the member it adds', async () => {
    const { server, text } = await start({ clients: { ci: { budget: { calls: '9/month' } } } })
    server.results.set('tools/call', '{ "n":1.0,"_meta":{ "a":12345678901234567890 },"content":[]}')
    const result = await text('tools/call', { name: 's__t' })
    expect(result).toMatch(
      /^\{ "n":1\.0,"_meta":\{"io\.github\.mcp-manifold\/quota":\[.*\], "a":12345678901234567890 \},"content":\[\]\}$/,
    )
  })

  it('costs what the server or the tool says', async () => {
    const { call, refusal } = await start({
      clients: { ci: { budget: { cost: '10/month' } } },
      entry: { cost: 2, tools: { u: { cost: 4.5 } } },
    })
    expect(left(await call('t'))[0]?.left).toBe(8)
    expect(left(await call('u'))[0]?.left).toBe(3.5)
    expect((await refusal('tools/call', { name: 's__u' }))?.code).toBe('quota_exhausted')
    expect(left(await call('t'))[0]?.left).toBe(1.5)
  })

  it('of bytes and of time is charged afterwards: what was under way is booked, and nothing after', async () => {
    const { server, call, refusal } = await start({ clients: { ci: { budget: { bytes: '100B/month' } } } })
    server.results.set('tools/call', `{"content":[{"type":"text","text":"${'é'.repeat(30)}"}]}`)
    expect(left(await call())[0]?.left).toBe(1)
    expect(left(await call())[0]?.left).toBe(0)
    expect((await refusal())?.code).toBe('quota_exhausted')
    const timed = await start({ clients: { ci: { budget: { compute: '40ms/month' } } } })
    timed.server.results.delete('tools/call')
    const slow = timed.call()
    const request = await timed.server.called('t')
    setTimeout(() => request.answer('"result":{"content":[]}'), 60)
    expect(left(await slow)[0]?.left).toBe(0)
    expect((await timed.refusal())?.message).toContain('40 ms of server time per month')
  })

  it('of a server is one for all, and unlimited clients receive nothing of it', async () => {
    const { call, refusal } = await start({
      clients: { ci: {}, me: { rate: '100/min' } },
      entry: { budget: { calls: '2/month' } },
    })
    expect((await call())._meta).toBeUndefined()
    expect(left(await call('t', clientPrincipal('me'))).map(({ name }) => name)).toEqual(['rate/minute'])
    expect((await refusal())?.message).toContain('2 calls per month of server "s"')
  })
})

it('refuses a tool call over HTTP with a result that says why', async () => {
  const server = await upstream()
  await using running = await startGateway({
    mcpServers: { s: { ...server.entry, budget: { calls: '1/month' } } },
  })
  const client = await openSession(running.origin)
  await client.call('s__t')
  const { result } = await client.request('tools/call', { name: 's__t', arguments: {} })
  expect(result).toMatchObject({
    isError: true,
    content: [
      { type: 'text', text: expect.stringContaining('The budget of 1 call per month of server "s"') },
    ],
    _meta: {
      'io.github.mcp-manifold/error': {
        code: 'quota_exhausted',
        limit: 'calls/month',
        of: 'server:s',
        retryAfterMs: expect.any(Number),
        resetsAt: expect.any(String),
      },
    },
  })
})

describe('manifold://usage', () => {
  it('is listed and read by clients with limits, and unknown to others', async () => {
    const { text, call } = await start({
      clients: {
        ci: {
          rate: '100/min',
          concurrency: 3,
          budget: { calls: '9/month' },
          limits: { 's/t': { budget: { cost: '5/month' } } },
        },
        me: {},
      },
    })
    await call()
    await call('u')
    const { resources } = JSON.parse(await text('resources/list')) as { resources: JsonObject[] }
    expect(resources[0]).toMatchObject({ uri: 'manifold://usage', mimeType: 'application/json' })
    const read = JSON.parse(await text('resources/read', { uri: 'manifold://usage' })) as {
      contents: { text: string }[]
    }
    expect(JSON.parse(read.contents[0]?.text ?? '')).toEqual({
      principal: 'ci',
      current: true,
      limits: [
        { name: 'rate/minute', of: 'everything', limit: 100, used: 4, left: 96 },
        // This very request.
        { name: 'concurrency', of: 'everything', limit: 3, used: 1, left: 2 },
        { name: 'calls/month', of: 'everything', limit: 9, used: 2, left: 7, resetsAt: expect.any(String) },
        { name: 'cost/month s/t', of: 's/t', limit: 5, used: 1, left: 4, resetsAt: expect.any(String) },
      ],
    })
    const me = clientPrincipal('me')
    expect(await text('resources/list', {}, me)).not.toContain('manifold://usage')
    // The URI is the gateway's own: no server is asked for it.
    await expect(text('resources/read', { uri: 'manifold://usage' }, me)).rejects.toMatchObject({
      code: 'resource_not_found',
    })
  })
})

describe.runIf(hasRedis())('when Redis goes away in between', () => {
  const until = async (condition: () => Promise<boolean>): Promise<void> => {
    while (!(await condition())) await new Promise(resolve => setTimeout(resolve, 50))
  }
  const recorder = (): { logger: Logger; lines: string[] } => {
    const lines: string[] = []
    const say = (message: string): void => void lines.push(message)
    const logger: Logger = { ...SILENT, info: say, warn: say, error: say, child: () => logger }
    return { logger, lines }
  }

  it.each(['closed', 'open'] as const)(
    'calls are decided by "fail": "%s", and counted again when it is back',
    async fail => {
      await using scratch = makeScratch()
      // One that keeps nothing makes limits begin anew only where calls may pass uncounted.
      const kept = ['--appendonly', 'yes', '--appendfsync', 'always', '--dir', scratch.path]
      const args = fail === 'closed' ? kept : []
      const redis = await startRedis(undefined, args)
      onTestFinished(() => redis.stop())
      const { logger, lines } = recorder()
      const store = await openRedisStore(redis.url, { logger })
      const { call, refusal } = await start(
        { clients: { ci: { budget: { calls: '50/month' } } }, gateway: { fail } },
        { store, logger },
      )
      await call()
      await redis.stop()
      const outcomes = []
      for (let i = 0; i < 30; i++) outcomes.push((await refusal())?.code)
      if (fail === 'closed') expect(outcomes.at(-1)).toBe('quota_unavailable')
      else expect(outcomes.every(code => code === undefined)).toBe(true)
      const again = await startRedis(redis.port, args)
      onTestFinished(() => again.stop())
      await until(async () => {
        await refusal()
        return lines.some(line => line.startsWith('The state of quotas can be reached again.'))
      })
      expect(lines.filter(line => line.startsWith('The state of quotas cannot be reached.'))).toHaveLength(1)
      expect(lines.filter(line => line.includes('has lost its content'))).toHaveLength(
        fail === 'open' ? 1 : 0,
      )
      // The budget holds again: what passed meanwhile is booked.
      let granted = 0
      for (let i = 0; i < 60; i++) if ((await refusal()) === undefined) granted++
      expect(granted).toBeLessThanOrEqual(fail === 'open' ? 20 : 50)
      expect((await refusal())?.code).toBe('quota_exhausted')
    },
  )
})

it('starts and answers without its Redis, and refuses what it cannot count', async () => {
  const store = await openRedisStore(`redis://127.0.0.1:${await freePort()}`, { logger: SILENT })
  const { call, refusal } = await start(
    { clients: { ci: { budget: { calls: '5/month' } }, me: {} } },
    { store },
  )
  expect((await call('t', clientPrincipal('me'))).content).toBeDefined()
  const error = await refusal()
  expect(error?.code).toBe('quota_unavailable')
  expect(error?.retryAfterMs).toBeGreaterThan(0)
})
