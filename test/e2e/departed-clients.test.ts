import { once } from 'node:events'
import { Agent, request, type IncomingMessage } from 'node:http'
import { expect, test } from 'vitest'
import { rawAt } from '../../src/protocol/json-text.ts'
import { startGateway, type TestGateway } from '../helpers/gateway.ts'
import { scriptedHttp, type ScriptedRequest, type ScriptedServer } from '../helpers/scripted-servers.ts'
import {
  DeprecatedSession,
  http,
  LegacySession,
  ModernHttp,
  requestText,
  StdioClient,
  withEnvelope,
  type WireRequest,
} from '../helpers/wire-clients.ts'

/** What a client asked for, and what begins only after the client has left, leaves nothing. */

const RESOURCES = '{"resources":[{"uri":"x:a","name":"a"},{"uri":"x:b","name":"b"}]}'

/** A gateway in front of a legacy server whose subscriptions the test answers. */
async function gatewayFor(server: ScriptedServer): Promise<TestGateway> {
  server.results.set('resources/list', RESOURCES)
  server.results.set('resources/unsubscribe', '{}')
  const gateway = await startGateway({ mcpServers: { a: server.entry } })
  await gateway.gateway.warmUp()
  return gateway
}

const subscribed = (server: ScriptedServer): Promise<ScriptedRequest> =>
  server.requests.take(({ method }) => method === 'resources/subscribe', 'a subscription')

const unsubscribed = (server: ScriptedServer): Promise<string> =>
  server.messages.take(text => text.includes('"resources/unsubscribe"'), 'the end of a subscription')

/** URIs of the subscriptions that the server was told to end. */
const ended = (server: ScriptedServer): (string | undefined)[] =>
  server.messages.all
    .filter(text => text.includes('"resources/unsubscribe"'))
    .map(text => rawAt(text, 'params', 'uri'))

const SUBSCRIBE = '{"uri":"x:a"}'
const LISTEN = withEnvelope('{"notifications":{"resourceSubscriptions":["x:a"]}}')

test('a message whose body is complete only after its /sse session has ended is refused and not run', async () => {
  await using server = await scriptedHttp()
  await using gateway = await gatewayFor(server)
  const stream = await http(`${gateway.origin}/sse`, { method: 'GET' })
  const address = `${gateway.origin}${(await stream.events.take()).data}`
  const options: WireRequest = { headers: { 'content-type': 'application/json' } }
  const ping = async (): Promise<number> => {
    const posted = await http(address, { ...options, body: requestText('1', 'ping', undefined) })
    await posted.body
    return posted.status
  }
  const body = requestText('2', 'resources/subscribe', SUBSCRIBE)
  const sent = request(address, {
    method: 'POST',
    agent: false,
    headers: { 'content-type': 'application/json', 'content-length': body.length, expect: '100-continue' },
  })
  const answered = once(sent, 'response')
  sent.flushHeaders()
  await once(sent, 'continue')
  sent.write(body.slice(0, 10))
  // What was sent later is taken, so the session of the first one was found, too.
  expect(await ping()).toBe(202)
  stream.destroy()
  await stream.body
  await expect.poll(ping).toBe(404)
  sent.end(body.slice(10))
  const [response] = (await answered) as [IncomingMessage]
  let text = ''
  for await (const chunk of response.setEncoding('utf8')) text += String(chunk)
  expect([response.statusCode, text]).toEqual([404, expect.stringContaining('The session has ended')])
  // A session that is there still is served.
  await using other = await DeprecatedSession.open(gateway.origin)
  expect(await other.request('3', 'ping')).toContain('"result":{}')
  expect(server.messages.all.filter(message => message.includes('resources/subscribe'))).toEqual([])
})

test('a listen stream that its client ends before it is acknowledged leaves no subscription: stdio', async () => {
  await using server = await scriptedHttp()
  await using gateway = await gatewayFor(server)
  const client = new StdioClient(gateway.gateway, true)
  client.send(requestText('"l"', 'subscriptions/listen', LISTEN))
  const subscription = await subscribed(server)
  // A call that is still to be answered keeps the conversation open; the stream ends with its result.
  client.send(requestText('"c"', 'tools/call', withEnvelope('{"name":"a__t"}')))
  const call = await server.called('t')
  const left = client[Symbol.asyncDispose]()
  await client.answer('"l"')
  subscription.answer('"result":{}')
  expect(rawAt(await unsubscribed(server), 'params', 'uri')).toBe('"x:a"')
  call.answer('"result":{"content":[]}')
  await left
  expect(client.lines.all.map(line => rawAt(line, 'id'))).toEqual(['"l"', '"c"'])
})

test('a listen stream that its client ends before it is acknowledged leaves no subscription: HTTP', async () => {
  await using server = await scriptedHttp()
  await using gateway = await gatewayFor(server)
  const agent = new Agent({ keepAlive: true })
  const client = new ModernHttp(gateway.origin, '/mcp', { agent })
  const listening = client.post('"l"', 'subscriptions/listen', LISTEN)
  const broken = expect(listening).rejects.toThrow()
  const subscription = await subscribed(server)
  agent.destroy()
  await broken
  // Whatever is asked on another connection after the end of this one is taken after it.
  await using other = new ModernHttp(gateway.origin)
  await other.request('1', 'server/discover')
  subscription.answer('"result":{}')
  expect(rawAt(await unsubscribed(server), 'params', 'uri')).toBe('"x:a"')
})

test('a subscription that its server confirms after the session has ended is ended, too', async () => {
  await using server = await scriptedHttp()
  await using gateway = await gatewayFor(server)
  const session = await LegacySession.open(gateway.origin)
  const asked = session.post(requestText('1', 'resources/subscribe', SUBSCRIBE))
  const subscription = await subscribed(server)
  await session[Symbol.asyncDispose]()
  subscription.answer('"result":{}')
  expect(rawAt(await unsubscribed(server), 'params', 'uri')).toBe('"x:a"')
  expect(await (await asked).body).toBe('')
})

test('of a session that ended while it waited for the subscription of another one, nothing keeps that', async () => {
  await using server = await scriptedHttp()
  await using gateway = await gatewayFor(server)
  await using first = await LegacySession.open(gateway.origin)
  const second = await LegacySession.open(gateway.origin)
  const answers = [first, second].map(session =>
    session.post(requestText('1', 'resources/subscribe', SUBSCRIBE)),
  )
  const subscription = await subscribed(server)
  // Both have asked once another request of the second one is answered.
  await second.request('2', 'ping')
  await second[Symbol.asyncDispose]()
  subscription.answer('"result":{}')
  for (const answer of answers) await (await answer).body
  expect(await first.request('2', 'resources/unsubscribe', SUBSCRIBE)).toContain('"result":{}')
  await unsubscribed(server)
  expect(ended(server)).toEqual(['"x:a"'])
})
