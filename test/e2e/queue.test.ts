import { once } from 'node:events'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { describe, expect, test } from 'vitest'
import { rawAt } from '../../src/protocol/json-text.ts'
import { openSession, type HttpClient } from '../helpers/http-client.ts'
import { startGateway, type TestGateway } from '../helpers/gateway.ts'
import { scriptedHttp, toolText, type ScriptedServer } from '../helpers/scripted-servers.ts'
import {
  answerOf,
  LegacySession,
  ModernHttp,
  requestText,
  StdioClient,
  withEnvelope,
} from '../helpers/wire-clients.ts'
import { median } from '../helpers/running-time.ts'

/** In which order calls are served when there are more of them than a server is given. */

const OK = '"result":{"content":[]}'
const ACCEPT = '{"action":"accept","content":{}}'
const FEATURES = '{"elicitation":{}}'

async function gatewayFor(
  servers: Readonly<Record<string, readonly [ScriptedServer, Readonly<Record<string, unknown>>]>>,
  gateway: Readonly<Record<string, unknown>> = {},
): Promise<TestGateway> {
  const mcpServers = Object.fromEntries(
    Object.entries(servers).map(([name, [server, options]]) => [name, { ...server.entry, ...options }]),
  )
  for (const [server] of Object.values(servers))
    server.results.set(
      'tools/list',
      `{"tools":[${['t', 'u', 'v', 'w'].map(name => toolText(name)).join(',')}]}`,
    )
  const started = await startGateway({ mcpServers, gateway })
  await started.gateway.warmUp()
  return started
}

const named = (name: string): string => `{"name":"a__${name}"}`

/** Resolves when the gateway has taken in everything sent to it so far by this client. */
const settled = (client: StdioClient): Promise<string> => client.request('"settled"', 'ping')

