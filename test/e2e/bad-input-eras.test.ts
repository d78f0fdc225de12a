import { afterEach, describe, expect, test, vi } from 'vitest'
import { SERVER } from '../../src/config/options/server.ts'
import { rawAt } from '../../src/protocol/json-text.ts'
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
import type { WireResponse } from '../helpers/wire-clients.ts'

/**
 * What clients and servers of both eras may do wrong while a call is interrupted by a question, listened to, or given up: each is refused or ignored,
 * and every other client is served as before.
 */

const KEY = 'io.modelcontextprotocol'
const FEATURES = '{"elicitation":{}}'
const ACCEPT = '{"action":"accept","content":{}}'
const OK = '"result":{"content":[]}'

const wall = Date.now.bind(Date)
const steady = performance.now.bind(performance)
let passed = 0

afterEach(() => {
  passed = 0
  vi.restoreAllMocks()
})

/** Lets `ms` pass at once, for whatever looks at the clock. */
function pass(ms: number): void {
  passed += ms
  vi.spyOn(Date, 'now').mockImplementation(() => wall() + passed)
  vi.spyOn(performance, 'now').mockImplementation(() => steady() + passed)
}

async function gatewayFor(...servers: ScriptedServer[]): Promise<TestGateway> {
  const gateway = await startGateway({
    mcpServers: Object.fromEntries(servers.map((server, index) => ['abc'[index] ?? 'z', server.entry])),
  })
  for (const server of servers)
    server.results.set('tools/list', `{"tools":[${toolText('t')},${toolText('u')}]}`)
  await gateway.gateway.warmUp()
  return gateway
}

function withProcessPerCall(server: ScriptedServer): ScriptedServer {
  return Object.assign(server, { entry: { ...server.entry, isolation: 'call' } })
}

/** Parameters of a modern client that can be asked. */
const asking = (params: string): string =>
  withEnvelope(params).replace(`"${KEY}/clientCapabilities":{}`, `"${KEY}/clientCapabilities":${FEATURES}`)

/** A modern call; `more` are members beside its name. */
const call = (client: ModernHttp, more = '', name = 'a__t'): Promise<WireResponse> =>
  client.post('1', 'tools/call', asking(`{"name":"${name}"${more}}`))

/** A modern call whose client can leave before there is a response. */
function leavable(client: ModernHttp, name: string): { leave(): Promise<void> } {
  const leaving = new AbortController()
  const sent = fetch(client.url, {
    method: 'POST',
    headers: {
      accept: 'application/json, text/event-stream',
      'content-type': 'application/json',
      'mcp-protocol-version': '2026-07-28',
      'mcp-method': 'tools/call',
      'mcp-name': name,
    },
    body: requestText('1', 'tools/call', asking(`{"name":"${name}"}`)),
    signal: leaving.signal,
  }).catch(() => undefined)
  return {
    async leave() {
      leaving.abort()
      await sent
    },
  }
}

const question = (id: string, message = 'well?'): string =>
  requestText(
    id,
    'elicitation/create',
    `{"message":"${message}","requestedSchema":{"type":"object","properties":{}}}`,
  )

/** A call of a modern client that waits for it: the server has asked, the client has been told. */
async function suspended(
  server: ScriptedServer,
  client: ModernHttp,
  more = '',
): Promise<{ request: ScriptedRequest; state: string; key: string }> {
  const asked = call(client, more)
  const request = await server.called('t')
  request.say(question('"q"'))
  const answer = await answerOf(await asked)
  const state = rawAt(answer, 'result', 'requestState')
  const requests = rawAt(answer, 'result', 'inputRequests')
  if (state === undefined || requests === undefined) throw new Error(`not suspended: ${answer}`)
  return { request, state, key: Object.keys(JSON.parse(requests) as object)[0] as string }
}

/** Members of a retry. */
const withState = (state: string, key = 'none'): string =>
  `,"requestState":${state},"inputResponses":{"${key}":${ACCEPT}}`

/** What the server was told in answer to its question `id`. */
const told = (server: ScriptedServer, id: string): Promise<string> =>
  server.messages.take(
    text => rawAt(text, 'id') === id && rawAt(text, 'method') === undefined,
    `the answer to ${id}`,
  )

const cancelled = (server: ScriptedServer, { id }: ScriptedRequest): Promise<string> =>
  server.notifications.take(
    text => text.includes('notifications/cancelled') && rawAt(text, 'params', 'requestId') === id,
  )

