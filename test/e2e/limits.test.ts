import { Agent } from 'node:http'
import { expect, onTestFinished, test, vi } from 'vitest'
import { rawAt } from '../../src/protocol/json-text.ts'
import { callAs, keyOf, withKeys, type Caller } from '../helpers/callers.ts'
import { startGateway } from '../helpers/gateway.ts'
import type { TestGateway } from '../helpers/gateway.ts'
import { scriptedHttp, scriptedStdio, toolText } from '../helpers/scripted-servers.ts'
import type { ScriptedRequest, ScriptedServer } from '../helpers/scripted-servers.ts'
import { answerOf, LegacySession, ModernHttp, requestText, withEnvelope } from '../helpers/wire-clients.ts'
import type { WireResponse } from '../helpers/wire-clients.ts'

/** Limits of the configuration hold where they are said to, and what they refuse names them or the reason. */

async function gatewayFor(
  server: ScriptedServer,
  entry: object = {},
  gateway: Readonly<Record<string, unknown>> = {},
): Promise<TestGateway> {
  const started = await startGateway({ mcpServers: { a: { ...server.entry, ...entry } }, gateway })
  await started.gateway.warmUp()
  return started
}

const CAPABLE = '{"elicitation":{"form":{}}}'
const FORM = '{"message":"m","requestedSchema":{"type":"object","properties":{}}}'
const EMPTY = '"result":{"content":[]}'

const ask = (request: ScriptedRequest, id: string): void =>
  request.say(`{"jsonrpc":"2.0","id":"${id}","method":"elicitation/create","params":${FORM}}`)
const answered = (server: ScriptedServer, id: string): Promise<string> =>
  server.messages.take(text => rawAt(text, 'id') === `"${id}"`, `the answer to ${id}`)

const legacy = (gateway: TestGateway): Promise<LegacySession> =>
  LegacySession.open(gateway.origin, { capabilities: CAPABLE })
const call = (client: LegacySession, id = '1'): Promise<WireResponse> =>
  client.post(requestText(id, 'tools/call', '{"name":"a__t"}'))

/** A call of a modern client that can be asked. */
const modernCall = (client: ModernHttp, more = ''): Promise<WireResponse> =>
  client.post(
    '1',
    'tools/call',
    withEnvelope(`{"name":"a__t"${more}}`).replace(
      'clientCapabilities":{}',
      `clientCapabilities":${CAPABLE}`,
    ),
  )

test('maxQuestions: of one call', async () => {
  await using server = await scriptedHttp()
  await using gateway = await gatewayFor(server, { maxQuestions: 1 })
  await using client = await legacy(gateway)
  const posting = call(client)
  const request = await server.called('t')
  ask(request, 'one')
  ask(request, 'two')
  expect(rawAt(await answered(server, 'two'), 'error', 'message')).toContain('Too many questions')
  const posted = await posting
  request.answer(EMPTY)
  await posted.body
})

test('gateway.asks.maxPerSession: of one session', async () => {
  await using server = await scriptedHttp()
  await using gateway = await gatewayFor(server, {}, { asks: { maxPerSession: 1 } })
  await using client = await legacy(gateway)
  const postings = [call(client, '1'), call(client, '2')]
  const requests = [await server.called('t'), await server.called('t')] as const
  ask(requests[0], 'one')
  await (await (postings[0] as Promise<WireResponse>)).events.take()
  ask(requests[1], 'two')
  const refused = rawAt(await answered(server, 'two'), 'error', 'message')
  expect(refused).toContain('asking too much at once')
  expect(refused).toContain('allows 1 open questions for each session, and 1 wait for an answer')
  for (const request of requests) request.answer(EMPTY)
  for (const posting of postings) await (await posting).body
})

test('gateway.asks.answerTimeout: of a session and of a client without one', async () => {
  await using server = await scriptedHttp()
  await using gateway = await gatewayFor(server, {}, { asks: { answerTimeout: '1s' } })
  await using session = await legacy(gateway)
  await using modern = new ModernHttp(gateway.origin)
  const posting = call(session)
  const first = await server.called('t')
  ask(first, 'one')
  const asking = modernCall(modern)
  const second = await server.called('t')
  ask(second, 'two')
  const asked = await answerOf(await asking)
  const state = rawAt(asked, 'result', 'requestState')
  expect(rawAt(await answered(server, 'one'), 'error', 'message')).toContain('did not answer in time')
  first.answer(EMPTY)
  await (
    await posting
  ).body
  // What no client came back for is cancelled, and its state is of no more use.
  await second.gone
  await server.notifications.take(text => text.includes('notifications/cancelled'), 'the cancellation')
  const late = await answerOf(await modernCall(modern, `,"requestState":${state}`))
  expect(late).toMatch(/has expired|no longer waiting/)
})

