import { describe, expect, test } from 'vitest'
import { rawAt } from '../../src/protocol/json-text.ts'
import { startRawServer } from '../fixtures/servers/raw.js'
import { startGateway } from '../helpers/gateway.ts'
import type { TestGateway } from '../helpers/gateway.ts'
import { scriptedHttp, scriptedStdio, toolText } from '../helpers/scripted-servers.ts'
import type { ScriptedRequest, ScriptedServer } from '../helpers/scripted-servers.ts'
import {
  answerOf,
  LegacySession,
  ModernHttp,
  requestText,
  StdioClient,
  withEnvelope,
} from '../helpers/wire-clients.ts'
import type { WireClient, WireResponse } from '../helpers/wire-clients.ts'
import { HeldClock } from '../helpers/held-clock.ts'

/** What comes back, and what servers say unasked, reaches the client it is meant for, and no other. */

const KEY = 'io.modelcontextprotocol'

const CLIENTS: readonly [string, (gateway: TestGateway) => Promise<WireClient>][] = [
  ['stdio, legacy', gateway => StdioClient.legacy(gateway.gateway)],
  ['stdio, modern', async gateway => new StdioClient(gateway.gateway, true)],
  ['HTTP, legacy', gateway => LegacySession.open(gateway.origin)],
  ['HTTP, modern', async gateway => new ModernHttp(gateway.origin)],
]

/** A gateway in front of servers a, b and c that has listed them: no client hears of first lists any more. */
async function gatewayFor(...servers: ScriptedServer[]): Promise<TestGateway> {
  const gateway = await startGateway({
    mcpServers: Object.fromEntries(servers.map((server, index) => ['abc'[index] ?? 'z', server.entry])),
  })
  await gateway.gateway.warmUp()
  return gateway
}

/** A call of the tool `t` of server a. */
const CALL = '{"name":"a__t"}'
const callWith = (args: string): string => `{"name":"a__t","arguments":${args}}`
const OK = '"result":{"content":[]}'

const notification = (method: string, params?: string): string =>
  `{"jsonrpc":"2.0","method":"notifications/${method}"${params === undefined ? '' : `,"params":${params}`}}`

/** The notifications of a response, in their order, as text. */
async function notificationsIn(response: WireResponse): Promise<string[]> {
  await response.body
  return response.events.all.map(({ data }) => data).filter(data => !data.startsWith('{"jsonrpc":"2.0","id"'))
}

describe('ids', () => {
  describe.each(CLIENTS)('of a client over %s', (_, connect) => {
    test('come back as they were written', async () => {
      await using server = await scriptedHttp()
      server.results.set('tools/call', '{"content":[]}')
      await using gateway = await gatewayFor(server)
      await using client = await connect(gateway)
      const ids = ['7', '0', '-3', '1.0', '12345678901234567890', '"7"', '""', String.raw`"\u0061\/é"`]
      for (const id of ids)
        expect(await client.request(id, 'tools/call', CALL)).toMatch(`{"jsonrpc":"2.0","id":${id},"result":{`)
      const upstream = server.messages.all
        .filter(text => text.includes('"tools/call"'))
        .map(text => rawAt(text, 'id'))
      // Ours are small numbers, each used once.
      expect(upstream.every(id => /^\d{1,3}$/.test(String(id)))).toBe(true)
      expect(new Set(upstream).size).toBe(ids.length)
    })
  })

  test.each([
    ['stdio', scriptedStdio],
    ['HTTP', scriptedHttp],
  ])('that are equal, of many clients at once on one server over %s', async (_, start) => {
    await using server = await start()
    await using gateway = await gatewayFor(server)
    const clients = await Promise.all(
      Array.from({ length: 24 }, (_, at) => CLIENTS[at % CLIENTS.length]?.[1](gateway)),
    )
    const answers = clients.map((client, who) =>
      client?.request('1', 'tools/call', callWith(`{"who":${who}}`)),
    )
    const calls: ScriptedRequest[] = []
    for (const _ of clients) calls.push(await server.called('t'))
    expect(new Set(calls.map(({ id }) => id)).size).toBe(clients.length)
    for (const call of calls.toReversed())
      call.answer(`"result":{"content":[],"x":${rawAt(call.params, 'arguments')}}`)
    for (const [who, answer] of (await Promise.all(answers)).entries()) {
      expect(rawAt(answer ?? '', 'id')).toBe('1')
      expect(rawAt(answer ?? '', 'result', 'x')).toBe(`{"who":${who}}`)
    }
    for (const client of clients) await client?.[Symbol.asyncDispose]()
  })

  test('that are used twice at once by one client', async () => {
    await using server = await scriptedStdio()
    await using gateway = await gatewayFor(server)
    await using client = await StdioClient.legacy(gateway.gateway)
    client.send(requestText('1', 'tools/call', CALL))
    const call = await server.called('t')
    expect(await client.request('1', 'tools/call', CALL)).toContain('"code":-32600')
    call.answer(OK)
    expect(await client.answer('1')).toBe(`{"jsonrpc":"2.0","id":1,${OK}}`)
    expect(server.requests.left).toEqual([])
  })

  test('of an unknown request: an answer without a request is dropped', async () => {
    await using server = await scriptedStdio()
    await using gateway = await gatewayFor(server)
    await using client = await StdioClient.legacy(gateway.gateway)
    client.send(requestText('5', 'tools/call', CALL))
    const call = await server.called('t')
    server.say(`{"jsonrpc":"2.0","id":999,${OK}}`)
    server.say(`{"jsonrpc":"2.0","id":"${call.id}",${OK}}`)
    call.answer('"result":{"content":[],"x":1.0}')
    call.answer('"result":{"content":[],"x":2.0}')
    expect(await client.answer('5')).toContain('"x":1.0')
    await client.request('6', 'ping')
    expect(client.lines.left).toEqual([])
  })
})

