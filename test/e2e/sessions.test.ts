import { connect } from 'node:net'
import { describe, expect, test } from 'vitest'
import { rawAt } from '../../src/protocol/json-text.ts'
import { startRawServer } from '../fixtures/servers/raw.js'
import { startGateway } from '../helpers/gateway.ts'
import type { TestGateway } from '../helpers/gateway.ts'
import { scriptedHttp } from '../helpers/scripted-servers.ts'
import type { ScriptedRequest, ScriptedServer } from '../helpers/scripted-servers.ts'
import {
  answerOf,
  ENVELOPE,
  http,
  JSON_HEADERS,
  LegacySession,
  ModernHttp,
  requestText,
  withEnvelope,
} from '../helpers/wire-clients.ts'
import type { WireResponse } from '../helpers/wire-clients.ts'

/** The HTTP front, as the protocol describes it: sessions and resumable streams of the legacy era, checks of the modern one. */

const KEY = 'io.modelcontextprotocol'
const CALL = '{"name":"a__t"}'
const OK = '"result":{"content":[]}'
const PING = requestText('1', 'ping', undefined)
const INITIALIZE = requestText('1', 'initialize', '{"protocolVersion":"2025-11-25","capabilities":{}}')

async function gatewayFor(
  server?: ScriptedServer,
  options: Readonly<Record<string, unknown>> = {},
): Promise<TestGateway> {
  const gateway = await startGateway({
    mcpServers: server ? { a: server.entry } : {},
    gateway: { http: { port: 0, ...options } },
  })
  await gateway.gateway.warmUp()
  return gateway
}

/** Status and, of a JSON body, the code of its error. */
async function refusal(response: WireResponse): Promise<[number, number | undefined]> {
  const body = await response.body
  const { error } = (body === '' ? {} : JSON.parse(body)) as { error?: { code: number } }
  return [response.status, error?.code]
}

const progress = (call: ScriptedRequest, at: number): void =>
  call.say(
    `{"jsonrpc":"2.0","method":"notifications/progress","params":{"progressToken":${rawAt(call.params, '_meta', 'progressToken')},"progress":${at}}}`,
  )
const dataOf = (response: WireResponse): string[] => response.events.all.map(({ data }) => data)
const progressText = (at: number): string =>
  `{"jsonrpc":"2.0","method":"notifications/progress","params":{"progressToken":"p","progress":${at}}}`