async function stillServes(gateway: TestGateway, server: ScriptedServer): Promise<void> {
  await using client = new ModernHttp(gateway.origin)
  const answer = call(client, '', 'a__u')
  const request = await server.called('u')
  request.answer(OK)
  expect(await answerOf(await answer)).toContain('"content":[]')
}

describe('the state of a call that waits for its client', () => {
  test('is refused when it was changed, and holds as it was given', async () => {
    await using server = await scriptedHttp()
    await using gateway = await gatewayFor(server)
    await using client = new ModernHttp(gateway.origin)
    const { request, state, key } = await suspended(server, client)
    const text = JSON.parse(state) as string
    const flipped = (at: number): string =>
      `"${text.slice(0, at)}${text[at] === 'A' ? 'B' : 'A'}${text.slice(at + 1)}"`
    const changed = [
      ...[0, 10, 30, text.length >> 1, text.length - 3].map(flipped),
      `"${text.slice(0, -4)}"`,
      `"${text}AAAA"`,
      '""',
      '"no base64 at all"',
      `"${'A'.repeat(100_000)}"`,
      '7',
      'null',
      '{}',
    ]
    for (const wrong of changed) {
      const answer = await answerOf(await call(client, withState(wrong, key)))
      expect(rawAt(answer, 'error', 'code'), `${wrong.slice(0, 60)}: ${answer}`).toBe('-32602')
      expect(answer).toContain('requestState')
    }
    expect(server.messages.all.filter(message => rawAt(message, 'id') === '"q"')).toEqual([])

    const end = call(client, withState(state, key))
    expect(rawAt(await told(server, '"q"'), 'result')).toBe(ACCEPT)
    request.answer(OK)
    expect(await answerOf(await end)).toContain('"content":[]')
  })

  test('is used once', async () => {
    await using server = await scriptedHttp()
    await using gateway = await gatewayFor(server)
    await using client = new ModernHttp(gateway.origin)
    const { request, state, key } = await suspended(server, client)
    const end = call(client, withState(state, key))
    await told(server, '"q"')
    expect(await answerOf(await call(client, withState(state, key)))).toContain('has been used already')
    request.say(question('"r"'))
    const second = await answerOf(await end)
    // The state of the first round is no more good in the second.
    expect(await answerOf(await call(client, withState(state, key)))).toContain('has been used already')
    const newer = rawAt(second, 'result', 'requestState') as string
    const last = call(client, withState(newer, 'elicitation-2'))
    await told(server, '"r"')
    request.answer(OK)
    expect(await answerOf(await last)).toContain('"content":[]')
    for (const old of [state, newer])
      expect(await answerOf(await call(client, withState(old, key)))).toContain('no longer waiting')
    expect(server.messages.all.filter(text => text.includes('"tools/call"'))).toHaveLength(1)
    await stillServes(gateway, server)
  })

  test('belongs to one request, one endpoint and one client', async () => {
    await using server = await scriptedHttp()
    await using gateway = await gatewayFor(server)
    await using client = new ModernHttp(gateway.origin)
    await using other = new StdioClient(gateway.gateway, true)
    await using view = new ModernHttp(gateway.origin, '/mcp/a')
    const { request, state, key } = await suspended(server, client, ',"arguments":{"n":1}')
    const retry = `,"arguments":{"n":1}${withState(state, key)}`
    const foreign = [
      await answerOf(await call(client, withState(state, key))),
      await answerOf(await call(client, `,"arguments":{"n":2}${withState(state, key)}`)),
      await answerOf(await call(client, retry, 'a__u')),
      await answerOf(await call(view, retry, 't')),
    ]
    for (const answer of foreign) expect(answer).toContain('belongs to another request')
    // Another client does not learn that there is such a state.
    const stranger = await other.request('1', 'tools/call', `{"name":"a__t"${retry}}`)
    expect(stranger).toContain('not given out here to this client')

    const end = call(client, retry)
    await told(server, '"q"')
    request.answer(OK)
    expect(await answerOf(await end)).toContain('"content":[]')
  })

  test('of another gateway is unknown', async () => {
    await using server = await scriptedHttp()
    await using gateway = await gatewayFor(server)
    await using elsewhere = await gatewayFor(server)
    await using client = new ModernHttp(gateway.origin)
    await using stranger = new ModernHttp(elsewhere.origin)
    const { state, key } = await suspended(server, client)
    expect(await answerOf(await call(stranger, withState(state, key)))).toContain('not given out here')
  })

  test('expires with the call: the server gets a cancellation, and the client an error', async () => {
    await using server = await scriptedHttp()
    await using gateway = await gatewayFor(server)
    await using client = new ModernHttp(gateway.origin)
    const { request, state, key } = await suspended(server, client)
    pass(10 * 60_000 - 10_000)
    await stillServes(gateway, server)
    expect(server.notifications.all.filter(text => text.includes('cancelled'))).toEqual([])

    pass(20_000)
    await cancelled(server, request)
    await request.gone
    expect(rawAt(await told(server, '"q"'), 'error', 'message')).toBeDefined()
    expect(await answerOf(await call(client, withState(state, key)))).toContain('has expired')
    await stillServes(gateway, server)
  })
})

