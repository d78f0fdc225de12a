import { expect, test } from 'vitest'
import type { GatewayEvent } from '../../../src/core/events.ts'
import { SILENT } from '../../../src/core/logger.ts'
import { EventQueue } from '../../../src/observe/event-queue.ts'
import { deferred } from '../../helpers/deferred.ts'
import { callAs, keyOf, withKeys } from '../../helpers/callers.ts'
import { startGateway } from '../../helpers/gateway.ts'
import { RecordedEvents } from '../../helpers/recorded-events.ts'
import { scriptedHttp } from '../../helpers/scripted-servers.ts'
import { JSON_HEADERS, http } from '../../helpers/wire-clients.ts'

/** What a program that embeds the gateway hears of it, through the real gateway and the real wire. */

const OK = '"result":{"content":[]}'
const CALL = '{"name":"a__t","arguments":{"x":1}}'

test.each([false, true])('a call is reported from its beginning to its end (modern: %s)', async modern => {
  await using server = await scriptedHttp()
  await using gateway = await startGateway({
    mcpServers: { a: server.entry },
    clients: withKeys({ ci: {} }),
  })
  const heard = new RecordedEvents(gateway.gateway)
  await gateway.gateway.warmUp()
  const caller = await callAs(gateway.origin, keyOf('ci'), { modern })
  const calling = caller?.request('tools/call', CALL)
  ;(await server.called('t')).answer(OK)
  await calling
  const ofCall = heard.all.filter(event => 'request' in event && event.request.method === 'tools/call')
  expect(ofCall.map(({ type }) => type)).toEqual(['request.began', 'request.ended'])
  const [ended] = heard.of('request.ended').filter(({ request }) => request.method === 'tools/call')
  expect(ended).toMatchObject({
    era: modern ? 'modern' : 'legacy',
    endpoint: '',
    result: 'ok',
    routed: true,
    error: undefined,
    principal: { client: 'ci' },
    trace: {
      route: { server: 'a', own: 't', exposed: 'a__t' },
      replica: new URL(String(server.entry.url)).host,
    },
  })
  expect(ended?.trace.upstreamMs).toBeGreaterThan(0)
  expect(ended?.durationMs).toBeGreaterThanOrEqual(ended?.trace.upstreamMs as number)
  expect(heard.of('attempt.ended')).toMatchObject([
    {
      server: 'a',
      replica: new URL(String(server.entry.url)).host,
      method: 'tools/call',
      name: 't',
      error: undefined,
      trace: { route: { server: 'a', own: 't', exposed: 'a__t' }, replica: ended?.trace.replica },
    },
  ])
  expect(heard.of('link.opened')).toMatchObject([
    { server: 'a', replica: new URL(String(server.entry.url)).host, era: 'legacy', reopened: false },
  ])
  const sessions = heard.of('session.opened')
  expect(sessions).toHaveLength(modern ? 0 : 1)
  await caller?.[Symbol.asyncDispose]()
  await gateway.gateway.stop()
  expect(heard.of('shutdown.began')).toHaveLength(1)
  expect(heard.of('session.closed').map(({ session }) => session)).toEqual(
    sessions.map(({ session }) => session),
  )
})

test('a listener that writes to the request of an event changes no call', async () => {
  await using server = await scriptedHttp()
  await using gateway = await startGateway({ mcpServers: { a: server.entry }, clients: withKeys({ ci: {} }) })
  await gateway.gateway.warmUp()
  const seen: unknown[] = []
  gateway.gateway.on('request.began', ({ request }) => {
    if (request.method !== 'tools/call') return
    const args = request.params?.value['arguments'] as Record<string, unknown>
    seen.push(args)
    for (const [target, key] of [
      [request, 'method'],
      [request, 'params'],
      [request.params, 'text'],
      [request.params, 'value'],
      [request.params?.value, 'name'],
      [args, 'x'],
    ] as const)
      seen.push(Reflect.set(target as object, key, 'tools/list'))
  })
  await using caller = await callAs(gateway.origin, keyOf('ci'), { modern: true })
  const calling = caller?.request('tools/call', CALL)
  const call = await server.called('t')
  expect(call.text).toContain('"arguments":{"x":1}')
  call.answer(OK)
  expect(await calling).toContain('"content":[]')
  expect(seen).toEqual([{ x: 1 }, false, false, false, false, false, false])
})

