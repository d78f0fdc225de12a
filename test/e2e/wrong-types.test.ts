import { expect, test } from 'vitest'
import { rawAt } from '../../src/protocol/json-text.ts'
import { startGateway } from '../helpers/gateway.ts'
import type { TestGateway } from '../helpers/gateway.ts'
import { scriptedHttp, scriptedStdio, toolText } from '../helpers/scripted-servers.ts'
import type { ScriptedServer } from '../helpers/scripted-servers.ts'
import { answerOf, LegacySession, ModernHttp, requestText, withEnvelope } from '../helpers/wire-clients.ts'

/** What a server says has members of other types than the specification gives them. The gateway and other clients go on. */

const KEY = 'io.modelcontextprotocol/subscriptionId'
const WRONG = ['5', 'null', `"${KEY}"`, `["${KEY}"]`, '[]', 'true']

async function gatewayFor(server: ScriptedServer): Promise<TestGateway> {
  server.results.set('tools/list', `{"tools":[${toolText('t')},${toolText('u')}]}`)
  server.results.set('resources/list', '{"resources":[{"uri":"a:b","name":"b"}]}')
  server.results.set('resources/subscribe', '{}')
  server.results.set('resources/unsubscribe', '{}')
  const gateway = await startGateway({ mcpServers: { a: server.entry } })
  await gateway.gateway.warmUp()
  return gateway
}

async function stillServes(gateway: TestGateway, server: ScriptedServer): Promise<void> {
  await using client = new ModernHttp(gateway.origin)
  const answer = client.post('1', 'tools/call', withEnvelope('{"name":"a__u"}'))
  ;(await server.called('u')).answer('"result":{"content":[]}')
  expect(await answerOf(await answer)).toContain('"content":[]')
}

test.each(WRONG)('an update of a resource whose "_meta" is %s reaches clients of both eras', async meta => {
  await using server = await scriptedStdio()
  await using gateway = await gatewayFor(server)
  await using legacy = await LegacySession.open(gateway.origin)
  await legacy.request('1', 'resources/subscribe', '{"uri":"a:b"}')
  const heard = await legacy.listen()
  await using modern = new ModernHttp(gateway.origin)
  const stream = await modern.post(
    '7',
    'subscriptions/listen',
    withEnvelope('{"notifications":{"resourceSubscriptions":["a:b"]}}'),
  )
  await stream.events.take(({ data }) => data.includes('acknowledged'))
  server.say(
    `{"jsonrpc":"2.0","method":"notifications/resources/updated","params":{"uri":"a:b","_meta":${meta}}}`,
  )
  await heard.events.take(({ data }) => data.includes('resources/updated'))
  const { data } = await stream.events.take(({ data: text }) => text.includes('resources/updated'))
  expect(JSON.parse(data)).toEqual({
    jsonrpc: '2.0',
    method: 'notifications/resources/updated',
    params: { uri: 'a:b', _meta: { [KEY]: 7 } },
  })
  await stillServes(gateway, server)
})

const METHODS = [
  'message',
  'progress',
  'cancelled',
  'resources/updated',
  'resources/list_changed',
  'tools/list_changed',
  'tasks',
  'tasks/status',
  'elicitation/complete',
  'subscriptions/acknowledged',
].map(name => `notifications/${name}`)

test('notifications with parameters of other types are no more than dropped', async () => {
  await using server = await scriptedHttp()
  await using gateway = await gatewayFor(server)
  await using client = new ModernHttp(gateway.origin)
  const answer = client.post('1', 'tools/call', withEnvelope('{"name":"a__t","_meta":{"progressToken":"p"}}'))
  const request = await server.called('t')
  for (const method of METHODS)
    for (const wrong of WRONG) {
      const texts = [
        wrong,
        ...['_meta', 'uri', 'taskId', 'data', 'level', 'progressToken', 'requestId', 'status'].map(
          key => `{"uri":"a:b","taskId":"1","progressToken":1,"level":"info","${key}":${wrong}}`,
        ),
      ]
      for (const params of texts) {
        const text = `{"jsonrpc":"2.0","method":"${method}","params":${params}}`
        request.say(text)
        server.say(text)
      }
    }
  request.answer('"result":{"content":[]}')
  expect(await answerOf(await answer)).toContain('"content":[]')
  await stillServes(gateway, server)
})

const VERSIONS = ['2024-11-05', '2025-06-18', '2025-11-25']

test.each(VERSIONS)(
  'questions with parameters of other types to a client of %s are refused',
  async version => {
    await using server = await scriptedHttp()
    await using gateway = await gatewayFor(server)
    await using client = await LegacySession.open(gateway.origin, {
      version,
      capabilities: '{"sampling":{},"elicitation":{},"roots":{}}',
    })
    const response = client.post(requestText('1', 'tools/call', '{"name":"a__t"}'))
    const request = await server.called('t')
    let id = 0
    for (const method of ['sampling/createMessage', 'elicitation/create'])
      for (const wrong of WRONG) {
        request.say(requestText(`"q${++id}"`, method, wrong))
        const answer = await server.messages.take(
          text => rawAt(text, 'id') === `"q${id}"`,
          `an answer to ${id}`,
        )
        expect(answer).toContain('"error"')
      }
    request.answer('"result":{"content":[]}')
    expect(await answerOf(await response)).toContain('"content":[]')
  },
)

test.each(VERSIONS)('results with members of other types reach a client of %s', async version => {
  await using server = await scriptedHttp()
  await using gateway = await gatewayFor(server)
  await using client = await LegacySession.open(gateway.origin, { version })
  let id = 0
  for (const wrong of WRONG)
    for (const result of [
      wrong,
      ...['_meta', 'content', 'structuredContent', 'task'].map(key => `{"${key}":${wrong}}`),
      ...['icons', 'annotations', 'type', 'uri'].map(
        key => `{"content":[{"type":"resource_link","uri":"x:1","name":"n","${key}":${wrong}},${wrong}]}`,
      ),
      `{"content":[{"type":"resource","resource":${wrong}}]}`,
    ]) {
      const answer = client.post(requestText(String(++id), 'tools/call', '{"name":"a__t"}'))
      ;(await server.called('t')).answer(`"result":${result}`)
      expect(rawAt(await answerOf(await answer), 'id')).toBe(String(id))
    }
})