const asWho = (who: number): string =>
  `{"name":"a__t","arguments":{"who":${who}},"_meta":{"progressToken":"same"}}`

describe('progress', () => {
  test.each(['7', '0', '"7"', '""', '-1', '1.5', '12345678901234567890', String.raw`"\u0061\/é"`])(
    'comes back with the token %s',
    async token => {
      await using server = await scriptedStdio()
      await using gateway = await gatewayFor(server)
      await using client = await StdioClient.legacy(gateway.gateway)
      client.send(requestText('1', 'tools/call', `{"name":"a__t","_meta":{"progressToken":${token}}}`))
      const call = await server.called('t')
      const ours = rawAt(call.params, '_meta', 'progressToken')
      expect(ours).toMatch(/^\d{1,3}$/)
      call.say(
        notification(
          'progress',
          `{"progress":1.0,"progressToken":${ours}, "total":1e2,"message":"\\u00e9","x":[ ]}`,
        ),
      )
      call.answer(OK)
      await client.answer('1')
      expect(client.lines.left.at(-1)).toBe(
        notification(
          'progress',
          `{"progress":1.0,"progressToken":${token}, "total":1e2,"message":"\\u00e9","x":[ ]}`,
        ),
      )
    },
  )

  test.each([
    ['stdio', scriptedStdio],
    ['HTTP', scriptedHttp],
  ])('without an end, of a server over %s, ends at twelve times the timeout', async (_, start) => {
    await using server = await start()
    await using gateway = await startGateway({ mcpServers: { a: server.entry } }, { timeoutMs: 100 })
    await gateway.gateway.warmUp()
    await using client = await StdioClient.legacy(gateway.gateway)
    using clock = new HeldClock()
    client.send(requestText('1', 'tools/call', '{"name":"a__t","_meta":{"progressToken":7}}'))
    const call = await server.called('t')
    const token = rawAt(call.params, '_meta', 'progressToken')
    let progress = 0
    // The clock of the gateway goes on with each report.
    const timer = setInterval(() => {
      clock.advance(20)
      call.say(notification('progress', `{"progressToken":${token},"progress":${++progress}}`))
    }, 20)
    try {
      expect(await client.answer('1')).toContain(
        'did not answer tools/call within 1.2 s, although it reported progress or waited for room; ' +
          'a call lasts 12 times its time limit at most. Try again, or raise \\"timeout\\" of this server.',
      )
    } finally {
      clearInterval(timer)
    }
    expect(progress).toBeGreaterThanOrEqual(1200 / 20)
  })

  test.each([
    ['stdio', scriptedStdio],
    ['HTTP', scriptedHttp],
  ])('of many clients with equal tokens, from a server over %s', async (_, start) => {
    await using server = await start()
    await using gateway = await gatewayFor(server)
    const sessions = await Promise.all(Array.from({ length: 6 }, () => LegacySession.open(gateway.origin)))
    await using modern = new ModernHttp(gateway.origin)
    const responses = [
      ...sessions.map((session, who) => session.post(requestText('1', 'tools/call', asWho(who)))),
      ...sessions.map((_, at) => modern.post('1', 'tools/call', withEnvelope(asWho(sessions.length + at)))),
    ]
    const calls: ScriptedRequest[] = []
    for (const _ of responses) calls.push(await server.called('t'))
    for (const call of calls.toReversed()) {
      const who = rawAt(call.params, 'arguments', 'who')
      const token = rawAt(call.params, '_meta', 'progressToken')
      call.say(notification('progress', `{"progressToken":${token},"progress":${who}}`))
    }
    for (const call of calls) call.answer(OK)
    for (const [who, response] of (await Promise.all(responses)).entries())
      expect(await notificationsIn(response)).toEqual([
        notification('progress', `{"progressToken":"same","progress":${who}}`),
      ])
    for (const session of sessions) await session[Symbol.asyncDispose]()
  })

  test('after the end of its call is dropped, and so is that of an unknown token', async () => {
    await using server = await scriptedStdio()
    await using gateway = await gatewayFor(server)
    await using client = await StdioClient.legacy(gateway.gateway)
    client.send(requestText('1', 'tools/call', '{"name":"a__t","_meta":{"progressToken":"p"}}'))
    const first = await server.called('t')
    const token = rawAt(first.params, '_meta', 'progressToken')
    first.answer(OK)
    first.say(notification('progress', `{"progressToken":${token},"progress":1}`))
    first.say(notification('progress', '{"progressToken":"p","progress":1}'))
    first.say(notification('progress', '{"progress":1}'))
    first.say(notification('progress'))
    await client.answer('1')
    client.send(requestText('2', 'tools/call', CALL))
    ;(await server.called('t')).answer(OK)
    await client.answer('2')
    expect(client.lines.left).toEqual([])
  })

  test.each(['', ',"_meta":{}', ',"_meta":{"progressToken":null}', ',"_meta":{"progressToken":{"x":1}}'])(
    'that the client did not ask for: the server gets no token (%s)',
    async meta => {
      await using server = await scriptedStdio()
      await using gateway = await gatewayFor(server)
      await using client = await StdioClient.legacy(gateway.gateway)
      client.send(requestText('1', 'tools/call', `{"name":"a__t"${meta}}`))
      const call = await server.called('t')
      expect(call.text).not.toContain('progressToken')
      // A server might guess that its token would be the id.
      call.say(notification('progress', `{"progressToken":${call.id},"progress":1}`))
      call.answer(OK)
      await client.answer('1')
      expect(client.lines.left).toEqual([])
    },
  )
})