describe('an answer', () => {
  test('to an unknown question, or to one of another client, changes nothing', async () => {
    await using server = await scriptedHttp()
    await using gateway = await gatewayFor(server)
    await using asked = await LegacySession.open(gateway.origin, { capabilities: FEATURES })
    await using other = await LegacySession.open(gateway.origin, { capabilities: FEATURES })
    const sent = asked.post(requestText('1', 'tools/call', '{"name":"a__t"}'))
    const request = await server.called('t')
    request.say(question('"q"'))
    const stream = await sent
    const { data } = await stream.events.take(({ data: text }) => text.includes('elicitation/create'))
    const id = rawAt(data, 'id') as string
    const wrong = [id, `"${id}"`, '99', '0', 'null', '-1', '1.5'].map(
      each => [other, `{"jsonrpc":"2.0","id":${each},"result":${ACCEPT}}`] as const,
    )
    const own = [`"${id}"`, '99', 'null'].map(
      each => [asked, `{"jsonrpc":"2.0","id":${each},"result":${ACCEPT}}`] as const,
    )
    for (const [session, text] of [...wrong, ...own]) expect((await session.post(text)).status).toBe(202)
    await stillServes(gateway, server)
    expect(server.messages.all.filter(text => rawAt(text, 'id') === '"q"')).toEqual([])

    await asked.post(`{"jsonrpc":"2.0","id":${id},"result":{"action":"decline"}}`)
    expect(rawAt(await told(server, '"q"'), 'result')).toBe('{"action":"decline"}')
    // A second one is to a question that is no more.
    await asked.post(`{"jsonrpc":"2.0","id":${id},"result":${ACCEPT}}`)
    request.answer(OK)
    expect(await answerOf(stream)).toContain('"content":[]')
    expect(server.messages.all.filter(text => rawAt(text, 'id') === '"q"')).toHaveLength(1)
  })

  test('that does not fit is asked for again', async () => {
    await using server = await scriptedHttp()
    await using gateway = await gatewayFor(server)
    await using client = new ModernHttp(gateway.origin)
    const { request, state, key } = await suspended(server, client)
    let current = state
    for (const responses of [
      '{}',
      '{"other":{}}',
      `{"${key}":7}`,
      `{"${key}":null}`,
      `{"${key}":[]}`,
      '{"__proto__":{}}',
      '[]',
      'null',
    ]) {
      const answer = await answerOf(
        await call(client, `,"requestState":${current},"inputResponses":${responses}`),
      )
      expect(rawAt(answer, 'result', 'inputRequests', key), responses).toContain('well?')
      current = rawAt(answer, 'result', 'requestState') as string
    }
    const end = call(client, withState(current, key))
    await told(server, '"q"')
    request.answer(OK)
    expect(await answerOf(await end)).toContain('"content":[]')
  })
})