test('gateway.asks.maxSuspendedCalls: calls of clients without a session', async () => {
  await using server = await scriptedHttp()
  await using gateway = await gatewayFor(server, {}, { asks: { maxSuspendedCalls: 1 } })
  await using client = new ModernHttp(gateway.origin)
  const calls = [modernCall(client), modernCall(client)]
  const requests = [await server.called('t'), await server.called('t')] as const
  ask(requests[0], 'one')
  expect(rawAt(await answered(server, 'one'), 'error', 'message')).toContain('Too many calls are waiting')
  for (const request of requests) request.answer(EMPTY)
  for (const calling of calls) await (await calling).body
})

test('gateway.asks.maxRounds: of a modern server', async () => {
  await using server = await scriptedHttp()
  server.results.set('server/discover', '{"supportedVersions":["2026-07-28"],"capabilities":{"tools":{}}}')
  server.results.delete('initialize')
  server.results.set('tools/call', '{"resultType":"input_required","requestState":"s"}')
  await using gateway = await gatewayFor(server, {}, { asks: { maxRounds: 2 } })
  await using client = await LegacySession.open(gateway.origin)
  expect(await client.request('1', 'tools/call', '{"name":"a__t"}')).toContain('asked for input 2 times')
  expect(server.messages.all.filter(text => text.includes('"tools/call"'))).toHaveLength(3)
})

test('maxLinks: conversations with one server', async () => {
  await using server = await scriptedStdio()
  await using gateway = await gatewayFor(server, { maxLinks: 1 })
  await using one = await legacy(gateway)
  await using two = await legacy(gateway)
  const posting = call(one)
  const request = await server.called('t')
  expect(await answerOf(await call(two))).toContain('has 1 links in use')
  request.answer(EMPTY)
  await (
    await posting
  ).body
  // An idle one makes room, also while the gateway lists the server over it.
  server.results.set('tools/call', '{"content":[]}')
  expect(await answerOf(await call(two))).toContain('"content":[]')
})

test('maxLinks: a list that the gateway fetches keeps no call from the only link', async () => {
  await using server = await scriptedStdio()
  await using gateway = await gatewayFor(server, { maxLinks: 1 })
  await using one = await legacy(gateway)
  await using two = await legacy(gateway)
  server.results.set('tools/call', '{"content":[]}')
  server.results.delete('tools/list')
  expect(await answerOf(await call(one))).toContain('"content":[]')
  // The link of the first client is new, so the server is listed over it, and does not answer.
  server.say('{"jsonrpc":"2.0","method":"notifications/tools/list_changed"}')
  const isList = ({ method }: ScriptedRequest): boolean => method === 'tools/list'
  await server.requests.take(isList, 'the list')
  server.results.set('tools/list', `{"tools":[${toolText('t')},${toolText('new')}]}`)
  expect(await answerOf(await call(two))).toContain('"content":[]')
  // It is fetched over the link that is there now.
  await expect.poll(() => two.request('9', 'tools/list', '{}')).toContain('a__new')
})

test('gateway.maxLinksPerClient: conversations of one client with all servers, sessions or none', async () => {
  await using first = await scriptedStdio()
  await using second = await scriptedStdio()
  await using gateway = await startGateway({
    mcpServers: { a: first.entry, b: second.entry },
    clients: withKeys({ ci: {}, cd: {} }),
    gateway: { maxLinksPerClient: 1 },
  })
  await gateway.gateway.warmUp()
  const as = async (client: string, modern: boolean): Promise<Caller> =>
    (await callAs(gateway.origin, keyOf(client), { modern })) as Caller
  await using ci = await as('ci', false)
  await using again = await as('ci', true)
  await using cd = await as('cd', false)
  const callOf = (client: Caller, server: string): Promise<string> =>
    client.request('tools/call', `{"name":"${server}__t","arguments":{}}`)
  const held = callOf(ci, 'a')
  const request = await first.called('t')
  // It is the client that is counted, not its sessions.
  for (const one of [ci, again]) {
    const refused = await callOf(one, 'b')
    expect(refused).toContain('Client \\"ci\\" has 1 links to servers in use')
    expect(refused).toContain('raise \\"gateway.maxLinksPerClient\\"')
  }
  const served = async (client: Caller, server: ScriptedServer, name: string): Promise<void> => {
    const answer = callOf(client, name)
    ;(await server.called('t')).answer(EMPTY)
    expect(await answer).toContain('"content":[]')
  }
  await served(cd, second, 'b')
  request.answer(EMPTY)
  expect(await held).toContain('"content":[]')
  // An idle one makes room, also while the gateway lists its server over it.
  second.results.set('tools/call', '{"content":[]}')
  expect(await callOf(again, 'b')).toContain('"content":[]')
})