describe('a legacy session', () => {
  test('begins with initialize and ends with DELETE', async () => {
    await using gateway = await gatewayFor()
    const session = await LegacySession.open(gateway.origin)
    expect(session.id).toMatch(/^[\x21-\x7e]{20,}$/)
    expect(await session.request('1', 'ping')).toBe('{"jsonrpc":"2.0","id":1,"result":{}}')
    expect(gateway.gateway.sessions).toBe(1)
    const stream = await session.listen()
    const ended = await http(session.url, { method: 'DELETE', headers: session.headers })
    expect(ended.status).toBe(200)
    await stream.body
    expect(gateway.gateway.sessions).toBe(0)
    expect(await refusal(await session.post(PING))).toEqual([404, -32001])
    expect((await session.listen()).status).toBe(404)
    expect((await http(session.url, { method: 'DELETE', headers: session.headers })).status).toBe(404)
  })

  test('is needed, and must be known', async () => {
    await using gateway = await gatewayFor()
    const url = `${gateway.origin}/mcp`
    expect(await refusal(await http(url, { headers: JSON_HEADERS, body: PING }))).toEqual([400, -32000])
    const unknown = { ...JSON_HEADERS, 'mcp-session-id': 'no-such-session' }
    expect(await refusal(await http(url, { headers: unknown, body: PING }))).toEqual([404, -32001])
    expect((await http(url, { method: 'GET', headers: JSON_HEADERS })).status).toBe(400)
    expect((await http(url, { method: 'DELETE' })).status).toBe(400)
    expect(gateway.gateway.sessions).toBe(0)
  })

  test('is one of its endpoint only', async () => {
    await using server = await scriptedHttp()
    await using gateway = await gatewayFor(server)
    await using session = await LegacySession.open(gateway.origin)
    const elsewhere = await http(`${gateway.origin}/mcp/a`, { headers: session.headers, body: PING })
    expect(elsewhere.status).toBe(404)
  })

  test('takes notifications and answers without an answer', async () => {
    await using gateway = await gatewayFor()
    await using session = await LegacySession.open(gateway.origin)
    for (const body of [
      '{"jsonrpc":"2.0","method":"notifications/initialized"}',
      '{"jsonrpc":"2.0","method":"notifications/unknown","params":{}}',
      '{"jsonrpc":"2.0","id":1,"result":{}}',
      '{"jsonrpc":"2.0","id":1,"error":{"code":-1,"message":""}}',
    ]) {
      const response = await session.post(body)
      expect([response.status, await response.body]).toEqual([202, ''])
    }
  })

  test('is refused a second initialize, and a first one that is wrong begins none', async () => {
    await using gateway = await gatewayFor()
    await using session = await LegacySession.open(gateway.origin)
    const again = await http(session.url, {
      headers: session.headers,
      body: requestText('1', 'initialize', '{"capabilities":{}}'),
    })
    expect(await again.body).toContain('"code":-32602')
    expect(again.headers['mcp-session-id']).toBeDefined()
    expect((await session.post(PING)).status).toBe(200)
    expect(gateway.gateway.sessions).toBe(1)
  })

  test.each([
    ['2025-11-25', '2025-11-25'],
    ['2025-06-18', '2025-06-18'],
    ['2025-03-26', '2025-03-26'],
    ['2024-11-05', '2024-11-05'],
    ['1999-01-01', '2025-11-25'],
    ['2026-07-28', '2025-11-25'],
  ])('that asks for revision %s gets %s', async (asked, agreed) => {
    await using gateway = await gatewayFor()
    const body = requestText('1', 'initialize', `{"protocolVersion":"${asked}","capabilities":{}}`)
    const response = await http(`${gateway.origin}/mcp`, { headers: JSON_HEADERS, body })
    expect(rawAt(await response.body, 'result', 'protocolVersion')).toBe(`"${agreed}"`)
  })

  test.each([
    [undefined, 200],
    ['2025-03-26', 200],
    ['2025-06-18', 200],
    ['2025-11-25', 200],
    ['1999-01-01', 400],
    ['x', 400],
  ])('with MCP-Protocol-Version %s gets status %i', async (version, status) => {
    await using gateway = await gatewayFor()
    await using session = await LegacySession.open(gateway.origin)
    const headers = {
      ...JSON_HEADERS,
      'mcp-session-id': session.id,
      ...(version && { 'mcp-protocol-version': version }),
    }
    expect((await http(session.url, { headers, body: PING })).status).toBe(status)
  })

  test('makes room for another when there are too many', async () => {
    await using gateway = await gatewayFor(undefined, { maxSessions: 2 })
    await using busy = await LegacySession.open(gateway.origin)
    const stream = await busy.listen()
    const idle = await LegacySession.open(gateway.origin)
    await using third = await LegacySession.open(gateway.origin)
    expect((await idle.post(PING)).status).toBe(404)
    expect((await busy.post(PING)).status).toBe(200)
    const other = await third.listen()
    const refused = await http(`${gateway.origin}/mcp`, { headers: JSON_HEADERS, body: INITIALIZE })
    expect(refused.status).toBe(503)
    expect(refused.headers['retry-after']).toBeDefined()
    stream.destroy()
    other.destroy()
  })
})