const cancelOf = (id: string, more = ''): string => notification('cancelled', `{"requestId":${id}${more}}`)
const isCancel = (text: string): boolean => text.includes('notifications/cancelled')
const isSlow = (text: string): boolean => text.includes('"slow"') && text.includes('tools/call')

describe('cancellation', () => {
  test.each([false, true])('over stdio reaches the server under its own id (modern: %s)', async modern => {
    await using server = await scriptedStdio()
    await using gateway = await gatewayFor(server)
    await using client = modern
      ? new StdioClient(gateway.gateway, true)
      : await StdioClient.legacy(gateway.gateway)
    client.send(requestText('"mine"', 'tools/call', modern ? withEnvelope(CALL) : CALL))
    const call = await server.called('t')
    client.send(cancelOf('"mine"', ',"reason":"enough"'))
    const cancel = await server.notifications.take(isCancel)
    expect(rawAt(cancel, 'params', 'requestId')).toBe(call.id)
    if (!modern) expect(rawAt(cancel, 'params', 'reason')).toBe('"enough"')
    // Too late: no client is told.
    call.say(notification('message', '{"level":"error","data":1}'))
    call.answer(OK)
    const next = client.request('"next"', 'tools/call', CALL)
    ;(await server.called('t')).answer(OK)
    await next
    expect(client.lines.all.filter(line => line.includes('"mine"'))).toEqual([])
    // The id may be used again.
    const again = client.request('"mine"', 'tools/call', CALL)
    ;(await server.called('t')).answer(OK)
    expect(await again).toContain('"result"')
  })

  test('ends only the call of the client that cancels', async () => {
    await using server = await scriptedStdio()
    await using gateway = await gatewayFor(server)
    await using one = await LegacySession.open(gateway.origin)
    await using two = await LegacySession.open(gateway.origin)
    const responses = [
      one.post(requestText('1', 'tools/call', callWith('"one"'))),
      two.post(requestText('1', 'tools/call', callWith('"two"'))),
      two.post(requestText('2', 'tools/call', callWith('"three"'))),
    ]
    const calls = [await server.called('t'), await server.called('t'), await server.called('t')]
    const idOf = (args: string): string | undefined =>
      calls.find(({ params }) => rawAt(params, 'arguments') === args)?.id
    // Neither another's id, nor one of another type, nor one that never was.
    for (const id of ['2', '"1"', '99', 'null']) expect((await one.post(cancelOf(id))).status).toBe(202)
    expect((await one.post(notification('cancelled'))).status).toBe(202)
    await one.post(cancelOf('1'))
    const cancel = await server.notifications.take(isCancel)
    expect(rawAt(cancel, 'params', 'requestId')).toBe(idOf('"one"'))
    for (const call of calls) call.answer(OK)
    const [cancelled, ...others] = await Promise.all(responses)
    expect(await cancelled?.body).toBe('')
    expect(await Promise.all(others.map(answerOf))).toEqual([
      `{"jsonrpc":"2.0","id":1,${OK}}`,
      `{"jsonrpc":"2.0","id":2,${OK}}`,
    ])
    expect(server.notifications.all.filter(isCancel)).toHaveLength(1)
  })

  test('a modern client over HTTP cancels by closing the stream', async () => {
    await using server = await scriptedStdio()
    await using gateway = await gatewayFor(server)
    await using client = new ModernHttp(gateway.origin)
    const params = withEnvelope('{"name":"a__t","_meta":{"progressToken":1}}')
    const response = client.post('1', 'tools/call', params)
    const call = await server.called('t')
    call.say(
      notification(
        'progress',
        `{"progressToken":${rawAt(call.params, '_meta', 'progressToken')},"progress":1}`,
      ),
    )
    ;(await response).destroy()
    expect(rawAt(await server.notifications.take(isCancel), 'params', 'requestId')).toBe(call.id)
  })

  test('a legacy client over HTTP that loses its connection has cancelled nothing', async () => {
    await using server = await scriptedHttp()
    await using gateway = await gatewayFor(server)
    await using session = await LegacySession.open(gateway.origin)
    const params = '{"name":"a__t","_meta":{"progressToken":1}}'
    const response = session.post(requestText('1', 'tools/call', params))
    const call = await server.called('t')
    call.say(
      notification(
        'progress',
        `{"progressToken":${rawAt(call.params, '_meta', 'progressToken')},"progress":1}`,
      ),
    )
    const { destroy, body } = await response
    destroy()
    await body
    const next = session.request('2', 'tools/call', CALL)
    ;(await server.called('t')).answer(OK)
    await next
    call.answer(OK)
    await call.gone
    expect(server.notifications.all.filter(isCancel)).toEqual([])
  })

  test('the end of a session cancels what is in flight', async () => {
    await using server = await scriptedStdio()
    await using gateway = await gatewayFor(server)
    const session = await LegacySession.open(gateway.origin)
    const response = session.post(requestText('1', 'tools/call', CALL))
    const call = await server.called('t')
    await session[Symbol.asyncDispose]()
    expect(rawAt(await server.notifications.take(isCancel), 'params', 'requestId')).toBe(call.id)
    expect(await (await response).body).toBe('')
  })

  test.each(['legacy', 'modern'] as const)('towards a %s server over HTTP', async era => {
    const server = await startRawServer({ era, answers: 'sse', sessions: false })
    try {
      await using gateway = await startGateway({ mcpServers: { a: { url: server.url } } })
      await using session = await LegacySession.open(gateway.origin)
      const response = session.post(requestText('1', 'tools/call', '{"name":"a__slow"}'))
      await server.until(() => server.received.some(isSlow))
      await session.post(cancelOf('1'))
      await server.until(() => server.cancelled.length === 1)
      const id = rawAt(server.received.find(isSlow) ?? '{}', 'id')
      // Where both happen, it is up to the network which of them arrives first.
      expect(server.cancelled[0]?.id).toBe(id)
      if (era === 'modern') expect(server.cancelled[0]?.how).toBe('disconnect')
      expect(server.received.some(isCancel)).toBe(era === 'legacy')
      await (
        await response
      ).body
    } finally {
      await server.close()
    }
  })
})