describe('a server that is given one call at a time', () => {
  test('gets the next when it has answered, in the order they came', async () => {
    await using server = await scriptedHttp()
    await using gateway = await gatewayFor({ a: [server, { maxConcurrentCalls: 1 }] })
    await using client = await StdioClient.legacy(gateway.gateway)
    for (const [id, name] of ['t', 'u', 'v'].entries())
      client.send(requestText(`${id}`, 'tools/call', named(name)))
    await settled(client)
    for (const [id, name] of ['t', 'u', 'v'].entries()) {
      const call = await server.called(name)
      expect(server.requests.left).toEqual([])
      call.answer(OK)
      expect(await client.answer(`${id}`)).toContain('"content":[]')
    }
  })

  test('refuses a call without room, and names the limit', async () => {
    await using server = await scriptedHttp()
    await using gateway = await gatewayFor({ a: [server, { maxConcurrentCalls: 1, queue: 1 }] })
    await using client = await StdioClient.legacy(gateway.gateway)
    client.send(requestText('1', 'tools/call', named('t')))
    const call = await server.called('t')
    client.send(requestText('2', 'tools/call', named('u')))
    const refused = JSON.parse(await client.request('3', 'tools/call', named('v'))) as {
      result: { isError: boolean; content: { text: string }[]; _meta: Record<string, object> }
    }
    expect(refused.result.isError).toBe(true)
    expect(refused.result.content[0]?.text).toBe(
      'Server "a" is busy: 1 calls are under way ("maxConcurrentCalls" of this server), and 1 may wait ("queue"). Try again in 1 s. (mcp-manifold help overloaded)',
    )
    expect(refused.result._meta['io.github.mcp-manifold/error']).toMatchObject({
      code: 'overloaded',
      server: 'a',
      retryAfterMs: 1000,
    })
    call.answer(OK)
    ;(await server.called('u')).answer(OK)
    expect(await client.answer('2')).toContain('"content":[]')
    expect(server.messages.all.filter(text => text.includes('"v"'))).toHaveLength(0)
  })

  test('never gets a call that was cancelled while it waited', async () => {
    await using server = await scriptedHttp()
    await using gateway = await gatewayFor({ a: [server, { maxConcurrentCalls: 1, queue: 1 }] })
    await using client = await StdioClient.legacy(gateway.gateway)
    client.send(requestText('1', 'tools/call', named('t')))
    const call = await server.called('t')
    client.send(requestText('2', 'tools/call', named('u')))
    client.send('{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":2}}')
    // Its place in the line is free at once.
    client.send(requestText('3', 'tools/call', named('v')))
    await settled(client)
    call.answer(OK)
    ;(await server.called('v')).answer(OK)
    expect(await client.answer('3')).toContain('"content":[]')
    expect(server.messages.all.filter(text => text.includes('"u"'))).toEqual([])
    expect(client.lines.all.filter(line => line.includes('"id":2,'))).toEqual([])
  })

  test('keeps no call waiting longer than "queueTimeout"', async () => {
    await using server = await scriptedHttp()
    await using gateway = await gatewayFor({ a: [server, { maxConcurrentCalls: 1, queueTimeout: '100ms' }] })
    await using client = await StdioClient.legacy(gateway.gateway)
    client.send(requestText('1', 'tools/call', named('t')))
    const call = await server.called('t')
    expect(await client.request('2', 'tools/call', named('u'))).toContain(
      String.raw`Server \"a\" is busy: this call has waited 0.1 s, which is as long as one may (\"queueTimeout\" of this server;`,
    )
    call.answer(OK)
    expect(await client.answer('1')).toContain('"content":[]')
  })

  test('has its whole "timeout" for a call that has waited', async () => {
    await using server = await scriptedHttp()
    await using gateway = await gatewayFor({ a: [server, { maxConcurrentCalls: 1, timeout: '1s' }] })
    await using client = await StdioClient.legacy(gateway.gateway)
    client.send(requestText('1', 'tools/call', named('t')))
    client.send(requestText('2', 'tools/call', named('u')))
    // Not answered: it ends by its timeout, and with it the wait of the other.
    await server.called('t')
    expect(await client.answer('1')).toContain('within 1 s')
    const waited = await server.called('u')
    const late = new Promise(resolve => setTimeout(resolve, 600))
    await late
    waited.answer(OK)
    expect(await client.answer('2')).toContain('"content":[]')
  })

  test('is not waited for when the gateway stops', async () => {
    await using server = await scriptedHttp()
    await using gateway = await gatewayFor({ a: [server, { maxConcurrentCalls: 1 }] })
    await using client = await StdioClient.legacy(gateway.gateway)
    client.send(requestText('1', 'tools/call', named('t')))
    await server.called('t')
    client.send(requestText('2', 'tools/call', named('u')))
    await settled(client)
    const closed = gateway.gateway.close()
    expect(await client.answer('2')).toContain('The gateway is shutting down.')
    await closed
    expect(server.requests.left).toEqual([])
  })

  test('works on others while a session is asked something, and goes on with it first', async () => {
    await using server = await scriptedHttp()
    await using gateway = await gatewayFor({ a: [server, { maxConcurrentCalls: 1 }] })
    await using asked = await LegacySession.open(gateway.origin, { capabilities: FEATURES })
    await using other = await StdioClient.legacy(gateway.gateway)
    const sent = asked.post(requestText('1', 'tools/call', named('t')))
    const call = await server.called('t')
    call.say(
      requestText('"q"', 'elicitation/create', '{"message":"well?","requestedSchema":{"type":"object"}}'),
    )
    const stream = await sent
    const { data } = await stream.events.take(({ data: text }) => text.includes('elicitation/create'))

    other.send(requestText('1', 'tools/call', named('u')))
    other.send(requestText('2', 'tools/call', named('v')))
    const meanwhile = await server.called('u')
    await asked.post(`{"jsonrpc":"2.0","id":${rawAt(data, 'id')},"result":${ACCEPT}}`)
    await settled(other)
    // The place is taken, so the answer waits, in front of the call that came before it.
    const answers = (): string[] =>
      server.messages.all.filter(text => rawAt(text, 'id') === '"q"' && rawAt(text, 'method') === undefined)
    expect(answers()).toEqual([])
    meanwhile.answer(OK)
    await server.messages.take(text => rawAt(text, 'id') === '"q"')
    expect(rawAt(answers()[0] ?? '', 'result')).toBe(ACCEPT)
    expect(server.messages.all.filter(text => text.includes('"v"'))).toEqual([])
    call.answer(OK)
    expect(await answerOf(stream)).toContain('"content":[]')
    ;(await server.called('v')).answer(OK)
    expect(await other.answer('2')).toContain('"content":[]')
  })

  test('works on others while a modern client thinks, even if it never comes back', async () => {
    await using server = await scriptedHttp()
    await using gateway = await gatewayFor({ a: [server, { maxConcurrentCalls: 1 }] })
    await using client = new ModernHttp(gateway.origin)
    await using other = await StdioClient.legacy(gateway.gateway)
    const key = 'io.modelcontextprotocol/clientCapabilities'
    const params = withEnvelope(named('t')).replace(`"${key}":{}`, `"${key}":${FEATURES}`)
    const sent = client.post('1', 'tools/call', params)
    const call = await server.called('t')
    call.say(
      requestText('"q"', 'elicitation/create', '{"message":"well?","requestedSchema":{"type":"object"}}'),
    )
    expect(await answerOf(await sent)).toContain('"resultType":"input_required"')
    for (const id of ['1', '2']) {
      other.send(requestText(id, 'tools/call', named('u')))
      ;(await server.called('u')).answer(OK)
      expect(await other.answer(id)).toContain('"content":[]')
    }
    // The server gives up before the client answers: nothing is left to wait for.
    call.answer(OK)
    await call.gone
    other.send(requestText('3', 'tools/call', named('v')))
    ;(await server.called('v')).answer(OK)
    expect(await other.answer('3')).toContain('"content":[]')
  })
})