describe('a batch of revision 2025-03-26', () => {
  test('is answered in one array, byte for byte', async () => {
    await using server = await scriptedHttp()
    server.results.set('tools/call', '{"content":[ ],"x":1.0}')
    await using gateway = await gatewayFor(server)
    await using session = await LegacySession.open(gateway.origin, { version: '2025-03-26' })
    const messages = [
      requestText('"ping"', 'ping', undefined),
      '{"jsonrpc":"2.0","method":"notifications/initialized"}',
      requestText('12345678901234567890', 'tools/call', '{"name":"a__t","arguments":{"2":1.0,"1":[ ]}}'),
      '{"jsonrpc":"2.0","id":1,"result":{}}',
      requestText('3', 'no/such', undefined),
    ]
    const response = await session.post(`[ ${messages.join(' ,\n')} ]`)
    expect(response.headers['content-type']).toBe('application/json')
    const body = await response.body
    expect(body).toContain('{"jsonrpc":"2.0","id":12345678901234567890,"result":{"content":[ ],"x":1.0}}')
    expect(body).toContain('{"jsonrpc":"2.0","id":"ping","result":{}}')
    const answers = JSON.parse(body) as { id: unknown; error?: { code: number } }[]
    expect(answers).toHaveLength(3)
    expect(answers.find(({ id }) => id === 3)?.error?.code).toBe(-32601)
    const call = server.messages.all.find(text => text.includes('tools/call'))
    expect(rawAt(String(call), 'params')).toBe('{"name":"t","arguments":{"2":1.0,"1":[ ]}}')
  })

  test('becomes a stream when there is something to tell before', async () => {
    await using server = await scriptedHttp()
    await using gateway = await gatewayFor(server)
    await using session = await LegacySession.open(gateway.origin, { version: '2025-03-26' })
    const call = requestText('2', 'tools/call', '{"name":"a__t","_meta":{"progressToken":"p"}}')
    const posted = session.post(`[${PING},${call}]`)
    const upstream = await server.called('t')
    progress(upstream, 1)
    upstream.answer(OK)
    const response = await posted
    await response.body
    expect(dataOf(response)).toEqual([
      '{"jsonrpc":"2.0","id":1,"result":{}}',
      progressText(1),
      `{"jsonrpc":"2.0","id":2,${OK}}`,
    ])
  })

  test.each([
    ['an array', 'application/json'],
    ['a stream', 'application/json, text/event-stream'],
  ])('that is large goes out as %s, answer by answer', async (kind, accept) => {
    await using server = await scriptedHttp()
    await using gateway = await gatewayFor(server)
    await using session = await LegacySession.open(gateway.origin, { version: '2025-03-26' })
    const call = (id: number): string => requestText(String(id), 'tools/call', CALL)
    const text = (at: number): string => String(at).repeat(at === 3 ? 400_000 : 50_000)
    const result = (at: number): string => `"result":{"content":[{"type":"text","text":"${text(at)}"}]}`
    const posted = http(session.url, {
      headers: { ...JSON_HEADERS, accept, 'mcp-session-id': session.id },
      body: `[${[1, 2, 3, 4].map(call).join(',')}]`,
    })
    const calls: ScriptedRequest[] = []
    for (let at = 1; at <= 4; at++) calls.push(await server.called('t'))
    for (const at of [0, 1, 2]) calls[at]?.answer(result(at + 1))
    // The last call has no answer yet.
    const response = await posted
    calls[3]?.answer(result(4))
    const body = await response.body
    const answers = (
      kind === 'a stream' ? dataOf(response).map(data => JSON.parse(data)) : JSON.parse(body)
    ) as { id: number; result: { content: { text: string }[] } }[]
    expect(response.status).toBe(200)
    expect(response.headers['content-type']).toBe(
      kind === 'a stream' ? 'text/event-stream' : 'application/json',
    )
    expect(answers.map(answer => answer.id).toSorted()).toEqual([1, 2, 3, 4])
    expect(answers.map(answer => answer.result.content[0]?.text.length).toSorted()).toEqual([
      400_000, 50_000, 50_000, 50_000,
    ])
  })

  test('whose last answer is cancelled ends as an array; one of which all are cancelled is accepted', async () => {
    await using server = await scriptedHttp()
    await using gateway = await gatewayFor(server)
    await using session = await LegacySession.open(gateway.origin, { version: '2025-03-26' })
    const send = (ids: number[]): Promise<WireResponse> =>
      http(session.url, {
        headers: { ...JSON_HEADERS, accept: 'application/json', 'mcp-session-id': session.id },
        body: `[${ids.map(id => requestText(String(id), 'tools/call', CALL)).join(',')}]`,
      })
    const cancel = (id: number): Promise<WireResponse> =>
      session.post(`{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":${id}}}`)
    const posted = send([1, 2])
    const calls = [await server.called('t'), await server.called('t')]
    calls[0]?.answer(`"result":{"content":[{"type":"text","text":"${'x'.repeat(100_000)}"}]}`)
    const response = await posted
    await cancel(1)
    await cancel(2)
    expect(JSON.parse(await response.body)).toHaveLength(1)
    const all = send([3, 4])
    await server.called('t')
    await server.called('t')
    await cancel(3)
    await cancel(4)
    expect((await all).status).toBe(202)
  })

  test('of nothing to answer is accepted; one of nothing at all, or of too much, is not', async () => {
    await using gateway = await gatewayFor()
    await using session = await LegacySession.open(gateway.origin, { version: '2025-03-26' })
    expect((await session.post('[{"jsonrpc":"2.0","method":"notifications/initialized"}]')).status).toBe(202)
    expect(await refusal(await session.post('[]'))).toEqual([400, -32600])
    expect(await refusal(await session.post(`[${Array(101).fill(PING).join(',')}]`))).toEqual([400, -32600])
    expect(await refusal(await session.post('[1]'))).toEqual([400, -32600])
    expect(await refusal(await session.post(`[${requestText('1', 'tools/list', withEnvelope())}]`))).toEqual([
      400, -32600,
    ])
  })
})