const record = (level: string, more = ''): string =>
  notification('message', `{"level":"${level}","data":{"2":1.0,"1":[ ]}${more}}`)

describe('log records', () => {
  test('go to the call on whose stream they came', async () => {
    await using server = await scriptedHttp()
    await using gateway = await gatewayFor(server)
    await using one = await LegacySession.open(gateway.origin)
    await using two = await LegacySession.open(gateway.origin)
    const responses = [one, two].map((session, who) =>
      session.post(requestText('1', 'tools/call', callWith(String(who)))),
    )
    const calls = [await server.called('t'), await server.called('t')]
    for (const call of calls) call.say(record('info', `,"x":${rawAt(call.params, 'arguments')}`))
    for (const call of calls) call.answer(OK)
    for (const [who, response] of (await Promise.all(responses)).entries())
      expect(await notificationsIn(response)).toEqual([record('info', `,"x":${who}`)])
  })

  test('arrive as the server wrote them, with its logger or none', async () => {
    await using server = await scriptedHttp()
    await using gateway = await gatewayFor(server)
    await using session = await LegacySession.open(gateway.origin)
    const response = session.post(requestText('1', 'tools/call', CALL))
    const call = await server.called('t')
    call.say(notification('message', String.raw`{"level":"info", "logger" : "l\u00e9", "data" : 1.0}`))
    call.say(notification('message', '{"level":"info","logger":7,"data":1.0}'))
    call.say(notification('message', '{"level":"loud","data":1.0}'))
    call.answer(OK)
    expect(await notificationsIn(await response)).toEqual([
      notification('message', String.raw`{"level":"info", "logger" : "l\u00e9", "data" : 1.0}`),
      notification('message', '{"level":"info","logger":7,"data":1.0}'),
    ])
  })

  test('go to the only call in flight where there is one stream for all', async () => {
    await using server = await scriptedStdio()
    await using gateway = await gatewayFor(server)
    await using session = await LegacySession.open(gateway.origin)
    const response = session.post(requestText('1', 'tools/call', CALL))
    const call = await server.called('t')
    call.say(record('info'))
    call.answer(OK)
    expect(await notificationsIn(await response)).toEqual([record('info')])
  })

  test('that may belong to calls of several clients go to no client', async () => {
    await using server = await scriptedStdio()
    await using gateway = await gatewayFor(server)
    await using one = await LegacySession.open(gateway.origin)
    await using two = await LegacySession.open(gateway.origin)
    const streams = [await one.listen(), await two.listen()]
    const responses = [one, two].map(session => session.post(requestText('1', 'tools/call', CALL)))
    const calls = [await server.called('t'), await server.called('t')]
    server.say(record('emergency'))
    for (const call of calls) call.answer(OK)
    for (const response of await Promise.all(responses)) expect(await notificationsIn(response)).toEqual([])
    // What comes when nothing is in flight is for all that see the server.
    server.say(record('info'))
    for (const stream of streams) {
      await stream.events.take()
      expect(stream.events.all.map(({ data }) => data)).toEqual([record('info')])
    }
  })

  test('that may belong to several calls of one client go to that client', async () => {
    await using server = await scriptedStdio()
    await using gateway = await gatewayFor(server)
    await using one = await LegacySession.open(gateway.origin)
    await using other = await LegacySession.open(gateway.origin)
    const streams = [await one.listen(), await other.listen()]
    const responses = ['1', '2'].map(id => one.post(requestText(id, 'tools/call', CALL)))
    const calls = [await server.called('t'), await server.called('t')]
    server.say(record('info', ',"x":1'))
    expect((await streams[0]?.events.take())?.data).toBe(record('info', ',"x":1'))
    for (const call of calls) call.answer(OK)
    await Promise.all(responses.map(async response => (await response).body))
    server.say(record('info', ',"x":2'))
    expect((await streams[1]?.events.take())?.data).toBe(record('info', ',"x":2'))
  })

  test('of a server go to no client that does not see it', async () => {
    await using a = await scriptedStdio()
    await using b = await scriptedStdio()
    await using gateway = await gatewayFor(a, b)
    await using onlyA = await LegacySession.open(gateway.origin, { path: '/mcp/a' })
    await using both = await LegacySession.open(gateway.origin)
    const streams = [await onlyA.listen(), await both.listen()]
    await both.request('1', 'tools/list')
    b.say(record('info'))
    expect((await streams[1]?.events.take())?.data).toBe(record('info'))
    a.say(record('info'))
    expect((await streams[1]?.events.take())?.data).toBe(record('info'))
    expect((await streams[0]?.events.take())?.data).toBe(record('info'))
    expect(streams[0]?.events.all).toHaveLength(1)
  })

  test('below the level that a client has set do not reach it', async () => {
    await using server = await scriptedHttp()
    await using gateway = await gatewayFor(server)
    await using quiet = await LegacySession.open(gateway.origin)
    await using loud = await LegacySession.open(gateway.origin)
    expect(await quiet.request('1', 'logging/setLevel', '{"level":"error"}')).toBe(
      '{"jsonrpc":"2.0","id":1,"result":{}}',
    )
    expect(await quiet.request('1', 'logging/setLevel', '{"level":"loud"}')).toContain('"code":-32602')
    await loud.request('1', 'logging/setLevel', '{"level":"debug"}')
    for (const [session, expected] of [
      [quiet, [record('error'), record('emergency')]],
      [loud, [record('debug'), record('warning'), record('error'), record('emergency')]],
    ] as const) {
      const response = session.post(requestText('2', 'tools/call', CALL))
      const call = await server.called('t')
      for (const level of ['debug', 'warning', 'error', 'emergency']) call.say(record(level))
      call.answer(OK)
      expect(await notificationsIn(await response)).toEqual(expected)
    }
    // The server is told the most verbose level that any client wants.
    const levels = server.messages.all
      .filter(text => text.includes('logging/setLevel'))
      .map(text => rawAt(text, 'params', 'level'))
    expect(levels.at(-1)).toBe('"debug"')
  })

  test('reach a modern client only when the request asks for them', async () => {
    await using server = await scriptedHttp()
    await using gateway = await gatewayFor(server)
    await using client = new ModernHttp(gateway.origin)
    for (const [level, expected] of [
      ['', []],
      [`,"${KEY}/logLevel":"warning"`, [record('warning'), record('alert')]],
    ] as const) {
      const response = client.post('1', 'tools/call', withEnvelope(CALL, level))
      const call = await server.called('t')
      expect(call.text).not.toContain('logLevel')
      for (const said of ['info', 'warning', 'alert']) call.say(record(said))
      call.answer(OK)
      expect(await notificationsIn(await response)).toEqual(expected)
    }
  })
})