describe('a server', () => {
  test('that asks what the client cannot do is refused', async () => {
    await using server = await scriptedHttp()
    await using gateway = await gatewayFor(server)
    await using legacy = await LegacySession.open(gateway.origin)
    const stream = legacy.post(requestText('1', 'tools/call', '{"name":"a__t"}'))
    const first = await server.called('t')
    first.say(question('"q"'))
    expect(rawAt(await told(server, '"q"'), 'error', 'message')).toContain('has not declared elicitation')
    first.answer(OK)
    expect(await answerOf(await stream)).toBe('{"jsonrpc":"2.0","id":1,"result":{"content":[]}}')

    // A modern client hears what its call would need.
    await using modern = new ModernHttp(gateway.origin)
    const answer = call(modern)
    const second = await server.called('t')
    second.say(requestText('"s"', 'sampling/createMessage', '{"messages":[],"maxTokens":1}'))
    const failed = await answer
    expect(failed.status).toBe(400)
    expect(JSON.parse(await answerOf(failed))).toMatchObject({
      error: { code: -32021, data: { requiredCapabilities: { sampling: {} } } },
    })
    await cancelled(server, second)
    // What is unknown, and what concerns no call.
    second.say('{"jsonrpc":"2.0","id":"x","method":"roots/list"}')
    await stillServes(gateway, server)
  })

  test('that asks a thousand times gets a bounded number through, and disturbs no other call', async () => {
    await using server = await scriptedHttp()
    await using gateway = await gatewayFor(server)
    await using legacy = await LegacySession.open(gateway.origin, { capabilities: FEATURES })
    await using client = new ModernHttp(gateway.origin)
    const sent = legacy.post(requestText('1', 'tools/call', '{"name":"a__t"}'))
    const first = await server.called('t')
    const modern = call(client)
    const second = await server.called('t')
    for (let n = 0; n < 1000; n++) {
      first.say(question(`"l${n}"`))
      second.say(question(`"m${n}"`))
    }
    const asked = JSON.parse(
      rawAt(await answerOf(await modern), 'result', 'inputRequests') as string,
    ) as object
    expect(Object.keys(asked).length).toBeLessThanOrEqual(64)
    await told(server, '"l999"')
    await told(server, '"m999"')
    const stream = await sent
    expect(
      stream.events.all.filter(({ data }) => data.includes('elicitation/create')).length,
    ).toBeLessThanOrEqual(32)
    // Another client's call at the same server can be asked meanwhile.
    await using other = new ModernHttp(gateway.origin)
    const { request, state, key } = await suspended(server, other)
    const end = call(other, withState(state, key))
    await told(server, '"q"')
    request.answer(OK)
    expect(await answerOf(await end)).toContain('"content":[]')

    // What was asked for a call ends with it, and the next call can be asked again.
    first.answer(OK)
    await stream.body
    expect(
      stream.events.all.filter(({ data }) => data.includes('notifications/cancelled')).length,
    ).toBeGreaterThan(0)
    const again = legacy.post(requestText('2', 'tools/call', '{"name":"a__t"}'))
    const third = await server.called('t')
    third.say(question('"n"'))
    const next = await again
    await next.events.take(({ data }) => data.includes('elicitation/create'))
    third.answer(OK)
    expect(await answerOf(next)).toContain('"content":[]')
  })

  test('whose call is over is ignored', async () => {
    await using server = await scriptedHttp()
    await using gateway = await gatewayFor(server)
    await using client = new ModernHttp(gateway.origin)
    const progress = (token: string): string =>
      `{"jsonrpc":"2.0","method":"notifications/progress","params":{"progressToken":${token},"progress":1}}`
    const meta = `,"_meta":{"progressToken":7}`
    const first = call(client, meta)
    const done = await server.called('t')
    const token = rawAt(done.params, '_meta', 'progressToken') as string
    done.answer(OK)
    await answerOf(await first)
    // The same token again; its own upstream token is another.
    const second = await (async () => {
      const sent = call(client, meta)
      const request = await server.called('t')
      request.say(progress(token))
      request.say(progress('"7"'))
      request.say(progress('7.5'))
      request.say(progress('null'))
      request.say(progress(rawAt(request.params, '_meta', 'progressToken') as string))
      request.answer(OK)
      return await sent
    })()
    await second.body
    expect(second.events.all.filter(({ data }) => data.includes('progress')).map(({ data }) => data)).toEqual(
      [progress('7')],
    )
  })

  test('that still sends messages about a cancelled call reaches no call of another client', async () => {
    await using server = await scriptedStdio()
    await using gateway = await gatewayFor(server)
    await using first = await LegacySession.open(gateway.origin)
    await using second = await LegacySession.open(gateway.origin)
    const streams = [await first.listen(), await second.listen()]
    const given = first.post(requestText('1', 'tools/call', '{"name":"a__t"}'))
    const dropped = await server.called('t')
    const log = (data: string): string =>
      `{"jsonrpc":"2.0","method":"notifications/message","params":{"level":"error","data":"${data}"}}`
    await first.post('{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":1}}')
    await cancelled(server, dropped)
    await given
    // Nothing is in flight, then only the other's call.
    dropped.say(log('a secret of the first'))
    dropped.say(question('"q"'))
    const asked = second.post(requestText('1', 'tools/call', '{"name":"a__u"}'))
    const request = await server.called('u')
    request.say(log('still the first’s'))
    await told(server, '"q"')
    request.answer(OK)
    const answer = await asked
    await answer.body
    expect(answer.events.all.map(({ data }) => data).join()).not.toContain('first')
    expect(streams[1]?.events.all).toEqual([])
  })

  test('that still asks for a cancelled call does not reach the next one where each has its own process', async () => {
    await using server = await scriptedStdio()
    await using gateway = await gatewayFor(withProcessPerCall(server))
    await using client = new ModernHttp(gateway.origin)
    const first = leavable(client, 'a__t')
    const dropped = await server.called('t')
    await first.leave()
    await cancelled(server, dropped)
    const answer = call(client, '', 'a__u')
    const request = await server.called('u')
    dropped.say(question('"q"', 'a secret of the first'))
    request.say(question('"own"'))
    expect(await answerOf(await answer)).toContain('[a] well?')
    expect(await answerOf(await answer)).not.toContain('secret')
  })

  test('that dies while its call waits for the client is named when the client returns', async () => {
    const server = await scriptedHttp()
    await using good = await scriptedHttp()
    await using gateway = await gatewayFor(server, good)
    await using client = new ModernHttp(gateway.origin)
    const { state, key } = await suspended(server, client)
    await server[Symbol.asyncDispose]()
    const answer = await answerOf(await call(client, withState(state, key)))
    expect(JSON.parse(answer)).toMatchObject({ result: { isError: true } })
    expect(answer).toMatch(/server \\"a\\"/i)
    expect(await answerOf(await call(client, withState(state, key)))).toContain('no longer waiting')
    const other = call(client, '', 'b__t')
    ;(await good.called('t')).answer(OK)
    expect(await answerOf(await other)).toContain('"content":[]')
  })
})

