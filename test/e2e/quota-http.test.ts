import { describe, expect, test } from 'vitest'
import { createKey, keyDigestOf, removeKey, storeKey } from '../../src/auth/key-records.ts'
import { REREAD_MS } from '../../src/auth/api-keys.ts'
import type { JsonObject } from '../../src/core/exchange.ts'
import { createMemoryStore } from '../../src/state/memory.ts'
import { callAs, keyOf, withKeys, type Caller } from '../helpers/callers.ts'
import { startGateway } from '../helpers/gateway.ts'
import { startIssuer } from '../helpers/issuer.ts'
import { makeScratch } from '../helpers/scratch.ts'
import { scriptedHttp } from '../helpers/scripted-servers.ts'
import { serveGateway } from '../helpers/served.ts'
import { answerOf } from '../helpers/wire-clients.ts'
import { runProgram } from '../unit/cli/program.ts'

/** Quotas over the real endpoint: clients with keys and tokens, in both eras. */

const QUOTA = 'io.github.mcp-manifold/quota'
const FAILURE = 'io.github.mcp-manifold/error'
const CALL = '{"name":"s__t","arguments":{}}'

interface Answer {
  readonly result?: JsonObject & { readonly _meta?: Record<string, JsonObject[] & JsonObject> }
  readonly error?: { readonly code: number; readonly message: string; readonly data?: JsonObject }
}

const ask = async (caller: Caller, method: string, params?: string): Promise<Answer> =>
  JSON.parse(await caller.request(method, params)) as Answer

/** What a result says is left of a limit. */
const left = ({ result }: Answer, name: string): unknown =>
  result?._meta?.[QUOTA]?.find(limit => limit.name === name)?.left

interface Usage {
  readonly principal: string
  readonly current: boolean
  readonly limits: readonly { readonly name: string; readonly used: number; readonly left: number }[]
}

const usageOf = async (caller: Caller): Promise<Usage> => {
  const { result } = await ask(caller, 'resources/read', '{"uri":"manifold://usage"}')
  return JSON.parse((result as unknown as { contents: { text: string }[] }).contents[0]?.text ?? '') as Usage
}

const open = async (origin: string, credential: string, modern: boolean): Promise<Caller> =>
  (await callAs(origin, credential, { modern })) as Caller

const until = (holds: () => Promise<boolean>, what: string): Promise<void> =>
  expect.poll(holds, { message: what, interval: 100 }).toBe(true)

test('two clients, both eras, another process that looks, and a restart: everything is counted once', async () => {
  await using scratch = makeScratch()
  await using server = await scriptedHttp()
  server.results.set('tools/call', '{"content":[]}')
  const config = scratch.write('servers.json', {
    mcpServers: { s: server.entry },
    clients: withKeys({
      ci: { rate: '600/hour', budget: { calls: '20/month' } },
      cd: { budget: { calls: '5/month' } },
    }),
    gateway: { http: { port: 0 }, state: `lmdb:${scratch.path}/state`, timeZone: 'UTC', log: 'error' },
  })
  let lists = 0
  let calls = 0
  const rateUsed: number[] = []
  for (const run of [1, 2]) {
    await using served = await serveGateway(config)
    for (const modern of [false, true]) {
      await using ci = await open(served.origin, keyOf('ci'), modern)
      await using cd = await open(served.origin, keyOf('cd'), modern)
      const other = await ask(cd, 'tools/call', CALL)
      expect(left(other, 'calls/month')).toBe(4 - (calls / 3) * 1)
      expect(left(other, 'rate/hour')).toBeUndefined()
      const before = await usageOf(ci)
      for (let at = 0; at < 3; at++) {
        const answer = await ask(ci, 'tools/call', CALL)
        calls++
        // Of the rate there is more left for its size.
        expect(left(answer, 'calls/month')).toBe(20 - calls)
        expect(left(answer, 'rate/hour')).toBeUndefined()
      }
      for (let at = 0; at < 4; at++) await ask(ci, 'tools/list')
      lists += 4
      const { principal, current, limits } = await usageOf(ci)
      // Lists and reads are requests as well, but no calls.
      expect((before.limits[0]?.left as number) - (limits[0]?.left as number)).toBe(8)
      expect({ principal, current }).toEqual({ principal: 'ci', current: true })
      expect(limits.map(({ name }) => name)).toEqual(['rate/hour', 'calls/month'])
      expect(limits[1]).toMatchObject({ used: calls, left: 20 - calls })
      rateUsed.push(limits[0]?.used as number)
      expect((await ask(cd, 'resources/list')).result?.resources).toEqual([
        expect.objectContaining({ uri: 'manifold://usage' }),
      ])
    }
    // What is held in advance counts as used until it goes back.
    const shown = async (): Promise<unknown> => {
      const { stdout, code } = await runProgram(['usage', '--json', '--config', config], {
        cwd: scratch.path,
      })
      expect(code).toBe(0)
      const rows = JSON.parse(stdout) as { of: string; name: string; used: number }[]
      const used = (of: string): unknown =>
        rows.find(row => row.of === of && row.name === 'calls/month')?.used
      return JSON.stringify([used('client:ci'), used('client:cd')])
    }
    const expected = JSON.stringify([calls, calls / 3])
    await until(async () => (await shown()) === expected, `usage ${expected} in run ${run}`)
  }
  // Requests of both runs are in the same window: those at least that were counted here.
  expect(rateUsed).toEqual(rateUsed.toSorted((a, b) => a - b))
  expect(rateUsed.at(-1)).toBeGreaterThanOrEqual(lists + calls)
})