const withTools = (...names: string[]): string => `{"tools":[${names.map(name => toolText(name)).join(',')}]}`
const isListing = (text: string): boolean => text.includes('"tools/list"')
const listings = (server: ScriptedServer): number => server.messages.all.filter(isListing).length

describe('changed lists', () => {
  const CHANGED = notification('tools/list_changed')

  test('are reported once, to clients whose view has changed', async () => {
    await using a = await scriptedStdio()
    await using b = await scriptedStdio()
    await using gateway = await gatewayFor(a, b)
    await using stdio = await StdioClient.legacy(gateway.gateway)
    await using whole = await LegacySession.open(gateway.origin)
    await using onlyA = await LegacySession.open(gateway.origin, { path: '/mcp/a' })
    await using onlyB = await LegacySession.open(gateway.origin, { path: '/mcp/b' })
    const streams = { whole: await whole.listen(), onlyA: await onlyA.listen(), onlyB: await onlyB.listen() }

    const before = listings(a)
    a.results.set('tools/list', withTools('t', 'u'))
    for (let burst = 0; burst < 5; burst++) a.say(CHANGED)
    expect(await stdio.notification('notifications/tools/list_changed')).toBe(CHANGED)
    expect(await stdio.request('1', 'tools/list')).toContain('"a__u"')
    // The listing that follows every start may be one of the two.
    expect(listings(a) - before).toBeLessThanOrEqual(2)

    // Says so, but nothing is different.
    const unchanged = listings(a)
    const listing = a.messages.next(isListing)
    a.say(CHANGED)
    await listing
    expect(listings(a)).toBe(unchanged + 1)

    b.results.set('tools/list', withTools('t', 'v'))
    b.say(CHANGED)
    await stdio.notification('notifications/tools/list_changed')
    expect(stdio.lines.left).toEqual([])
    for (const [name, count] of [
      ['whole', 2],
      ['onlyA', 1],
      ['onlyB', 1],
    ] as const) {
      for (let at = 0; at < count; at++) expect((await streams[name].events.take()).data).toBe(CHANGED)
      expect(streams[name].events.all).toHaveLength(count)
    }
  })

  describe.each(['"L1"', '7', '0', '12345678901234567890'])(
    'for a modern client that listens with id %s',
    id => {
      const tag = `"_meta":{"${KEY}/subscriptionId":${id}}`
      const LISTEN = withEnvelope(
        '{"notifications":{"toolsListChanged":true,"promptsListChanged":false,"resourcesListChanged":true,"x":true}}',
      )
      const ACKNOWLEDGED = notification(
        'subscriptions/acknowledged',
        `{"notifications":{"toolsListChanged":true,"resourcesListChanged":true},${tag}}`,
      )

      test('over HTTP', async () => {
        await using server = await scriptedStdio()
        await using gateway = await gatewayFor(server)
        await using client = new ModernHttp(gateway.origin)
        const stream = await client.post(id, 'subscriptions/listen', LISTEN)
        expect((await stream.events.take()).data).toBe(ACKNOWLEDGED)
        server.results.set('prompts/list', '{"prompts":[{"name":"p"}]}')
        server.results.set('resources/list', '{"resources":[{"uri":"a:/1","name":"1"}]}')
        server.results.set(
          'resources/templates/list',
          '{"resourceTemplates":[{"uriTemplate":"a:/{id}","name":"1"}]}',
        )
        server.say(notification('prompts/list_changed'))
        expect((await stream.events.take()).data).toBe(notification('resources/list_changed', `{${tag}}`))
        server.results.set('tools/list', withTools('t', 'u'))
        server.say(CHANGED)
        expect((await stream.events.take()).data).toBe(notification('tools/list_changed', `{${tag}}`))
        await gateway.gateway.close()
        await stream.body
        expect(stream.events.left.map(({ data }) => data)).toEqual([
          `{"jsonrpc":"2.0","id":${id},"result":{"resultType":"complete",${tag}}}`,
        ])
      })

      test('over stdio, until the client leaves', async () => {
        await using server = await scriptedStdio()
        await using gateway = await gatewayFor(server)
        const client = new StdioClient(gateway.gateway, true)
        client.send(requestText(id, 'subscriptions/listen', LISTEN))
        expect(await client.lines.take()).toBe(ACKNOWLEDGED)
        await client[Symbol.asyncDispose]()
        expect(client.lines.left).toEqual([
          `{"jsonrpc":"2.0","id":${id},"result":{"resultType":"complete",${tag}}}`,
        ])
      })

      test('over stdio, until it cancels', async () => {
        await using server = await scriptedStdio()
        await using gateway = await gatewayFor(server)
        await using client = new StdioClient(gateway.gateway, true)
        client.send(requestText(id, 'subscriptions/listen', LISTEN))
        expect(await client.lines.take()).toBe(ACKNOWLEDGED)
        server.results.set('tools/list', withTools('t', 'u'))
        server.say(CHANGED)
        expect(await client.lines.take()).toBe(notification('tools/list_changed', `{${tag}}`))
        client.send(notification('cancelled', `{"requestId":${id}}`))
        client.send(requestText('"other"', 'subscriptions/listen', LISTEN))
        await client.lines.take(line => line.includes('"other"'))
        server.results.set('tools/list', withTools('t'))
        server.say(CHANGED)
        await client.lines.take(line => line.includes('"other"'))
        expect(client.lines.left).toEqual([])
      })
    },
  )
})