const withProgress = (args = '{}'): string =>
  `{"name":"a__t","arguments":${args},"_meta":{"progressToken":"p"}}`
const log = (at: number): string =>
  `{"jsonrpc":"2.0","method":"notifications/message","params":{"level":"info","data":${at}}}`

/** A call whose stream has carried one event and then broken. */
async function broken(
  session: LegacySession,
  server: ScriptedServer,
  id: string,
): Promise<{ call: ScriptedRequest; lastId: string }> {
  const posted = session.post(requestText(id, 'tools/call', withProgress(`{"id":${id}}`)))
  const call = await server.called('t')
  progress(call, 1)
  const response = await posted
  const first = await response.events.take()
  response.destroy()
  await response.body
  return { call, lastId: String(first.id) }
}

describe('a stream that breaks', () => {
  test('is continued where it was: what was missed, what is new, and the answer', async () => {
    await using server = await scriptedHttp()
    await using gateway = await gatewayFor(server)
    await using session = await LegacySession.open(gateway.origin)
    const { call, lastId } = await broken(session, server, '1')
    progress(call, 2)
    progress(call, 3)
    const again = await session.listen(lastId)
    expect(again.headers['content-type']).toBe('text/event-stream')
    expect((await again.events.take()).data).toBe(progressText(2))
    await again.events.take()
    progress(call, 4)
    call.answer(OK)
    await again.body
    expect(dataOf(again)).toEqual([
      progressText(2),
      progressText(3),
      progressText(4),
      `{"jsonrpc":"2.0","id":1,${OK}}`,
    ])
    const ids = again.events.all.map(({ id }) => id)
    expect(new Set([...ids, lastId]).size).toBe(5)
  })

  test('may break again, and its answer is kept', async () => {
    await using server = await scriptedHttp()
    await using gateway = await gatewayFor(server)
    await using session = await LegacySession.open(gateway.origin)
    const { call, lastId } = await broken(session, server, '1')
    const second = await session.listen(lastId)
    progress(call, 2)
    const { id } = await second.events.take()
    second.destroy()
    await second.body
    call.answer(OK)
    await call.gone
    // Everything is over by now, and can still be fetched, more than once.
    for (const attempt of [1, 2]) {
      const last = await session.listen(String(id))
      await last.body
      expect(dataOf(last), `attempt ${attempt}`).toEqual([`{"jsonrpc":"2.0","id":1,${OK}}`])
    }
  })

  test('is continued with its own events only', async () => {
    await using server = await scriptedHttp()
    await using gateway = await gatewayFor(server)
    await using session = await LegacySession.open(gateway.origin)
    const standalone = await session.listen()
    const one = await broken(session, server, '1')
    const two = await broken(session, server, '2')
    progress(two.call, 22)
    server.say('{"jsonrpc":"2.0","method":"notifications/message","params":{"level":"info","data":1}}')
    progress(one.call, 12)
    one.call.answer(OK)
    two.call.answer(OK)
    const again = { one: await session.listen(one.lastId), two: await session.listen(two.lastId) }
    await Promise.all([again.one.body, again.two.body])
    expect(dataOf(again.one)).toEqual([progressText(12), `{"jsonrpc":"2.0","id":1,${OK}}`])
    expect(dataOf(again.two)).toEqual([progressText(22), `{"jsonrpc":"2.0","id":2,${OK}}`])
    standalone.destroy()
  })

  test('of what belongs to no request is continued, too', async () => {
    await using server = await scriptedHttp()
    await using gateway = await gatewayFor(server)
    await using session = await LegacySession.open(gateway.origin)
    const say = (at: number): void => server.say(log(at))
    const first = await session.listen()
    say(1)
    say(2)
    const { id } = await first.events.take()
    await first.events.take()
    const second = await session.listen(String(id))
    say(3)
    await second.events.take(({ data }) => data === log(3))
    expect(dataOf(second)).toEqual([log(2), log(3)])
    // The older one has been ended in favour of the newer.
    await first.body
    expect(dataOf(first)).toEqual([log(1), log(2)])
  })

  test('starts with an event to come back to since 2025-11-25', async () => {
    await using server = await scriptedHttp()
    await using gateway = await gatewayFor(server)
    for (const version of ['2025-11-25', '2025-06-18']) {
      await using session = await LegacySession.open(gateway.origin, { version })
      const posted = session.post(requestText('1', 'tools/call', withProgress()))
      const call = await server.called('t')
      progress(call, 1)
      call.answer(OK)
      expect((await (await posted).body).startsWith('id: ')).toBe(version === '2025-11-25')
    }
  })

  test('can be taken over before the gateway has noticed that it is broken', async () => {
    await using server = await scriptedHttp()
    await using gateway = await gatewayFor(server)
    await using session = await LegacySession.open(gateway.origin)
    const posted = session.post(requestText('1', 'tools/call', withProgress()))
    const call = await server.called('t')
    progress(call, 1)
    const old = await posted
    const { id } = await old.events.take()
    const newer = await session.listen(String(id))
    progress(call, 2)
    expect((await newer.events.take()).data).toBe(progressText(2))
    old.destroy()
    await old.body
    // Something later on another connection, so that the end of the old one has been noticed.
    await session.request('2', 'ping')
    call.answer(OK)
    await newer.body
    expect(dataOf(newer)).toEqual([progressText(2), `{"jsonrpc":"2.0","id":1,${OK}}`])
    expect(dataOf(old)).toEqual([progressText(1)])
  })

  test('is not continued from events that never were, or were not this session’s', async () => {
    await using server = await scriptedHttp()
    await using gateway = await gatewayFor(server)
    await using session = await LegacySession.open(gateway.origin)
    await using other = await LegacySession.open(gateway.origin)
    const own = await broken(session, server, '1')
    const foreign = await broken(other, server, '1')
    own.call.answer(OK)
    foreign.call.answer(OK)
    const never = own.lastId.replace(/\d+$/, '999999')
    const elsewhere = own.lastId.replace(/-\d+-/, '-99-')
    const made = ['x', '0', '1', '-1', '1-1', '', `${own.lastId}0`, ` ${never}`]
    for (const id of [foreign.lastId, never, elsewhere, ...made])
      expect((await session.listen(id)).status, `event ${JSON.stringify(id)}`).toBe(400)
    const again = await session.listen(own.lastId)
    await again.body
    expect(dataOf(again)).toEqual([`{"jsonrpc":"2.0","id":1,${OK}}`])
  })
})

