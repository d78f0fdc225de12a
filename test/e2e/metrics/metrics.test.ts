import { expect, test } from 'vitest'
import { API_KEY_PREFIX } from '../../../src/auth/key-records.ts'
import { callAs, keyOf, withKeys } from '../../helpers/callers.ts'
import { startGateway } from '../../helpers/gateway.ts'
import { scrape, type Scrape } from '../../helpers/scrape.ts'
import { scriptedHttp, toolText } from '../../helpers/scripted-servers.ts'
import { http, JSON_HEADERS, ModernHttp, withEnvelope } from '../../helpers/wire-clients.ts'

const OK = '"result":{"content":[{"type":"text","text":"done"}]}'
const call = (name: string, more = ''): string => withEnvelope(`{"name":"${name}","arguments":{}${more}}`)

/** Counts of requests, by what they were and how they ended. */
const countsIn = ({ samples }: Scrape): Record<string, number> =>
  Object.fromEntries(
    samples
      .filter(({ name }) => name === 'manifold_requests_total')
      .map(({ labels: { client, server, method, name, result, code }, value }) => [
        [client, server, method, name, result, code].join(' ').replace(/ +/g, ' ').trim(),
        value,
      ]),
  )

test('every request is counted once, by client, server, tool and result', async () => {
  await using server = await scriptedHttp()
  server.results.set('tools/list', `{"tools":[${toolText('t')},${toolText('broken')}]}`)
  server.results.set('tools/call', OK.slice('"result":'.length))
  const mcpServers = { a: server.entry }
  const clients = withKeys({ ada: {}, bob: {} })
  await using running = await startGateway({ mcpServers, clients })
  const { gateway, origin } = running
  await gateway.warmUp()
  for (const [name, modern] of [
    ['ada', true],
    ['bob', false],
  ] as const) {
    await using caller = await callAs(origin, keyOf(name), { modern })
    const params = modern ? withEnvelope : (text: string) => text
    const t = params('{"name":"a__t","arguments":{}}')
    for (let nth = 0; nth < 10; nth++) await caller?.request('tools/call', t)
    await caller?.request('tools/call', params('{"name":"a__missing","arguments":{}}'))
    await caller?.request('tools/list', params('{}'))
    await caller?.request('made/up', params('{}'))
  }
  server.results.set('tools/call', '{"isError":true,"content":[]}')
  await using ada = await callAs(origin, keyOf('ada'), { modern: true })
  await ada?.request('tools/call', call('a__broken'))

  const read = await scrape(gateway)
  const counts = countsIn(read)
  expect(counts).toMatchObject({
    'ada a tools/call t ok': 10,
    'bob a tools/call t ok': 10,
    'ada a tools/call broken tool_error': 1,
    'ada tools/call failed unknown_name': 1,
    'bob tools/call failed unknown_name': 1,
    'ada tools/list ok': 1,
    'bob tools/list ok': 1,
    'ada other failed unknown_method': 1,
    'bob other failed unknown_method': 1,
  })
  // The durations of the same requests, and of those that reached the server.
  const operations = 'mcp_server_operation_duration_seconds_count'
  expect(read.sum(operations, { gen_ai_tool_name: 't', error_type: '' })).toBe(20)
  expect(read.sum(operations, { gen_ai_tool_name: 'broken', error_type: 'tool_error' })).toBe(1)
  expect(read.sum('mcp_client_operation_duration_seconds_count', { server: 'a' })).toBe(21)
  expect(read.sum('manifold_stage_duration_seconds_count', { stage: 'upstream', server: 'a' })).toBe(21)
  expect(read.sum('manifold_result_bytes_total', { server: 'a', client: 'bob' })).toBeGreaterThan(10 * 40)
  expect(read.sum('manifold_sessions_opened_total', { client: 'bob' })).toBe(1)
})

test('names that clients make up are no labels, and very many things are counted together', async () => {
  await using server = await scriptedHttp()
  const tools = Array.from({ length: 150 }, (_, nth) => toolText(`t${nth}`))
  server.results.set('tools/list', `{"tools":[${tools.join(',')}]}`)
  server.results.set('tools/call', '{"content":[]}')
  await using running = await startGateway({
    mcpServers: { a: server.entry },
    gateway: { metrics: { maxSeries: 100 } },
  })
  const { gateway, origin } = running
  await gateway.warmUp()
  await using client = new ModernHttp(origin)
  for (let nth = 0; nth < 120; nth++) {
    await client.request(`${nth}`, `made/up-${nth}`, withEnvelope('{}'))
    await client.request(`${nth}`, 'tools/call', call(`made-up-${nth}`))
  }
  for (let nth = 0; nth < 150; nth++) await client.request(`${nth}`, 'tools/call', call(`a__t${nth}`))
  const read = await scrape(gateway)
  expect(read.text).not.toContain('made')
  expect(read.sum('manifold_requests_total', { method: 'other' })).toBe(120)
  expect(read.sum('manifold_requests_total', { code: 'unknown_name' })).toBe(120)
  const ok = read.of('manifold_requests_total', { result: 'ok', method: 'tools/call' })
  expect(ok.reduce((sum, { value }) => sum + value, 0)).toBe(150)
  const folded = ok.find(({ labels }) => labels['name'] === 'other')?.value ?? 0
  expect(folded).toBe(150 - (ok.length - 1))
  expect(folded).toBeGreaterThanOrEqual(50)
  expect(read.sum('manifold_folded_series_total', { metric: 'manifold_requests' })).toBe(folded)
})