const subscribers = (server: ScriptedServer, verb: string): (string | undefined)[] =>
  server.messages.all
    .filter(text => text.includes(`"resources/${verb}"`))
    .map(text => rawAt(text, 'params', 'uri'))
const updated = (uri: string): string => notification('resources/updated', `{ "uri" : "${uri}", "x":1.0}`)
const subscribable = async (): Promise<ScriptedServer> => {
  const server = await scriptedStdio()
  server.results.set('resources/list', '{"resources":[{"uri":"x:/1","name":"1"},{"uri":"x:/2","name":"2"}]}')
  server.results.set('resources/subscribe', '{}')
  server.results.set('resources/unsubscribe', '{}')
  return server
}

describe('subscriptions', () => {
  test('of several clients are one upstream, and updates go to the subscribed ones', async () => {
    await using server = await subscribable()
    await using gateway = await gatewayFor(server)
    await using one = await LegacySession.open(gateway.origin)
    await using two = await LegacySession.open(gateway.origin)
    await using other = await LegacySession.open(gateway.origin)
    const streams = [await one.listen(), await two.listen(), await other.listen()]
    const said = (at: number): string[] => (streams[at]?.events.all ?? []).map(({ data }) => data)
    const DONE = '{"jsonrpc":"2.0","id":1,"result":{}}'
    expect(await one.request('1', 'resources/subscribe', '{"uri":"x:/1"}')).toBe(DONE)
    expect(await two.request('1', 'resources/subscribe', '{"uri":"x:/1"}')).toBe(DONE)
    expect(await two.request('1', 'resources/subscribe', '{"uri":"x:/1"}')).toBe(DONE)
    expect(await other.request('1', 'resources/subscribe', '{"uri":"x:/2"}')).toBe(DONE)
    expect(subscribers(server, 'subscribe')).toEqual(['"x:/1"', '"x:/2"'])

    server.say(updated('x:/1'))
    // A part of what was subscribed to, something else, and the other's.
    server.say(updated('x:/1/part'))
    server.say(updated('x:/10'))
    server.say(updated('x:/2'))
    await streams[2]?.events.take()
    expect(said(0)).toEqual([updated('x:/1'), updated('x:/1/part')])
    expect(said(1)).toEqual(said(0))
    expect(said(2)).toEqual([updated('x:/2')])

    expect(await one.request('1', 'resources/unsubscribe', '{"uri":"x:/1"}')).toBe(DONE)
    expect(await one.request('1', 'resources/unsubscribe', '{"uri":"x:/1"}')).toBe(DONE)
    expect(subscribers(server, 'unsubscribe')).toEqual([])
    server.say(updated('x:/1'))
    server.say(updated('x:/2'))
    await streams[2]?.events.take()
    expect(said(0)).toHaveLength(2)
    expect(said(1)).toHaveLength(3)

    await two.request('1', 'resources/unsubscribe', '{"uri":"x:/1"}')
    // A call after it: what was sent before has arrived.
    const arrived = async (): Promise<void> => {
      const call = one.request('3', 'tools/call', CALL)
      ;(await server.called('t')).answer(OK)
      await call
    }
    await arrived()
    expect(subscribers(server, 'unsubscribe')).toEqual(['"x:/1"'])
    // A session that ends has unsubscribed.
    await other[Symbol.asyncDispose]()
    await arrived()
    expect(subscribers(server, 'unsubscribe')).toEqual(['"x:/1"', '"x:/2"'])
  })

  test('at the same moment are one upstream, too', async () => {
    await using server = await subscribable()
    server.results.delete('resources/subscribe')
    await using gateway = await gatewayFor(server)
    await using one = await LegacySession.open(gateway.origin)
    await using two = await LegacySession.open(gateway.origin)
    const answers = [one, two].map(session => session.request('1', 'resources/subscribe', '{"uri":"x:/1"}'))
    const subscribe = await server.requests.take()
    const listed = await two.request('2', 'tools/list')
    expect(listed).toContain('a__t')
    subscribe.answer('"result":{}')
    expect(await Promise.all(answers)).toEqual(Array(2).fill('{"jsonrpc":"2.0","id":1,"result":{}}'))
    expect(subscribers(server, 'subscribe')).toEqual(['"x:/1"'])
  })

  test('that a server refuses are no subscriptions', async () => {
    await using server = await subscribable()
    server.results.delete('resources/subscribe')
    await using gateway = await gatewayFor(server)
    await using session = await LegacySession.open(gateway.origin)
    for (let attempt = 0; attempt < 2; attempt++) {
      const answer = session.request('1', 'resources/subscribe', '{"uri":"x:/1"}')
      ;(await server.requests.take()).answer('"error":{"code":-32050.0,"message":"no"}')
      expect(await answer).toBe('{"jsonrpc":"2.0","id":1,"error":{"code":-32050.0,"message":"no"}}')
    }
  })

  test('of equal URIs of two servers are kept apart', async () => {
    await using a = await subscribable()
    await using b = await subscribable()
    await using gateway = await gatewayFor(a, b)
    await using session = await LegacySession.open(gateway.origin)
    const stream = await session.listen()
    await session.request('1', 'resources/subscribe', '{"uri":"b+x:/1"}')
    expect(subscribers(a, 'subscribe')).toEqual([])
    expect(subscribers(b, 'subscribe')).toEqual(['"x:/1"'])
    a.say(updated('x:/1'))
    b.say(updated('x:/1'))
    b.say(updated('x:/1/part'))
    await stream.events.take(({ data }) => data.includes('part'))
    expect(stream.events.all.map(({ data }) => data)).toEqual([updated('b+x:/1'), updated('b+x:/1/part')])
  })
})

