import { describe, expect, test } from 'vitest'
import { rawAt } from '../../src/protocol/json-text.ts'
import { startGateway } from '../helpers/gateway.ts'
import type { TestGateway } from '../helpers/gateway.ts'
import { scriptedHttp, scriptedStdio } from '../helpers/scripted-servers.ts'
import type { ScriptedServer } from '../helpers/scripted-servers.ts'
import { LegacySession, ModernHttp, requestText, withEnvelope } from '../helpers/wire-clients.ts'

/** Roots that are configured: the gateway answers for them, no client is asked, and no client's own reach the server. */

const ROOTS = [{ uri: 'file:///work/a', name: 'A' }, 'file:///work/b']
const ANSWER = '{"roots":[{"uri":"file:///work/a","name":"A"},{"uri":"file:///work/b"}]}'
const ASK = '{"jsonrpc":"2.0","id":"q","method":"roots/list"}'
const CALL = '{"name":"a__t"}'

async function gatewayFor(server: ScriptedServer, roots: unknown = ROOTS): Promise<TestGateway> {
  const gateway = await startGateway({ mcpServers: { a: { ...server.entry, roots } } })
  await gateway.gateway.warmUp()
  return gateway
}

const answered = (server: ScriptedServer): Promise<string> =>
  server.messages.take(text => rawAt(text, 'id') === '"q"', 'the answer to the question')

/** Capabilities that each link declared, in the order of their opening. */
const declared = (server: ScriptedServer): (string | undefined)[] =>
  server.messages.all
    .filter(text => rawAt(text, 'method') === '"initialize"')
    .map(text => rawAt(text, 'params', 'capabilities'))

const EMPTY = '"result":{"content":[]}'

describe.each([
  ['stdio', scriptedStdio],
  ['HTTP', scriptedHttp],
])('a legacy server over %s', (_, start) => {
  test.each(['{}', '{"roots":{"listChanged":true}}'])(
    'asks, and a client with %s does not notice',
    async capabilities => {
      await using server = await start()
      await using gateway = await gatewayFor(server)
      await using client = await LegacySession.open(gateway.origin, { capabilities })
      const calling = client.request('1', 'tools/call', CALL)
      const call = await server.called('t')
      call.say(ASK)
      expect(rawAt(await answered(server), 'result')).toBe(ANSWER)
      call.answer(EMPTY)
      expect(await calling).toBe(`{"jsonrpc":"2.0","id":1,${EMPTY}}`)
      expect(declared(server)).toEqual(['{"roots":{"listChanged":false}}'])
    },
  )

  test('asks before any call', async () => {
    await using server = await start()
    await using gateway = await gatewayFor(server)
    await using client = await LegacySession.open(gateway.origin)
    await client.request('1', 'ping')
    server.say(ASK)
    expect(rawAt(await answered(server), 'result')).toBe(ANSWER)
  })

  test('asks in the call of a modern client', async () => {
    await using server = await start()
    await using gateway = await gatewayFor(server)
    await using client = new ModernHttp(gateway.origin)
    const calling = client.request('1', 'tools/call', CALL)
    const call = await server.called('t')
    call.say(ASK)
    expect(rawAt(await answered(server), 'result')).toBe(ANSWER)
    call.answer(EMPTY)
    expect(await calling).toContain('"resultType":"complete"')
  })

  test('has none when the list is empty', async () => {
    await using server = await start()
    await using gateway = await gatewayFor(server, [])
    await using client = await LegacySession.open(gateway.origin, { capabilities: '{"roots":{}}' })
    const calling = client.request('1', 'tools/call', CALL)
    const call = await server.called('t')
    call.say(ASK)
    expect(rawAt(await answered(server), 'result')).toBe('{"roots":[]}')
    call.answer(EMPTY)
    await calling
    expect(declared(server)).toEqual(['{}'])
  })
})

describe('links', () => {
  test('are shared by clients that could be asked for nothing but roots', async () => {
    await using server = await scriptedStdio()
    server.results.set('tools/call', '{"content":[]}')
    await using gateway = await gatewayFor(server)
    const clients = await Promise.all(
      ['{}', '{"roots":{}}', '{"roots":{"listChanged":true}}'].map(capabilities =>
        LegacySession.open(gateway.origin, { capabilities }),
      ),
    )
    for (const client of clients) await client.request('1', 'tools/call', CALL)
    expect(declared(server)).toHaveLength(1)
    for (const client of clients) await client[Symbol.asyncDispose]()
  })

  test("of a client that can be asked something else declare that, and receive nothing of the client's roots", async () => {
    await using server = await scriptedStdio()
    server.results.set('tools/call', '{"content":[]}')
    await using gateway = await gatewayFor(server)
    await using client = await LegacySession.open(gateway.origin, {
      capabilities: '{"roots":{"listChanged":true},"sampling":{}}',
    })
    await client.request('1', 'tools/call', CALL)
    expect(declared(server).map(text => JSON.parse(text ?? '') as unknown)).toContainEqual({
      roots: { listChanged: false },
      sampling: {},
    })
    await (
      await client.post('{"jsonrpc":"2.0","method":"notifications/roots/list_changed"}')
    ).body
    await client.request('2', 'tools/call', CALL)
    expect(server.notifications.all.filter(text => text.includes('roots'))).toEqual([])
  })

  test("without configured roots receive the client's", async () => {
    await using server = await scriptedStdio()
    server.results.set('tools/call', '{"content":[]}')
    await using gateway = await startGateway({ mcpServers: { a: server.entry } })
    await gateway.gateway.warmUp()
    await using client = await LegacySession.open(gateway.origin, { capabilities: '{"roots":{}}' })
    await client.request('1', 'tools/call', CALL)
    await (
      await client.post('{"jsonrpc":"2.0","method":"notifications/roots/list_changed"}')
    ).body
    expect(await server.notifications.take(text => text.includes('roots'))).toContain('roots/list_changed')
  })
})