test('refusals have events: of the gateway, of a limit, and of a request without a credential', async () => {
  await using server = await scriptedHttp()
  await using gateway = await startGateway({
    mcpServers: { a: server.entry },
    clients: withKeys({ ci: { budget: { calls: '1/day' } } }),
  })
  const heard = new RecordedEvents(gateway.gateway)
  await gateway.gateway.warmUp()
  await using caller = await callAs(gateway.origin, keyOf('ci'), { modern: true })
  const first = caller?.request('tools/call', CALL)
  ;(await server.called('t')).answer(OK)
  await first
  await caller?.request('tools/call', CALL)
  await caller?.request('tools/call', '{"name":"a__none"}')
  const [refused] = heard.of('quota.refused')
  expect(refused).toMatchObject({ limit: 'calls/day' })
  const failed = heard.of('request.ended').filter(({ result }) => result === 'failed')
  expect(failed.map(({ error }) => error?.code)).toEqual(['quota_exhausted', 'unknown_name'])
  expect(heard.all.indexOf(refused as GatewayEvent)).toBeLessThan(
    heard.all.indexOf(failed[0] as GatewayEvent),
  )
  await http(`${gateway.origin}/mcp`, { method: 'POST', headers: JSON_HEADERS, body: '{}' })
  expect(heard.of('access.refused')).toMatchObject([{ status: 401 }])
})

test('the cache tells what it keeps, gives out and forgets', async () => {
  await using server = await scriptedHttp()
  await using gateway = await startGateway({
    mcpServers: { a: { ...server.entry, tools: { t: { cache: { ttl: '1m' } } } } },
  })
  const heard = new RecordedEvents(gateway.gateway)
  await gateway.gateway.warmUp()
  await using caller = await callAs(gateway.origin, undefined, { modern: true })
  const first = caller?.request('tools/call', CALL)
  ;(await server.called('t')).answer(OK)
  await first
  await caller?.request('tools/call', CALL)
  server.say('{"jsonrpc":"2.0","method":"notifications/tools/list_changed"}')
  await expect.poll(() => heard.of('cache.invalidated')).not.toEqual([])
  expect(heard.of('cache.stored')).toMatchObject([{ server: 'a', tool: 't' }])
  expect(heard.of('cache.hit')).toMatchObject([{ server: 'a', tool: 't', stale: false, from: 'memory' }])
  const ended = heard.of('request.ended').filter(({ request }) => request.method === 'tools/call')
  expect(ended.map(({ trace }) => trace.cache)).toEqual([undefined, 'hit'])
  expect(heard.of('attempt.ended')).toHaveLength(1)
})

test('an unreachable replica is reported, and one that is drained', async () => {
  await using gateway = await startGateway({
    mcpServers: { a: { type: 'http', replicas: [{ url: 'http://127.0.0.1:9/mcp' }] } },
  })
  const heard = new RecordedEvents(gateway.gateway)
  await gateway.gateway.warmUp()
  const [failed] = heard.of('link.failed')
  expect(failed).toMatchObject({ server: 'a', error: { code: 'upstream_unreachable' } })
  expect(heard.of('replica.ejected')).toMatchObject([{ server: 'a', replica: failed?.replica }])
  await gateway.gateway.operations.drain('a', undefined, true)
  await gateway.gateway.operations.drain('a', undefined, false)
  expect(heard.of('replica.drained')).toMatchObject([{ server: 'a' }])
  expect(heard.of('replica.resumed')).toMatchObject([{ server: 'a' }])
})

test('a listener that throws at every event costs no call anything', async () => {
  await using server = await scriptedHttp()
  await using gateway = await startGateway({ mcpServers: { a: server.entry } })
  let thrown = 0
  const off = gateway.gateway.on('*', () => {
    thrown++
    throw new Error('no')
  })
  await gateway.gateway.warmUp()
  await using caller = await callAs(gateway.origin, undefined, { modern: false })
  const calling = caller?.request('tools/call', CALL)
  ;(await server.called('t')).answer(OK)
  expect(await calling).toContain('"content":[]')
  off()
  const before = thrown
  expect(before).toBeGreaterThan(3)
  await caller?.request('tools/list')
  expect(thrown).toBe(before)
})

test('listeners that block, that hang, and that come and go within an event cost no call anything', async () => {
  await using server = await scriptedHttp()
  await using gateway = await startGateway({ mcpServers: { a: server.entry } })
  const { gateway: running } = gateway
  await running.warmUp()
  await using caller = await callAs(gateway.origin, undefined, { modern: true })
  const hanging = deferred<void>()
  const queue = new EventQueue({ logger: SILENT, take: () => hanging.promise, maxEvents: 2 })
  running.on('*', queue.listener)
  running.on('request.ended', () => {
    const until = performance.now() + 50
    while (performance.now() < until);
  })
  const heard: string[] = []
  const comeAndGo = (): (() => void) => {
    const off = running.on('request.began', () => {
      heard.push('began')
      off()
      off()
      comeAndGo()
    })
    return off
  }
  comeAndGo()
  for (let calls = 0; calls < 3; calls++) {
    const calling = caller?.request('tools/call', CALL)
    ;(await server.called('t')).answer(OK)
    expect(await calling).toContain('"content":[]')
  }
  // Each of them hears one request and leaves another one behind.
  expect(heard).toHaveLength(3)
  expect(queue.lost).toBeGreaterThan(0)
  hanging.resolve()
  await queue.close()
})