describe('completion', () => {
  test('names prompts and templates as their server does', async () => {
    await using a = await scriptedStdio()
    await using b = await scriptedStdio()
    for (const server of [a, b]) {
      server.results.set('prompts/list', '{"prompts":[{"name":"p"}]}')
      server.results.set(
        'resources/templates/list',
        '{"resourceTemplates":[{"uriTemplate":"x:/{id}","name":"1"}]}',
      )
    }
    await using gateway = await gatewayFor(a, b)
    await using client = await StdioClient.legacy(gateway.gateway)
    for (const [id, sent, arrives] of [
      ['1', '"type":"ref/prompt", "name" : "b__p","x":1.0', '"type":"ref/prompt", "name" : "p","x":1.0'],
      ['2', '"type":"ref/resource","uri":"b+x:/{id}"', '"type":"ref/resource","uri":"x:/{id}"'],
    ] as const) {
      const argument = '"argument":{"name":"b__p", "value":"\\u00e9"},"context":{"arguments":{"2":"","1":""}}'
      client.send(requestText(id, 'completion/complete', `{"ref":{${sent}},${argument}}`))
      const request = await b.requests.take()
      expect(request.params).toBe(`{"ref":{${arrives}},${argument}}`)
      const result = '"result":{"completion":{"values":["b__p"],"total":1.0,"hasMore":false}}'
      request.answer(result)
      expect(await client.answer(id)).toBe(`{"jsonrpc":"2.0","id":${id},${result}}`)
    }
  })

  test.each([
    '{}',
    '{"ref":null}',
    '{"ref":{"type":"ref/prompt"}}',
    '{"ref":{"type":"ref/prompt","name":"p"}}',
    '{"ref":{"type":"ref/other","name":"a__p"}}',
  ])('of an unknown item is refused: %s', async params => {
    await using server = await scriptedStdio()
    await using gateway = await gatewayFor(server)
    await using client = await StdioClient.legacy(gateway.gateway)
    expect(await client.request('1', 'completion/complete', params)).toContain('"code":-32602')
  })
})

