import { expect, test } from 'vitest'
import { rawAt } from '../../src/protocol/json-text.ts'
import { bearer, keyOf, withKeys } from '../helpers/callers.ts'
import { startGateway, type TestGateway } from '../helpers/gateway.ts'
import { scriptedHttp, type ScriptedServer } from '../helpers/scripted-servers.ts'
import {
  answerOf,
  http,
  LegacySession,
  ModernHttp,
  requestText,
  withEnvelope,
  type WireResponse,
} from '../helpers/wire-clients.ts'

/** Pools that all clients share: one that takes all of it neither evicts others nor keeps them out. */

async function gatewayFor(
  server: ScriptedServer,
  gateway: Readonly<Record<string, unknown>>,
): Promise<TestGateway> {
  const started = await startGateway({
    mcpServers: { a: server.entry },
    clients: withKeys({ flood: {}, calm: {} }),
    gateway,
  })
  await started.gateway.warmUp()
  return started
}

const headersOf = (client: string) => ({ headers: bearer(keyOf(client)) })
const PING = requestText('1', 'ping', undefined)
const CAPABLE = '{"elicitation":{"form":{}}}'
const ASK = '"method":"elicitation/create","params":{"message":"m","requestedSchema":{"type":"object"}}'

const alive = async (session: LegacySession): Promise<boolean> => {
  const response = await session.post(PING)
  await response.body
  return response.status === 200
}

test('gateway.http.maxSessions: one client opens more than there are and evicts its own alone', async () => {
  await using server = await scriptedHttp()
  await using gateway = await gatewayFor(server, { http: { port: 0, maxSessions: 4 } })
  const open = (client: string): Promise<LegacySession> =>
    LegacySession.open(gateway.origin, headersOf(client))
  await using calm = await open('calm')
  const flood: LegacySession[] = []
  for (let i = 0; i < 8; i++) flood.push(await open('flood'))
  expect(await alive(calm)).toBe(true)
  expect(await Promise.all(flood.map(alive))).toEqual([...Array(5).fill(false), true, true, true])
})

test('gateway.http.maxSessions: one client holds all with open streams, and another one still gets its share', async () => {
  await using server = await scriptedHttp()
  await using gateway = await gatewayFor(server, { http: { port: 0, maxSessions: 4 } })
  const open = (client: string): Promise<LegacySession> =>
    LegacySession.open(gateway.origin, headersOf(client))
  const flood: LegacySession[] = []
  const streams: WireResponse[] = []
  for (let i = 0; i < 4; i++) {
    const session = await open('flood')
    flood.push(session)
    streams.push(await session.listen())
  }
  await expect(open('flood')).rejects.toThrow('no session: 503')
  await using one = await open('calm')
  await using two = await open('calm')
  await Promise.all(streams.slice(0, 2).map(({ body }) => body))
  const held = [await one.listen(), await two.listen()]
  // Half of it is the share of each; what is beyond is refused.
  for (const client of ['flood', 'calm']) await expect(open(client)).rejects.toThrow('no session: 503')
  expect(await Promise.all([...flood, one, two].map(alive))).toEqual([false, false, true, true, true, true])
  for (const stream of [...streams, ...held]) stream.destroy()
})

test('gateway.http.maxSessions: the same for deprecated HTTP+SSE', async () => {
  await using server = await scriptedHttp()
  await using gateway = await gatewayFor(server, { http: { port: 0, maxSessions: 3 } })
  const open = (client: string): Promise<WireResponse> =>
    http(`${gateway.origin}/sse`, {
      method: 'GET',
      headers: { accept: 'text/event-stream', ...bearer(keyOf(client)) },
    })
  const flood = [await open('flood'), await open('flood'), await open('flood')] as const
  expect((await open('flood')).status).toBe(503)
  const calm = await open('calm')
  expect((await calm.events.take()).data).toContain('/messages?sessionId=')
  await flood[0].body
  expect((await open('flood')).status).toBe(503)
  for (const stream of [...flood, calm]) stream.destroy()
})