describe('a request that is refused before it is read', () => {
  test('because of what it accepts, sends or asks for', async () => {
    await using gateway = await gatewayFor(undefined, { maxBody: '1KiB' })
    await using session = await LegacySession.open(gateway.origin)
    const status = async (headers: Record<string, string>, body: string | Buffer = PING): Promise<number> => {
      const response = await session.post(String(body), headers)
      await response.body
      return response.status
    }
    expect(await status({ accept: 'text/html' })).toBe(406)
    expect(await status({ accept: 'text/event-stream' })).toBe(406)
    expect(await status({ accept: '*/*' })).toBe(200)
    expect(await status({ accept: 'application/json' })).toBe(200)
    expect(await status({ 'content-type': 'text/plain' })).toBe(415)
    expect(await status({ 'content-type': 'application/jsonp' })).toBe(415)
    expect(await status({ 'content-type': 'application/json; charset=utf-8' })).toBe(200)
    expect(await status({}, requestText('1', 'ping', `{"x":"${'x'.repeat(2000)}"}`))).toBe(413)
    expect(
      (
        await http(session.url, {
          method: 'GET',
          headers: { ...session.headers, accept: 'application/json' },
        })
      ).status,
    ).toBe(406)
    const put = await http(session.url, { method: 'PUT', headers: session.headers, body: PING })
    expect([put.status, put.headers.allow]).toEqual([405, 'GET, POST, DELETE'])
    for (const path of ['/', '/mcp/none', '/mcpx', '/mcp/%zz'])
      expect([400, 404], path).toContain(
        (await http(`${gateway.origin}${path}`, { headers: JSON_HEADERS, body: PING })).status,
      )
  })

  test('because its body has no end', async () => {
    await using gateway = await gatewayFor(undefined, { maxBody: '1KiB' })
    const { hostname, port } = new URL(gateway.origin)
    const socket = connect(Number(port), hostname)
    const answer = new Promise<string>(resolve => {
      socket.once('data', chunk => resolve(chunk.toString()))
    })
    socket.on('error', () => {})
    socket.write(
      `POST /mcp HTTP/1.1\r\nhost: localhost\r\naccept: application/json\r\ncontent-type: application/json\r\ntransfer-encoding: chunked\r\n\r\n`,
    )
    socket.write(`800\r\n${'x'.repeat(0x800)}\r\n`)
    expect(await answer).toMatch(/^HTTP\/1\.1 413 /)
    socket.destroy()
  })

  test.each([
    ['{', -32700],
    ['', -32700],
    ['"x"', -32600],
    ['{"jsonrpc":"1.0","id":1,"method":"ping"}', -32600],
    ['{"jsonrpc":"2.0","id":1.5,"method":"ping"}', -32600],
    ['{"jsonrpc":"2.0","id":1,"id":2,"method":"ping"}', -32600],
    ['{"jsonrpc":"2.0","id":1,"method":"ping","params":[]}', -32602],
  ])('because it is no message: %s', async (body, code) => {
    await using gateway = await gatewayFor()
    await using session = await LegacySession.open(gateway.origin)
    expect(await refusal(await session.post(body))).toEqual([400, code])
  })

  test.each([
    ['host', 'evil.example', 403],
    ['host', 'evil.example:80', 403],
    ['host', 'localhost.evil.example', 403],
    ['host', 'localhost', 200],
    ['host', '127.0.0.1:1', 200],
    ['host', '[::1]:1', 200],
    ['host', 'Allowed.Example:8443', 200],
    ['origin', 'http://evil.example', 403],
    ['origin', 'null', 403],
    ['origin', 'file://', 403],
    ['origin', 'http://localhost.evil.example', 403],
    ['origin', 'http://localhost:5173', 200],
    ['origin', 'https://127.0.0.1', 200],
    ['origin', 'https://allowed.example', 200],
    ['origin', 'http://allowed.example', 403],
  ])('because of where it comes from or goes to: %s %s gets %i', async (header, value, status) => {
    await using gateway = await gatewayFor(undefined, {
      allowedHosts: ['allowed.example'],
      allowedOrigins: ['https://allowed.example'],
    })
    for (const path of ['/mcp', '/mcp', '/readyz', '/sse'].slice(0, status === 403 ? 4 : 1)) {
      const response = await http(`${gateway.origin}${path}`, {
        headers: { ...JSON_HEADERS, [header]: value },
        body: INITIALIZE,
      })
      await response.body
      expect(response.status, path).toBe(status)
    }
  })

  test('is asked about first by a browser', async () => {
    await using gateway = await gatewayFor()
    const preflight = (origin: string): Promise<WireResponse> =>
      http(`${gateway.origin}/mcp`, {
        method: 'OPTIONS',
        headers: { origin, 'access-control-request-method': 'POST' },
      })
    const allowed = await preflight('http://localhost:6274')
    expect(allowed.status).toBe(204)
    expect(allowed.headers['access-control-allow-origin']).toBe('http://localhost:6274')
    expect(allowed.headers['access-control-allow-methods']).toBe('GET, POST, DELETE')
    const headers = String(allowed.headers['access-control-allow-headers']).split(', ')
    expect(headers).toEqual(
      expect.arrayContaining(['mcp-session-id', 'mcp-protocol-version', 'last-event-id', 'mcp-name']),
    )
    expect((await preflight('http://evil.example')).status).toBe(403)
    const answer = await http(`${gateway.origin}/mcp`, {
      headers: { ...JSON_HEADERS, origin: 'http://localhost:6274' },
      body: INITIALIZE,
    })
    expect(answer.headers['access-control-expose-headers']).toContain('mcp-session-id')
  })
})

