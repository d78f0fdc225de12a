import { setTimeout as later } from 'node:timers/promises'
import { afterEach, describe, expect, test, vi } from 'vitest'
import { openLmdbStore } from '../../src/state/lmdb.ts'
import { createMemoryStore } from '../../src/state/memory.ts'
import type { Store } from '../../src/state/store.ts'
import { startGateway } from '../helpers/gateway.ts'
import { makeScratch } from '../helpers/scratch.ts'
import { scriptedHttp, toolText } from '../helpers/scripted-servers.ts'
import { answerOf, LegacySession, ModernHttp, requestText, withEnvelope } from '../helpers/wire-clients.ts'

/** The wall clock is set while the gateway runs, by two hours. What waits or has an age does not notice. */

const HOUR_MS = 3_600_000
const OK = '"result":{"content":[]}'
const CALL = '{"name":"a__t"}'
const QUESTION = '{"message":"well?","requestedSchema":{"type":"object"}}'

afterEach(() => {
  vi.restoreAllMocks()
})

function setClock(ms: number): void {
  const wall = Date.now.bind(Date)
  vi.spyOn(Date, 'now').mockImplementation(() => wall() + ms)
}

describe.each([
  ['back', -2 * HOUR_MS],
  ['ahead', 2 * HOUR_MS],
])('the clock is set %s', (_, ms) => {
  test('a call in flight is answered, and one that is not answered still times out', async () => {
    await using server = await scriptedHttp()
    await using gateway = await startGateway({ mcpServers: { a: { ...server.entry, timeout: '2s' } } })
    await gateway.gateway.warmUp()
    await using client = await LegacySession.open(gateway.origin)
    const answered = client.request('1', 'tools/call', CALL)
    const call = await server.called('t')
    setClock(ms)
    await later(700)
    call.answer(OK)
    expect(await answered).toContain('"content":[]')
    const since = performance.now()
    const late = client.request('2', 'tools/call', CALL)
    await server.called('t')
    expect(await late).toContain('within 2 s')
    expect(performance.now() - since).toBeGreaterThan(1900)
  })

  test('silent streams still carry signs of life', async () => {
    await using gateway = await startGateway({ gateway: { http: { port: 0, keepAlive: '1s' } } })
    await using client = await LegacySession.open(gateway.origin)
    const stream = await client.listen()
    setClock(ms)
    // One a second; a machine that stands still sends it late.
    await expect
      .poll(() => stream.received.match(/: keepalive/g)?.length ?? 0, { timeout: 20_000 })
      .toBeGreaterThan(1)
    stream.destroy()
  })

  test('a session that is in use is not taken for idle', async () => {
    await using server = await scriptedHttp()
    const http = { port: 0, sessionIdle: '10m' }
    await using gateway = await startGateway({ mcpServers: { a: server.entry }, gateway: { http } })
    await using client = await LegacySession.open(gateway.origin)
    setClock(ms)
    await later(1500)
    expect(await client.request('1', 'ping')).toContain('"result":{}')
  })

  test('the answer to a question is still taken', async () => {
    await using server = await scriptedHttp()
    await using gateway = await startGateway({ mcpServers: { a: server.entry } })
    await gateway.gateway.warmUp()
    await using client = new ModernHttp(gateway.origin)
    const key = 'io.modelcontextprotocol/clientCapabilities'
    const asking = (params: string): string =>
      withEnvelope(params).replace(`"${key}":{}`, `"${key}":{"elicitation":{}}`)
    const sent = client.post('1', 'tools/call', asking(CALL))
    const call = await server.called('t')
    call.say(requestText('"q"', 'elicitation/create', QUESTION))
    const { requestState, inputRequests } = (
      JSON.parse(await answerOf(await sent)) as {
        result: { requestState: string; inputRequests: Record<string, unknown> }
      }
    ).result
    setClock(ms)
    await later(700)
    const answers = { [Object.keys(inputRequests)[0] as string]: { action: 'accept', content: {} } }
    const again = client.post(
      '2',
      'tools/call',
      asking(`{"name":"a__t","requestState":"${requestState}","inputResponses":${JSON.stringify(answers)}}`),
    )
    await server.messages.take(text => text.includes('"action":"accept"'))
    call.answer(OK)
    expect(await answerOf(await again)).toContain('"content":[]')
  })

  test('a kept result is as old as it is', async () => {
    await using server = await scriptedHttp()
    server.results.set('tools/list', `{"tools":[${toolText('t')}]}`)
    const cached = { ...server.entry, tools: { t: { cache: { ttl: '10m' } } } }
    await using gateway = await startGateway({ mcpServers: { a: cached } })
    await gateway.gateway.warmUp()
    await using client = new ModernHttp(gateway.origin)
    const first = client.request('1', 'tools/call', CALL)
    ;(await server.called('t')).answer(OK)
    await first
    setClock(ms)
    expect(await client.request('2', 'tools/call', CALL)).toContain('"content":[]')
    expect(server.requests.left).toEqual([])
  })

  test('a dead holder frees its places in time, and a living one keeps them', async () => {
    await using scratch = makeScratch()
    const stores: Store[] = [createMemoryStore(), openLmdbStore(scratch.path)]
    const claim = { key: 'places', want: 1, limit: 1, ttlMs: 1000 }
    for (const store of stores) expect((await store.hold({ ...claim, holder: 'first' })).permits).toBe(1)
    setClock(ms)
    for (const store of stores) expect((await store.hold({ ...claim, holder: 'second' })).permits).toBe(0)
    await later(1100)
    for (const store of stores) {
      expect((await store.hold({ ...claim, holder: 'second' })).permits).toBe(1)
      await store.close()
    }
  })

  test('a rate is neither opened nor closed', async () => {
    await using scratch = makeScratch()
    const stores: Store[] = [createMemoryStore(), openLmdbStore(scratch.path)]
    const request = { key: 'rate', limit: 2, window: { slidingMs: 1000 }, want: 2, atLeast: 1, spend: 0 }
    for (const store of stores) expect((await store.take(request)).granted).toBe(2)
    setClock(ms)
    for (const store of stores) expect((await store.take(request)).granted).toBe(0)
    await later(1500)
    for (const store of stores) {
      expect((await store.take(request)).granted).toBe(2)
      await store.close()
    }
  })
})