test('gateway.listen.maxStreams: one client holds all, and another one still gets its share', async () => {
  await using server = await scriptedHttp()
  await using gateway = await gatewayFor(server, { listen: { maxStreams: 4 } })
  await using flood = new ModernHttp(gateway.origin, '/mcp', headersOf('flood'))
  await using calm = new ModernHttp(gateway.origin, '/mcp', headersOf('calm'))
  let ids = 0
  const listen = (client: ModernHttp): Promise<WireResponse> => {
    const filter = '{"notifications":{"toolsListChanged":true}}'
    return client.post(String(++ids), 'subscriptions/listen', withEnvelope(filter))
  }
  const opened = async (client: ModernHttp): Promise<WireResponse> => {
    const stream = await listen(client)
    expect((await stream.events.take()).data).toContain('acknowledged')
    return stream
  }
  const refused = async (client: ModernHttp): Promise<string | undefined> =>
    rawAt(await answerOf(await listen(client)), 'error', 'message')
  const streams = []
  for (let i = 0; i < 4; i++) streams.push(await opened(flood))
  expect(await refused(flood)).toContain('gateway.listen.maxStreams')
  await opened(calm)
  await opened(calm)
  // The oldest streams of the other have ended as a stream ends that may be opened again.
  for (const stream of streams.slice(0, 2)) expect(await stream.body).toContain('"resultType":"complete"')
  for (const client of [flood, calm]) expect(await refused(client)).toContain('gateway.listen.maxStreams')
  // A stream that is over leaves its place.
  streams[2]?.destroy()
  const typeOfNext = async (): Promise<string> => String((await listen(calm)).headers['content-type'])
  await expect.poll(typeOfNext).toContain('text/event-stream')
})

test('gateway.asks.maxSuspendedCalls: calls of one client wait in all places, and those of another are asked', async () => {
  await using server = await scriptedHttp()
  await using gateway = await gatewayFor(server, { asks: { maxSuspendedCalls: 3 } })
  await using flood = new ModernHttp(gateway.origin, '/mcp', headersOf('flood'))
  await using calm = new ModernHttp(gateway.origin, '/mcp', headersOf('calm'))
  const post = (client: ModernHttp, more = ''): Promise<WireResponse> => {
    const params = withEnvelope(`{"name":"a__t"${more}}`)
    const capable = params.replace('clientCapabilities":{}', `clientCapabilities":${CAPABLE}`)
    return client.post('1', 'tools/call', capable)
  }
  /** A call that waits for its client. */
  const suspended = async (client: ModernHttp, question: string) => {
    const calling = post(client)
    const request = await server.called('t')
    request.say(`{"jsonrpc":"2.0","id":"${question}",${ASK}}`)
    const state = rawAt(await answerOf(await calling), 'result', 'requestState')
    return { request, state }
  }
  const waiting = []
  for (const question of ['f1', 'f2', 'f3']) waiting.push(await suspended(flood, question))
  // One too many of the client that has most: its question is refused, and its call goes on.
  const tooMany = post(flood)
  const fourth = await server.called('t')
  fourth.say(`{"jsonrpc":"2.0","id":"f4",${ASK}}`)
  const refused = await server.messages.take(text => rawAt(text, 'id') === '"f4"', 'the refusal')
  expect(rawAt(refused, 'error', 'message')).toContain('gateway.asks.maxSuspendedCalls')
  fourth.answer('"result":{"content":[]}')
  expect(await answerOf(await tooMany)).toContain('"content":[]')
  // Another one is asked in place of the call of the first that waits longest.
  const { request, state } = await suspended(calm, 'c1')
  expect(state).toBeDefined()
  await waiting[0]?.request.gone
  const lost = await answerOf(await post(flood, `,"requestState":${waiting[0]?.state}`))
  expect(lost).toContain('is no longer waiting')
  // All others go on.
  for (const [client, one] of [
    [flood, waiting[1]],
    [flood, waiting[2]],
    [calm, { request, state }],
  ] as const) {
    const answers = '"inputResponses":{"elicitation-1":{"action":"decline"}}'
    const retried = post(client, `,"requestState":${one?.state},${answers}`)
    one?.request.answer('"result":{"content":[]}')
    expect(await answerOf(await retried)).toContain('"content":[]')
  }
})