test('a free server is reached past calls that wait for a full one', async () => {
  await using full = await scriptedHttp()
  await using free = await scriptedHttp()
  await using gateway = await gatewayFor(
    { a: [full, { maxConcurrentCalls: 1 }], b: [free, {}] },
    { maxConcurrentCalls: 2, queue: 100 },
  )
  await using client = await StdioClient.legacy(gateway.gateway)
  for (let id = 1; id <= 10; id++) client.send(requestText(`${id}`, 'tools/call', named('t')))
  const call = await full.called('t')
  client.send(requestText('11', 'tools/call', '{"name":"b__u"}'))
  ;(await free.called('u')).answer(OK)
  expect(await client.answer('11')).toContain('"content":[]')
  call.answer(OK)
  for (let id = 2; id <= 10; id++) (await full.called('t')).answer(OK)
  for (let id = 1; id <= 10; id++) expect(await client.answer(`${id}`)).toContain('"content":[]')
})

/** An HTTP server that takes `serviceMs` for each call, and counts how many it has at once and has begun in all. */
async function timedServer(serviceMs: number) {
  let most = 0
  let now = 0
  let begun = 0
  /** How many calls had been begun before the latest one of the quiet client. */
  let quietAfter = 0
  const results: Readonly<Record<string, string>> = {
    initialize:
      '{"protocolVersion":"2025-11-25","capabilities":{"tools":{}},"serverInfo":{"name":"timed","version":"1"}}',
    'tools/list': `{"tools":[${toolText('t')}]}`,
  }
  const listener = createServer((request, response) => {
    let body = ''
    request.setEncoding('utf8')
    request.on('data', (chunk: string) => (body += chunk))
    request.on('end', () => {
      const { id, method = '' } = JSON.parse(body === '' ? '{}' : body) as { id?: number; method?: string }
      const answer = (member: string): void =>
        void response
          .writeHead(200, { 'content-type': 'application/json' })
          .end(`{"jsonrpc":"2.0","id":${id},${member}}`)
      if (request.method !== 'POST') response.writeHead(405).end()
      else if (id === undefined) response.writeHead(202).end()
      else if (method === 'tools/call') {
        most = Math.max(most, ++now)
        if (body.includes('"quiet"')) quietAfter = begun
        begun++
        setTimeout(() => {
          now--
          answer('"result":{"content":[{"type":"text","text":"done"}]}')
        }, serviceMs)
      } else if (results[method]) answer(`"result":${results[method]}`)
      else answer('"error":{"code":-32601,"message":"Method not found"}')
    })
  })
  listener.listen(0, '127.0.0.1')
  await once(listener, 'listening')
  const { port } = listener.address() as AddressInfo
  return {
    entry: { url: `http://127.0.0.1:${port}/mcp` },
    get most() {
      return most
    },
    get begun() {
      return begun
    },
    get quietAfter() {
      return quietAfter
    },
    async [Symbol.asyncDispose]() {
      listener.close()
      listener.closeAllConnections()
      await once(listener, 'close')
    },
  }
}

test('a client with a hundred times the demand costs a quiet one at most two calls of waiting', async () => {
  const CONCURRENCY = 4
  const CALLS = 150
  await using crowded = await timedServer(20)
  // The same machine under the same load, without the crowd: what is left of the difference is the queue.
  await using empty = await timedServer(20)
  await using gateway = await startGateway({
    mcpServers: { a: { ...crowded.entry, maxConcurrentCalls: CONCURRENCY }, b: empty.entry },
  })
  await gateway.gateway.warmUp()
  await using quiet = await StdioClient.legacy(gateway.gateway)
  const sessions: HttpClient[] = []
  for (let count = 0; count < 10; count++) sessions.push(await openSession(gateway.origin))
  const flooding = { on: true }
  let flooded = 0
  const flood = Array.from({ length: 100 }, async (_, at) => {
    const session = sessions[at % sessions.length] as HttpClient
    while (flooding.on) {
      expect(await session.call('a__t')).toBe('done')
      flooded++
    }
  })
  const timed = async (server: string, id: number): Promise<number> => {
    const since = performance.now()
    const params = `{"name":"${server}__t","arguments":{"who":"quiet"}}`
    expect(await quiet.request(`${id}`, 'tools/call', params)).toContain('done')
    return performance.now() - since
  }
  const beside: number[] = []
  const alone: number[] = []
  const overtaken: number[] = []
  for (let id = 0; id < CALLS; id++) {
    const before = crowded.begun
    beside.push(await timed('a', id))
    overtaken.push(crowded.quietAfter - before)
    alone.push(await timed('b', id))
  }
  const during = flooded
  flooding.on = false
  await Promise.all(flood)

  const single = median(alone)
  console.log(
    `single ${single.toFixed(1)} ms; quiet beside the flood ${median(beside).toFixed(1)} ms, ` +
      `overtaken by at most ${Math.max(...overtaken)}; the flood made ${during} calls meanwhile`,
  )
  // It was a flood, which left nothing free: first come, first served would have been 96 calls before each of the quiet client's.
  expect(crowded.most).toBe(CONCURRENCY)
  expect(during).toBeGreaterThan(CALLS * 2)
  // Whatever the machine does: calls on their way to the server when it came, and one turn of the other client.
  expect(Math.max(...overtaken)).toBeLessThanOrEqual(2 * CONCURRENCY)
  // In time: two single calls of waiting, as slow as they are on this machine at this moment.
  expect(median(beside)).toBeLessThanOrEqual(3 * single)
})