describe('a client', () => {
  test('cannot cancel what is another’s', async () => {
    await using server = await scriptedHttp()
    await using gateway = await gatewayFor(server)
    await using one = await LegacySession.open(gateway.origin)
    await using two = await LegacySession.open(gateway.origin)
    const answer = one.post(requestText('7', 'tools/call', '{"name":"a__t"}'))
    const request = await server.called('t')
    for (const id of ['7', '"7"', request.id, '0', 'null', '{}'])
      await two.post(`{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":${id}}}`)
    for (const id of ['"7"', '8', 'null'])
      await one.post(`{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":${id}}}`)
    await stillServes(gateway, server)
    expect(server.notifications.all.filter(text => text.includes('cancelled'))).toEqual([])
    request.answer(OK)
    expect(await answerOf(await answer)).toContain('"content":[]')
  })

  test('that disconnects while it is being asked ends its call', async () => {
    await using server = await scriptedHttp()
    await using gateway = await gatewayFor(server)
    const session = await LegacySession.open(gateway.origin, { capabilities: FEATURES })
    const sent = session.post(requestText('1', 'tools/call', '{"name":"a__t"}'))
    const request = await server.called('t')
    request.say(question('"q"'))
    const stream = await sent
    await stream.events.take(({ data }) => data.includes('elicitation/create'))
    await session[Symbol.asyncDispose]()
    await cancelled(server, request)
    expect(rawAt(await told(server, '"q"'), 'error', 'message')).toBeDefined()
    await stillServes(gateway, server)
  })

  test('that never answers does not keep another’s call from its deadline', async () => {
    await using server = await scriptedHttp()
    await using gateway = await gatewayFor(server)
    await using one = new ModernHttp(gateway.origin)
    await suspended(server, one)
    await using two = new ModernHttp(gateway.origin)
    const slow = call(two, '', 'a__u')
    await server.called('u')
    pass(6 * 60_000)
    expect(await answerOf(await slow)).toContain('did not answer tools/call within 300 s')
  })

  test('that cancels while many wait for a process does not cost another its turn', async () => {
    await using server = await scriptedStdio()
    await using gateway = await gatewayFor(withProcessPerCall(server))
    const clients = Array.from(
      { length: Number(SERVER.options.maxExclusiveLinks.default) + 2 },
      () => new ModernHttp(gateway.origin),
    )
    const running: { answer: Promise<WireResponse>; request: ScriptedRequest }[] = []
    for (const client of clients.slice(0, Number(SERVER.options.maxExclusiveLinks.default))) {
      const answer = call(client)
      running.push({ answer, request: await server.called('t') })
    }
    const [first, second] = clients.slice(Number(SERVER.options.maxExclusiveLinks.default)) as [
      ModernHttp,
      ModernHttp,
    ]
    // Both wait; an answer from the catalogue comes after that.
    const leaving = leavable(first, 'a__u')
    await first.request('2', 'tools/list')
    const patient = call(second, '', 'a__u')
    await second.request('2', 'tools/list')
    await leaving.leave()
    await first.request('2', 'tools/list')
    running[0]?.request.answer(OK)
    const served = await server.called('u')
    served.answer(OK)
    expect(await answerOf(await patient)).toContain('"content":[]')
    for (const { request } of running.slice(1)) request.answer(OK)
    for (const { answer } of running) expect(await answerOf(await answer)).toContain('"content":[]')
  })
})