describe('a server that forgets its session', () => {
  test.each(['json', 'sse'] as const)(
    'gets another handshake, and the call runs once (%s)',
    async answers => {
      const server = await startRawServer({ answers })
      try {
        await using gateway = await startGateway({ mcpServers: { a: { url: server.url } } })
        await using session = await LegacySession.open(gateway.origin)
        const stream = await session.listen()
        const echo = (mark: string): Promise<string> =>
          session.request('"x"', 'tools/call', `{"name":"a__echo_raw","arguments":{"mark":${mark}}}`)
        const ran = (mark: string): number =>
          server.received.filter(text => text.includes(`"mark":${mark}`)).length
        expect(await echo('1.0')).toContain('"structuredContent":{"mark":1.0}')
        server.forgetSessions()
        expect(await echo('2.0')).toContain('"structuredContent":{"mark":2.0}')
        // Many at once find out together.
        server.forgetSessions()
        const marks = ['3.0', '4.0', '5.0', '6.0']
        const calls = marks.map((mark, at) =>
          session.request(String(at), 'tools/call', `{"name":"a__echo_raw","arguments":{"mark":${mark}}}`),
        )
        for (const [at, answer] of (await Promise.all(calls)).entries())
          expect(answer).toContain(`"structuredContent":{"mark":${marks[at]}}`)
        expect(['1.0', '2.0', ...marks].map(ran)).toEqual([1, 1, 1, 1, 1, 1])
        expect(server.sessions).toBe(1)
        expect(dataOf(stream).filter(data => !data.includes('list_changed'))).toEqual([])
      } finally {
        await server.close()
      }
    },
  )
})