const withResources = async (): Promise<ScriptedServer> => {
  const server = await scriptedStdio()
  server.results.set('resources/list', '{"resources":[{"uri":"x:/1","name":"1"}]}')
  server.results.set(
    'resources/templates/list',
    '{"resourceTemplates":[{"uriTemplate":"x:/item/{id}","name":"i"}]}',
  )
  return server
}
const read = async (
  client: StdioClient,
  server: ScriptedServer,
  uri: string,
): Promise<{ asked: string; answer: string }> => {
  const id = `"read ${uri}"`
  client.send(requestText(id, 'resources/read', `{ "uri" : "${uri}","x":1.0}`))
  const request = await server.requests.take(({ method }) => method === 'resources/read')
  const own = rawAt(request.params, 'uri')
  request.answer(
    `"result":{ "contents":[{"uri":${own},"text":${own}},{"uri":"x:/1","x":1.0},{"uri":"other:/"}]}`,
  )
  return { asked: request.params, answer: await client.answer(id) }
}
const links = (one: string): string =>
  `"result":{"content":[{"type":"resource_link", "uri":"new:/1","name":"n"},{"type":"resource","resource":{"uri":"new:/2","text":""}},{"type":"resource_link","uri":"${one}","name":"x:/1"},{"type":"text","text":"x:/1"}]}`

describe('resources', () => {
  test('of equal URIs are read under the exposed one and at the right server', async () => {
    await using a = await withResources()
    await using b = await withResources()
    await using gateway = await gatewayFor(a, b)
    await using client = await StdioClient.legacy(gateway.gateway)
    const first = await read(client, a, 'x:/1')
    expect(first.asked).toBe('{ "uri" : "x:/1","x":1.0}')
    expect(first.answer).toBe(
      '{"jsonrpc":"2.0","id":"read x:/1","result":{ "contents":[{"uri":"x:/1","text":"x:/1"},{"uri":"x:/1","x":1.0},{"uri":"other:/"}]}}',
    )
    const second = await read(client, b, 'b+x:/1')
    expect(second.asked).toBe('{ "uri" : "x:/1","x":1.0}')
    expect(second.answer).toBe(
      '{"jsonrpc":"2.0","id":"read b+x:/1","result":{ "contents":[{"uri":"b+x:/1","text":"x:/1"},{"uri":"b+x:/1","x":1.0},{"uri":"other:/"}]}}',
    )
  })

  test('that only a template names go to its server', async () => {
    await using a = await withResources()
    await using b = await withResources()
    await using gateway = await gatewayFor(a, b)
    await using client = await StdioClient.legacy(gateway.gateway)
    expect((await read(client, a, 'x:/item/5')).asked).toBe('{ "uri" : "x:/item/5","x":1.0}')
    const second = await read(client, b, 'b+x:/item/5')
    expect(second.asked).toBe('{ "uri" : "x:/item/5","x":1.0}')
    expect(rawAt(second.answer, 'result', 'contents')).toContain('[{"uri":"b+x:/item/5","text":"x:/item/5"}')
  })

  test('that a result names are read at the server of the result, by clients that received it', async () => {
    await using a = await withResources()
    await using b = await withResources()
    b.results.set('tools/list', `{"tools":[${toolText('t')}]}`)
    await using gateway = await gatewayFor(a, b)
    await using client = await StdioClient.legacy(gateway.gateway)
    const refused = await client.request('1', 'resources/read', '{"uri":"new:/1"}')
    expect(rawAt(refused, 'error', 'code')).toBe('-32602')
    expect(rawAt(refused, 'error', 'data', 'uri')).toBe('"new:/1"')

    client.send(requestText('2', 'tools/call', '{"name":"b__t"}'))
    ;(await b.called('t')).answer(links('x:/1'))
    // The listed one is shown under the URI by which it can be read here.
    expect(await client.answer('2')).toBe(`{"jsonrpc":"2.0","id":2,${links('b+x:/1')}}`)
    expect((await read(client, b, 'new:/1')).asked).toContain('"new:/1"')
    expect((await read(client, b, 'new:/2')).asked).toContain('"new:/2"')
    expect((await read(client, b, 'b+x:/1')).asked).toContain('"x:/1"')

    await using stranger = await LegacySession.open(gateway.origin)
    expect(await stranger.request('1', 'resources/read', '{"uri":"new:/1"}')).toContain('"code":-32602')
  })

  test('of a scheme that is configured go to its server', async () => {
    await using a = await withResources()
    await using b = await withResources()
    await using gateway = await startGateway({
      mcpServers: { a: a.entry, b: { ...b.entry, uriSchemes: ['own'] } },
    })
    await using client = await StdioClient.legacy(gateway.gateway)
    expect((await read(client, b, 'own:/1')).asked).toContain('"own:/1"')
  })

  test('at the endpoint of a server alone keep the URIs of that server', async () => {
    await using a = await withResources()
    await using b = await withResources()
    await using gateway = await gatewayFor(a, b)
    await using session = await LegacySession.open(gateway.origin, { path: '/mcp/b' })
    expect(await session.request('1', 'resources/list')).toContain('[{"uri":"x:/1","name":"1"}]')
    const answer = session.request('2', 'resources/read', '{"uri":"x:/1"}')
    ;(await b.requests.take()).answer('"result":{"contents":[{"uri":"x:/1"}]}')
    expect(await answer).toBe('{"jsonrpc":"2.0","id":2,"result":{"contents":[{"uri":"x:/1"}]}}')
    expect(a.requests.all).toEqual([])
  })
})