describe('a flood', () => {
  test('of listen streams serves each, and leaves nothing', async () => {
    await using server = await scriptedHttp()
    await using gateway = await gatewayFor(server)
    await using client = new ModernHttp(gateway.origin)
    const listen = (n: number): Promise<WireResponse> =>
      client.post(
        String(n),
        'subscriptions/listen',
        withEnvelope('{"notifications":{"toolsListChanged":true}}'),
      )
    const streams = await Promise.all(Array.from({ length: 300 }, (_, n) => listen(n)))
    await Promise.all(streams.map(({ events }) => events.take(({ data }) => data.includes('acknowledged'))))
    server.results.set('tools/list', `{"tools":[${toolText('t')},${toolText('new')}]}`)
    const changed = streams.map(({ events }) =>
      events.take(({ data }) => data.includes('tools/list_changed')),
    )
    await vi.waitUntil(() => server.messages.all.length > 0)
    server.say('{"jsonrpc":"2.0","method":"notifications/tools/list_changed"}')
    for (const [n, { data }] of (await Promise.all(changed)).entries())
      expect(rawAt(data, 'params', '_meta', `${KEY}/subscriptionId`)).toBe(String(n))
    for (const stream of streams) stream.destroy()
    const answer = call(client)
    ;(await server.called('t')).answer(OK)
    expect(await answerOf(await answer)).toContain('"content":[]')
  })

  test.each(['legacy', 'modern'])(
    'of resources on one stream is cut, and a %s server is not flooded in turn',
    async era => {
      await using server = await scriptedHttp()
      if (era === 'modern')
        server.results.set(
          'server/discover',
          '{"resultType":"complete","supportedVersions":["2026-07-28"],"capabilities":{"tools":{},"resources":{"subscribe":true}},"ttlMs":0,"cacheScope":"private"}',
        )
      server.results.set('resources/subscribe', '{}')
      server.results.set('resources/unsubscribe', '{}')
      server.results.set(
        'resources/templates/list',
        '{"resourceTemplates":[{"uriTemplate":"x:/{+path}","name":"x"}]}',
      )
      await using gateway = await gatewayFor(server)
      await using client = new ModernHttp(gateway.origin)
      // All wishes come before the one stream for them is opened.
      const acknowledging =
        era === 'modern' &&
        server.requests
          .take(({ method }) => method === 'subscriptions/listen')
          .then(request => {
            const params = `{"notifications":{},"_meta":{"${KEY}/subscriptionId":${request.id}}}`
            request.say(
              `{"jsonrpc":"2.0","method":"notifications/subscriptions/acknowledged","params":${params}}`,
            )
          })
      const uris = Array.from({ length: 5000 }, (_, n) => `"x:/${n}"`)
      const stream = await client.post(
        '1',
        'subscriptions/listen',
        withEnvelope(`{"notifications":{"resourceSubscriptions":[${uris.join(',')}]}}`),
      )
      const { data } = await stream.events.take(({ data: text }) => text.includes('acknowledged'))
      await acknowledging
      const heard = JSON.parse(
        rawAt(data, 'params', 'notifications', 'resourceSubscriptions') as string,
      ) as string[]
      expect(heard).toHaveLength(1000)
      const asked = server.messages.all.filter(text =>
        /"(resources\/subscribe|subscriptions\/listen)"/.test(text),
      )
      expect(asked.length).toBeLessThanOrEqual(era === 'legacy' ? 1000 : 1)
      await stillServes(gateway, server)
    },
  )
})