describe.each([false, true])('modern: %s', modern => {
  test('a rate counts every request, and says so in the way that fits each', async () => {
    await using server = await scriptedHttp()
    server.results.set('tools/call', '{"content":[]}')
    await using running = await startGateway({
      mcpServers: { s: server.entry },
      clients: withKeys({ ci: { rate: '12/hour' }, cd: {} }),
    })
    await running.gateway.warmUp()
    await using ci = await open(running.origin, keyOf('ci'), modern)
    await using cd = await open(running.origin, keyOf('cd'), modern)
    let last: Answer = {}
    for (let at = 0; at < 13 && !last.error; at++) last = await ask(ci, 'prompts/list')
    expect(last.error?.data).toMatchObject({
      code: 'rate_limited',
      limit: 'rate/hour',
      of: 'client:ci',
      amount: 12,
      retryAfterMs: expect.any(Number),
    })
    const response = await ci.post('tools/call', CALL)
    // A status of failure would be taken for a dead connection.
    expect(response.status).toBe(200)
    const { result } = JSON.parse(await answerOf(response)) as Answer
    expect(result).toMatchObject({ isError: true, _meta: { [FAILURE]: { code: 'rate_limited' } } })
    const questions: [method: string, params?: string][] = [
      ['resources/read', '{"uri":"manifold://usage"}'],
      ['completion/complete', '{"ref":{"type":"ref/prompt","name":"x"},"argument":{"name":"a","value":""}}'],
      modern ? ['server/discover'] : ['resources/subscribe', '{"uri":"x://y"}'],
      modern ? ['subscriptions/listen', '{"notifications":{"toolsListChanged":true}}'] : ['tasks/list'],
    ]
    for (const [method, params] of questions) {
      const { error } = await ask(ci, method, params)
      expect(error?.data, method).toMatchObject({ code: 'rate_limited' })
    }
    expect((await ask(cd, 'tools/call', CALL)).result?.content).toEqual([])
  })

  test('a refreshed token goes on with the counters of its subject', async () => {
    await using issuer = await startIssuer()
    await using server = await scriptedHttp()
    server.results.set('tools/call', '{"content":[]}')
    await using running = await startGateway({
      mcpServers: { s: server.entry },
      clients: { people: { budget: { calls: '4/month' } } },
      roles: { more: {} },
      gateway: {
        timeZone: 'UTC',
        auth: {
          jwt: [
            {
              issuer: issuer.url,
              audience: ['https://mcp.example/mcp'],
              client: 'people',
              scopes: { more: ['more'] },
            },
          ],
        },
      },
    })
    await running.gateway.warmUp()
    const seen: unknown[] = []
    for (const claims of [{ jti: '1' }, { jti: '2', scope: 'more' }]) {
      await using ada = await open(running.origin, await issuer.token(claims), modern)
      for (let at = 0; at < 2; at++) seen.push(left(await ask(ada, 'tools/call', CALL), 'calls/month'))
    }
    expect(seen).toEqual([3, 2, 1, 0])
    await using ada = await open(running.origin, await issuer.token({ jti: '3' }), modern)
    const { result } = await ask(ada, 'tools/call', CALL)
    expect(result).toMatchObject({ isError: true, _meta: { [FAILURE]: { code: 'quota_exhausted' } } })
    await using bob = await open(running.origin, await issuer.token({ sub: 'bob' }), modern)
    expect(left(await ask(bob, 'tools/call', CALL), 'calls/month')).toBe(3)
  })

  test(
    'a key that is revoked during a call ends, and the place of the call is free',
    async () => {
      const store = createMemoryStore()
      await using server = await scriptedHttp()
      await using running = await startGateway(
        { mcpServers: { s: server.entry }, clients: withKeys({ ci: { concurrency: 1 } }) },
        { store },
      )
      await running.gateway.warmUp()
      const key = createKey()
      const record = { created: Date.now(), expires: undefined, note: undefined }
      await storeKey(store, { digest: keyDigestOf(key), client: 'ci', ...record })
      await using revoked = await open(running.origin, key, modern)
      await using other = await open(running.origin, keyOf('ci'), modern)
      const under = revoked.request('tools/call', CALL)
      const request = await server.called('t')
      await removeKey(store, keyDigestOf(key))
      await until(async () => {
        const response = await revoked.post('tools/list')
        await response.body
        return response.status === 401
      }, 'the refusal of the revoked key')
      // A legacy session ends with its key, and with it what it still waits for.
      if (modern) expect((await ask(other, 'tools/list')).error?.data).toMatchObject({ limit: 'concurrency' })
      request.answer('"result":{"content":[{"type":"text","text":"done"}]}')
      const answer = await under
      expect(modern || answer !== '' ? answer : 'done').toContain('done')
      await until(async () => (await ask(other, 'tools/list')).error === undefined, 'a free place')
    },
    REREAD_MS * 4,
  )
})