describe('a modern server', () => {
  const roots = '"r":{"method":"roots/list"}'
  const form =
    '"constructor":{"method":"elicitation/create","params":{"mode":"form","message":"m","requestedSchema":{"type":"object","properties":{}}}}'
  const input = (requests: string): string =>
    `"result":{"resultType":"input_required","inputRequests":{${requests}},"requestState":"s1"}`
  const complete = '"result":{"resultType":"complete","content":[]}'
  const meta = (text: string, key: string): string | undefined =>
    rawAt(text, '_meta', `io.modelcontextprotocol/${key}`)
  const start = async (): Promise<ScriptedServer> => {
    const server = await scriptedHttp()
    server.results.set('server/discover', '{"supportedVersions":["2026-07-28"],"capabilities":{"tools":{}}}')
    server.results.delete('initialize')
    return server
  }
  /** A request of a modern client that can be asked for both. */
  const capable = (params: string): string =>
    withEnvelope(params).replace(
      'clientCapabilities":{}',
      'clientCapabilities":{"elicitation":{"form":{}},"roots":{}}',
    )

  test('is answered at once, for a client of either era', async () => {
    await using server = await start()
    await using gateway = await gatewayFor(server)
    await using legacy = await LegacySession.open(gateway.origin)
    await using modern = new ModernHttp(gateway.origin)
    for (const client of [legacy, modern]) {
      const calling = client.request('1', 'tools/call', CALL)
      const first = await server.called('t')
      expect(meta(first.params, 'clientCapabilities')).toBe('{"roots":{"listChanged":false}}')
      first.answer(input(roots))
      const second = await server.called('t')
      expect(rawAt(second.params, 'inputResponses')).toBe(`{"r":${ANSWER}}`)
      expect(rawAt(second.params, 'requestState')).toBe('"s1"')
      second.answer(complete)
      expect(await calling).toContain('"content":[]')
    }
  })

  test('that asks for more as well: the client is asked only for that', async () => {
    await using server = await start()
    await using gateway = await gatewayFor(server)
    await using client = new ModernHttp(gateway.origin)
    const asking = client.post('1', 'tools/call', capable(CALL))
    const first = await server.called('t')
    expect(JSON.parse(meta(first.params, 'clientCapabilities') ?? '')).toEqual({
      roots: { listChanged: false },
      elicitation: { form: {} },
    })
    first.answer(input(`${roots},${form}`))
    const asked = await (await asking).body
    expect(rawAt(asked, 'result', 'inputRequests')).toBe(`{${form.replace('"m"', '"[a] m"')}}`)
    const state = rawAt(asked, 'result', 'requestState') ?? ''
    const action = '"constructor":{"action":"decline","n":1.0}'
    // Nor can it slip in roots of its own.
    const responses = `{${action},"r":{"roots":[]}}`
    const answering = client.post(
      '2',
      'tools/call',
      capable(`{"name":"a__t","inputResponses":${responses},"requestState":${state}}`),
    )
    const second = await server.called('t')
    expect(JSON.parse(rawAt(second.params, 'inputResponses') ?? '')).toEqual({
      constructor: { action: 'decline', n: 1 },
      r: JSON.parse(ANSWER) as unknown,
    })
    expect(rawAt(second.params, 'requestState')).toBe('"s1"')
    second.answer(complete)
    expect(await (await answering).body).toContain('"content":[]')
  })

  test('that asks a legacy client for more as well', async () => {
    await using server = await start()
    await using gateway = await gatewayFor(server)
    await using client = await LegacySession.open(gateway.origin, {
      capabilities: '{"elicitation":{},"roots":{}}',
    })
    const posting = client.post(requestText('1', 'tools/call', CALL))
    const first = await server.called('t')
    first.answer(input(`${form},${roots}`))
    const posted = await posting
    const { data } = await posted.events.take()
    expect(rawAt(data, 'method')).toBe('"elicitation/create"')
    await (
      await client.post(`{"jsonrpc":"2.0","id":${rawAt(data, 'id')},"result":{"action":"decline"}}`)
    ).body
    const second = await server.called('t')
    expect(rawAt(second.params, 'inputResponses')).toBe(`{"constructor":{"action":"decline"},"r":${ANSWER}}`)
    second.answer(complete)
    await posted.body
    expect(posted.events.all).toHaveLength(2)
  })

  test('that never stops asking is stopped', async () => {
    await using server = await start()
    server.results.set('tools/call', `{${input(roots).slice('"result":{'.length)}`)
    await using gateway = await gatewayFor(server)
    await using client = new ModernHttp(gateway.origin)
    expect(await client.request('1', 'tools/call', CALL)).toContain('asked for input 8 times without an end')
  })
})