const withMeta = (meta: string): string => `{"_meta":{${meta}}}`

describe('a modern request', () => {
  const LIST = withEnvelope()

  test('is held against its headers', async () => {
    await using server = await scriptedHttp()
    server.results.set('tools/call', '{"content":[]}')
    await using gateway = await gatewayFor(server)
    await using client = new ModernHttp(gateway.origin)
    const base64 = `=?base64?${Buffer.from('a__t').toString('base64')}?=`
    const call = withEnvelope(CALL)
    const outcomes: [
      string,
      string,
      string,
      Record<string, string | undefined>,
      number,
      number | undefined,
    ][] = [
      ['as it should be', 'tools/call', call, {}, 200, undefined],
      ['a name in Base64', 'tools/call', call, { 'mcp-name': base64 }, 200, undefined],
      ['another method', 'tools/list', LIST, { 'mcp-method': 'tools/call' }, 400, -32020],
      ['a method in another case', 'tools/list', LIST, { 'mcp-method': 'Tools/List' }, 400, -32020],
      ['another name', 'tools/call', call, { 'mcp-name': 'a__u' }, 400, -32020],
      [
        'a name that only claims to be Base64',
        'tools/call',
        call,
        { 'mcp-name': '=?base64?%?=' },
        400,
        -32020,
      ],
      ['another revision', 'tools/list', LIST, { 'mcp-protocol-version': '2027-01-01' }, 400, -32020],
      ['an older revision', 'tools/list', LIST, { 'mcp-protocol-version': '2025-11-25' }, 400, -32020],
    ]
    for (const [what, method, text, headers, status, code] of outcomes)
      expect(await refusal(await client.post('1', method, text, headers)), what).toEqual([status, code])
    const sent: Record<string, string> = {
      ...JSON_HEADERS,
      'mcp-protocol-version': '2026-07-28',
      'mcp-method': 'tools/call',
      'mcp-name': 'a__t',
    }
    for (const missing of ['mcp-protocol-version', 'mcp-method', 'mcp-name']) {
      const headers = Object.fromEntries(Object.entries(sent).filter(([name]) => name !== missing))
      const response = await http(client.url, { headers, body: requestText('"x"', 'tools/call', call) })
      expect(rawAt(await response.body, 'id'), missing).toBe('"x"')
      expect(await refusal(response), missing).toEqual([400, -32020])
    }
    // None of these was ever passed on.
    expect(server.messages.all.filter(text => text.includes('tools/call'))).toHaveLength(2)
  })

  test('is refused without a whole envelope', async () => {
    await using gateway = await gatewayFor()
    await using client = new ModernHttp(gateway.origin)
    const version = `"${KEY}/protocolVersion":"2026-07-28"`
    for (const text of [
      '{}',
      '{"_meta":{}}',
      withMeta(version),
      withMeta(`${version},"${KEY}/clientCapabilities":[]`),
    ])
      expect(await refusal(await client.post('7', 'tools/list', text)), text).toEqual([400, -32602])
    const level = await client.post('7', 'tools/list', withMeta(`${ENVELOPE},"${KEY}/logLevel":"loud"`))
    expect(await refusal(level)).toEqual([400, -32602])
    const number = await client.post('7', 'tools/list', withMeta(`"${KEY}/protocolVersion":20260728`))
    expect(await refusal(number)).toEqual([400, -32602])
  })

  test('gets the revisions that there are', async () => {
    await using gateway = await gatewayFor()
    await using client = new ModernHttp(gateway.origin)
    const text = LIST.replace('2026-07-28', '2027-01-01')
    const response = await client.post('7', 'tools/list', text, { 'mcp-protocol-version': '2027-01-01' })
    expect(response.status).toBe(400)
    expect(JSON.parse(await response.body)).toMatchObject({
      id: 7,
      error: { code: -32022, data: { supported: ['2026-07-28'], requested: '2027-01-01' } },
    })
  })

  test.each(['ping', 'initialize', 'logging/setLevel', 'resources/subscribe', 'no/such'])(
    '%s does not exist',
    async method => {
      await using gateway = await gatewayFor()
      await using client = new ModernHttp(gateway.origin)
      const response = await client.post('"x"', method, LIST)
      expect(rawAt(await response.body, 'id')).toBe('"x"')
      expect(await refusal(response)).toEqual([404, -32601])
    },
  )

  test('needs no session and gets none', async () => {
    await using gateway = await gatewayFor()
    await using client = new ModernHttp(gateway.origin)
    const response = await client.post('1', 'server/discover', LIST, { 'mcp-session-id': 'left-over' })
    expect(rawAt(await response.body, 'result', 'supportedVersions')).toBe('["2026-07-28"]')
    expect(response.headers['mcp-session-id']).toBeUndefined()
    expect(gateway.gateway.sessions).toBe(0)
    const notification = '{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":1}}'
    const accepted = await http(client.url, {
      headers: { ...JSON_HEADERS, 'mcp-protocol-version': '2026-07-28' },
      body: notification,
    })
    expect(accepted.status).toBe(202)
  })

  test('for an unknown name is answered, not refused', async () => {
    await using gateway = await gatewayFor()
    await using client = new ModernHttp(gateway.origin)
    expect(await refusal(await client.post('1', 'tools/call', withEnvelope('{"name":"none"}')))).toEqual([
      200, -32602,
    ])
    expect(await refusal(await client.post('1', 'resources/read', withEnvelope('{"uri":"none:/"}')))).toEqual(
      [200, -32602],
    )
  })

  test('to listen needs a client that takes a stream', async () => {
    await using gateway = await gatewayFor()
    await using client = new ModernHttp(gateway.origin)
    const refused = await client.post('1', 'subscriptions/listen', LIST, { accept: 'application/json' })
    expect(refused.status).toBe(406)
    const answer = await client.post('1', 'tools/list', LIST, { accept: 'application/json' })
    expect(await answerOf(answer)).toContain('"tools":[]')
  })
})