test('the time of a call is told apart by its stages', async () => {
  await using server = await scriptedHttp()
  await using running = await startGateway({
    mcpServers: { a: { ...server.entry, maxConcurrentCalls: 1 } },
  })
  const { gateway, origin } = running
  await gateway.warmUp()
  await using client = new ModernHttp(origin)
  const first = client.request('1', 'tools/call', call('a__t'))
  const held = await server.called('t')
  const second = client.request('2', 'tools/call', call('a__t'))
  await new Promise(resolve => setTimeout(resolve, 300))
  held.answer(OK)
  const waited = await server.called('t')
  waited.answer(OK)
  await Promise.all([first, second])
  const read = await scrape(gateway)
  const secondsOf = (stage: string): number => read.sum('manifold_stage_duration_seconds_sum', { stage })
  expect(secondsOf('upstream')).toBeGreaterThan(0.29)
  expect(secondsOf('queue')).toBeGreaterThan(0.25)
  expect(secondsOf('gateway')).toBeLessThan(0.2)
  const total = read.sum('mcp_server_operation_duration_seconds_sum', { mcp_method_name: 'tools/call' })
  const stages = read.sum('manifold_stage_duration_seconds_sum')
  expect(Math.abs(total - stages)).toBeLessThan(0.01)
})

test('a call that another replica answers is counted as a failover', async () => {
  await using server = await scriptedHttp()
  server.results.set('tools/call', '{"content":[]}')
  const other = await scriptedHttp()
  const replicas = [
    { ...other.entry, name: 'r0', priority: 1 },
    { ...server.entry, name: 'r1', priority: 2 },
  ]
  await using running = await startGateway({ mcpServers: { a: { replicas } } })
  const { gateway, origin } = running
  await gateway.warmUp()
  await other[Symbol.asyncDispose]()
  await using client = new ModernHttp(origin)
  for (let nth = 0; nth < 5; nth++)
    expect(await client.request(`${nth}`, 'tools/call', call('a__t'))).toContain('"content"')
  const read = await scrape(gateway)
  expect(read.sum('manifold_requests_total', { server: 'a', result: 'ok' })).toBe(5)
  expect(read.sum('manifold_failover_calls_total', { server: 'a' })).toBeGreaterThan(0)
  expect(read.of('manifold_replica_state', { server: 'a' }).map(({ labels }) => labels['state'])).toContain(
    'ready',
  )
})

test('in OpenMetrics, a call that its client samples is an example of its bucket', async () => {
  await using server = await scriptedHttp()
  server.results.set('tools/call', '{"content":[]}')
  await using running = await startGateway({ mcpServers: { a: server.entry } })
  const { gateway, origin } = running
  await gateway.warmUp()
  await using client = new ModernHttp(origin)
  const [sampled, unsampled] = ['4bf92f3577b34da6a3ce929d0e0e4736', 'aaf92f3577b34da6a3ce929d0e0e4736']
  for (const [trace, flags] of [
    [sampled, '01'],
    [unsampled, '00'],
  ])
    await client.request(
      '1',
      'tools/call',
      call('a__t', `,"_meta":{"traceparent":"00-${trace}-00f067aa0ba902b7-${flags}"}`),
    )
  const { text, samples } = await scrape(gateway, 'openmetrics')
  expect(text.trimEnd()).toMatch(/# EOF$/)
  expect(text).toContain('# TYPE manifold_requests counter')
  const examples = samples.filter(({ rest }) => rest !== '')
  expect(examples.map(({ rest }) => rest)).toEqual([expect.stringContaining(`trace_id="${sampled}"`)])
  expect((await scrape(gateway)).text).not.toContain(sampled)
})

test('scrapes at the same time share one text for each format', async () => {
  await using running = await startGateway({ mcpServers: {} })
  const { metrics } = running.gateway.counts
  const texts = await Promise.all(
    Array.from({ length: 200 }, (_, nth) => metrics?.write(nth % 2 === 0 ? 'prometheus' : 'openmetrics')),
  )
  const [even, odd] = [
    new Set(texts.filter((_, nth) => nth % 2 === 0)),
    new Set(texts.filter((_, nth) => nth % 2 === 1)),
  ]
  expect([even.size, odd.size]).toEqual([1, 1])
  expect([...even][0]?.contentType).toContain('text/plain')
  expect([...odd][0]?.contentType).toContain('application/openmetrics-text')
})

test('refused callers, and checks of keys that had to be looked up, are counted', async () => {
  await using running = await startGateway({ mcpServers: {}, clients: withKeys({ ada: {} }) })
  const { gateway, origin } = running
  const headers = { ...JSON_HEADERS, authorization: `Bearer ${API_KEY_PREFIX}${'x'.repeat(43)}` }
  for (let nth = 0; nth < 3; nth++) await (await http(`${origin}/mcp`, { headers, body: '{}' })).body
  const read = await scrape(gateway)
  expect(read.sum('manifold_access_refusals_total', { status: '401' })).toBe(3)
  expect(read.sum('manifold_authentication_duration_seconds_count')).toBe(3)
})