test('maxExclusiveLinks and linkTimeout: calls that have a conversation each', async () => {
  await using server = await scriptedStdio()
  await using gateway = await gatewayFor(server, {
    isolation: 'call',
    maxExclusiveLinks: 1,
    linkTimeout: '100ms',
  })
  await using client = new ModernHttp(gateway.origin)
  const calling = modernCall(client)
  const request = await server.called('t')
  const refused = await answerOf(await modernCall(client))
  expect(refused).toContain('is busy with 1 calls')
  expect(rawAt(refused, 'result', '_meta', 'io.github.mcp-manifold/error', 'retryAfterMs')).toBe('100')
  request.answer(EMPTY)
  expect(await answerOf(await calling)).toContain('"content":[]')
})

test('gateway.listen: streams and their resources', async () => {
  await using server = await scriptedHttp()
  server.results.set('resources/list', '{"resources":[{"uri":"x:a","name":"a"},{"uri":"x:b","name":"b"}]}')
  server.results.set('resources/subscribe', '{}')
  server.results.set('resources/unsubscribe', '{}')
  await using gateway = await gatewayFor(server, {}, { listen: { maxStreams: 1, maxResources: 1 } })
  await using client = new ModernHttp(gateway.origin)
  const listen = (id: string): Promise<WireResponse> => {
    const filter = '{"notifications":{"resourceSubscriptions":["x:a","x:b"]}}'
    return client.post(id, 'subscriptions/listen', withEnvelope(filter))
  }
  const open = await listen('1')
  expect((await open.events.take()).data).toContain('"resourceSubscriptions":["x:a"]')
  const refused = await answerOf(await listen('2'))
  expect(rawAt(refused, 'id')).toBe('2')
  expect(rawAt(refused, 'error', 'message')).toContain('gateway.listen.maxStreams')
  open.destroy()
  await server.messages.take(text => text.includes('resources/unsubscribe'), 'the end of the subscription')
  const next = await listen('3')
  expect((await next.events.take()).data).toContain('acknowledged')
})

test('gateway.listen.acknowledgeTimeout: not longer than that for a server that says nothing', async () => {
  await using server = await scriptedHttp()
  server.results.set('resources/list', '{"resources":[{"uri":"x:a","name":"a"}]}')
  await using gateway = await gatewayFor(server, {}, { listen: { acknowledgeTimeout: '100ms' } })
  await using client = new ModernHttp(gateway.origin)
  const filter = '{"notifications":{"toolsListChanged":true,"resourceSubscriptions":["x:a"]}}'
  const open = await client.post('1', 'subscriptions/listen', withEnvelope(filter))
  const { data } = await open.events.take()
  expect(rawAt(data, 'params', 'notifications')).toBe('{"toolsListChanged":true}')
})

test('gateway.listen.acknowledgeTimeout: a stream that ended before its acknowledgement leaves no timer', async () => {
  await using server = await scriptedHttp()
  server.results.set('resources/list', '{"resources":[{"uri":"x:a","name":"a"}]}')
  await using gateway = await gatewayFor(server, {}, { listen: { acknowledgeTimeout: '54321ms' } })
  const agent = new Agent()
  await using client = new ModernHttp(gateway.origin, '/mcp', { agent })
  const timeouts = vi.spyOn(globalThis, 'setTimeout')
  const cleared = vi.spyOn(globalThis, 'clearTimeout')
  onTestFinished(() => void vi.restoreAllMocks())
  const filter = '{"notifications":{"resourceSubscriptions":["x:a"]}}'
  const opening = client.post('1', 'subscriptions/listen', withEnvelope(filter)).catch(() => undefined)
  await server.messages.take(text => text.includes('resources/subscribe'), 'the subscription')
  const at = timeouts.mock.calls.findIndex(([, ms]) => ms === 54_321)
  const timer = timeouts.mock.results[at]?.value as NodeJS.Timeout
  expect(timer).toBeDefined()
  // The client leaves, and the server still says nothing.
  agent.destroy()
  await opening
  await vi.waitFor(() => expect(cleared.mock.calls.some(([given]) => given === timer)).toBe(true), 5000)
})

test('gateway.http.maxEvents: what a session can resume from', async () => {
  await using server = await scriptedHttp()
  await using gateway = await gatewayFor(server, {}, { http: { port: 0, maxEvents: 2 } })
  await using client = await LegacySession.open(gateway.origin)
  const posting = client.post(requestText('1', 'tools/call', '{"name":"a__t","_meta":{"progressToken":"p"}}'))
  const request = await server.called('t')
  const token = rawAt(request.params, '_meta', 'progressToken')
  const progress = (n: number): void =>
    request.say(
      `{"jsonrpc":"2.0","method":"notifications/progress","params":{"progressToken":${token},"progress":${n}}}`,
    )
  for (const n of [1, 2, 3, 4]) progress(n)
  const posted = await posting
  const first = await posted.events.take()
  await posted.events.take(({ data }) => data.includes('"progress":4'), 'the last progress')
  posted.destroy()
  const resumed = await client.listen(first.id)
  expect((await resumed.events.take()).data).toContain('"progress":3')
  expect((await resumed.events.take()).data).toContain('"progress":4')
  request.answer(EMPTY)
  await resumed.body
})
