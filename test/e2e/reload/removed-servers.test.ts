import { describe, expect, onTestFinished, test } from 'vitest'
import { rawAt } from '../../../src/protocol/json-text.ts'
import { startRawServer } from '../../fixtures/servers/raw.js'
import { startGateway, type TestGateway } from '../../helpers/gateway.ts'
import { reload } from '../../helpers/reload.ts'
import { form } from '../../helpers/rounds.ts'
import {
  asked,
  scriptedHttp,
  scriptedStdio,
  toolText,
  type ScriptedRequest,
  type ScriptedServer,
} from '../../helpers/scripted-servers.ts'
import { LegacySession, ModernHttp, StdioClient, withEnvelope } from '../../helpers/wire-clients.ts'

/** A server is removed while something of it is under way, and added again afterwards: with one call at a time it shows what was left behind. */

const CALL = '{"name":"a__t","arguments":{}}'
const DONE = '"result":{"content":[{"type":"text","text":"done"}]}'
const GONE = 'There is no server \\"a\\" in the configuration any more'

const alone = (server: ScriptedServer, more: object = {}): { mcpServers: object } => ({
  mcpServers: { a: { ...server.entry, maxConcurrentCalls: 1, ...more } },
})

/** The server is there again, and two calls after each other are run: no slot and no place in the queue is left taken. */
async function worksAgain(
  { gateway, origin }: TestGateway,
  server: ScriptedServer,
  more = {},
): Promise<void> {
  await reload(gateway, alone(server, more))
  expect(gateway.status()).toMatchObject([{ name: 'a' }])
  await using session = await LegacySession.open(origin)
  await expect
    .poll(() => session.request('"list"', 'tools/list'), { timeout: 10_000, interval: 50 })
    .toContain('a__t')
  for (const id of ['"first"', '"second"']) {
    const answer = session.request(id, 'tools/call', CALL)
    ;(await server.called('t')).answer(DONE)
    expect(await answer).toContain('done')
  }
}

describe.each(['http', 'stdio'] as const)('a server over %s that is removed', kind => {
  const serverOf = (): Promise<ScriptedServer> =>
    kind === 'http' ? scriptedHttp({ sessions: true }) : scriptedStdio()

  test('answers the call in flight, and the call that waits for its turn ends with one error', async () => {
    await using a = await serverOf()
    await using running = await startGateway(alone(a))
    await using session = await LegacySession.open(running.origin)
    const first = session.request('1', 'tools/call', CALL)
    const call = await a.called('t')
    const second = session.request('2', 'tools/call', CALL)
    // A request that is answered later than it was sent.
    await session.request('3', 'ping')
    await reload(running.gateway, { mcpServers: {} })
    // At once: the one in flight is not answered yet.
    expect(await second).toContain(GONE)
    call.answer(DONE)
    expect(await first).toContain('done')
    await worksAgain(running, a)
  })

  test('ends the first listing, for which a call waits', async () => {
    await using a = await serverOf()
    a.results.delete('tools/list')
    await using running = await startGateway({ mcpServers: {} })
    await using session = await LegacySession.open(running.origin)
    // Beyond the time of this test.
    const gateway = { catalog: { firstListTimeout: '10m' } }
    await reload(running.gateway, { ...alone(a), gateway })
    const answer = session.request('1', 'tools/call', CALL)
    const listing = await asked(a, 'tools/list')
    await reload(running.gateway, { mcpServers: {}, gateway })
    expect(await answer).toContain('Unknown tool')
    listing.answer(`"result":{"tools":[${toolText('t')}]}`)
    a.results.set('tools/list', `{"tools":[${toolText('t')}]}`)
    await worksAgain(running, a)
  })

  test('ends a subscription: no update comes any more, and a new subscription is refused', async () => {
    await using a = await serverOf()
    a.results.set('resources/list', '{"resources":[{"uri":"x://1","name":"one"}]}')
    a.results.set('resources/subscribe', '{}')
    a.results.set('resources/unsubscribe', '{}')
    await using running = await startGateway(alone(a))
    await using session = await LegacySession.open(running.origin)
    const stream = await session.listen()
    expect(await session.request('1', 'resources/subscribe', '{"uri":"x://1"}')).toContain('"result":{}')
    a.say('{"jsonrpc":"2.0","method":"notifications/resources/updated","params":{"uri":"x://1"}}')
    await stream.events.take(({ data }) => data.includes('resources/updated'), 'the update')
    await reload(running.gateway, { mcpServers: {} })
    await stream.events.take(({ data }) => data.includes('resources/list_changed'), 'the change')
    expect(await session.request('2', 'resources/subscribe', '{"uri":"x://1"}')).toContain('"error"')
    expect(await session.request('3', 'resources/unsubscribe', '{"uri":"x://1"}')).not.toContain('a__')
    await worksAgain(running, a)
  })
})

describe('a server that is removed', () => {
  test('ends a call that waits to be sent once more', async () => {
    const a = await startRawServer({ era: 'modern' })
    onTestFinished(() => a.close())
    const mcpServers = { a: { url: a.url, prefix: false, maxConcurrentCalls: 1 } }
    await using running = await startGateway({ mcpServers })
    const { gateway, origin } = running
    await using client = new ModernHttp(origin)
    const call = (id: string): Promise<string> =>
      client.request(id, 'tools/call', '{"name":"echo_raw","arguments":{"a":1}}')
    expect(await call('1')).toContain('"a":1')
    const before = a.requests.length
    a.setRefusal({ status: 503, headers: { 'retry-after': '5' } })
    const answer = call('2')
    await expect.poll(() => a.requests.length).toBeGreaterThan(before)
    await reload(gateway, { mcpServers: {} })
    a.setRefusal(undefined)
    expect(await answer).toContain(GONE)
    await reload(gateway, { mcpServers })
    await expect.poll(() => call('3'), { timeout: 10_000 }).toContain('"a":1')
  })

  test('answers a call that was sent to two replicas, and takes no other', async () => {
    await using one = await scriptedHttp()
    await using two = await scriptedHttp()
    const servers = [one, two]
    for (const server of servers) server.results.set('tools/call', DONE.slice('"result":'.length))
    const replicas = servers.map(({ entry }, at) => ({ ...entry, name: `r${at}` }))
    const mcpServers = { a: { replicas, retry: true, maxConcurrentCalls: 1 } }
    await using running = await startGateway({ mcpServers })
    const { gateway, origin } = running
    await using client = new ModernHttp(origin)
    // Enough to know how long a call usually takes.
    for (let at = 0; at < 60; at++)
      expect(await client.request(`${at}`, 'tools/call', CALL)).toContain('done')
    for (const server of servers) server.results.delete('tools/call')
    const answer = client.request('"hedged"', 'tools/call', CALL)
    const calls = await Promise.all(servers.map(server => server.called('t')))
    await reload(gateway, { mcpServers: {} })
    expect(await client.request('"next"', 'tools/call', CALL)).toContain('Unknown tool')
    calls[1]?.answer(DONE)
    expect(await answer).toContain('done')
    await reload(gateway, { mcpServers })
    await expect.poll(() => client.request('"list"', 'tools/list')).toContain('a__t')
    for (const server of servers) server.results.set('tools/call', DONE.slice('"result":'.length))
    for (const id of ['"first"', '"second"'])
      expect(await client.request(id, 'tools/call', CALL)).toContain('done')
  })

  test('gets the answer to its question, and answers the call of a legacy client', async () => {
    await using a = await scriptedStdio()
    await using running = await startGateway(alone(a))
    await using client = await StdioClient.legacy(running.gateway, { capabilities: '{"elicitation":{}}' })
    client.send(`{"jsonrpc":"2.0","id":1,"method":"tools/call","params":${CALL}}`)
    const call = await a.called('t')
    call.say(`{"jsonrpc":"2.0","id":"q","method":"elicitation/create","params":${form('sure?')}}`)
    const question = await client.lines.take(line => line.includes('elicitation/create'), 'the question')
    await reload(running.gateway, { mcpServers: {} })
    client.send(`{"jsonrpc":"2.0","id":${rawAt(question, 'id')},"result":{"action":"decline"}}`)
    await a.messages.take(text => rawAt(text, 'id') === '"q"', 'the answer to the question')
    call.answer(DONE)
    expect(await client.answer('1')).toContain('done')
    await worksAgain(running, a)
  })

  test('refuses the answer to a question that a modern client brings back, and holds nothing any more', async () => {
    await using a = await scriptedStdio()
    const gateway = { asks: { maxSuspendedCalls: 1 }, drainTimeout: '1s' }
    await using running = await startGateway({ ...alone(a), gateway })
    await using client = new ModernHttp(running.origin)
    const capable = (params: string): string =>
      withEnvelope(params).replace(
        '/clientCapabilities":{}',
        '/clientCapabilities":{"elicitation":{"form":{}}}',
      )
    const ask = async (id: string): Promise<{ call: ScriptedRequest; retry: string }> => {
      const answer = client.post(id, 'tools/call', capable(CALL))
      const call = await a.called('t')
      call.say(`{"jsonrpc":"2.0","id":"q","method":"elicitation/create","params":${form('sure?')}}`)
      const text = (await (await answer).body).replace(/^data: /m, '')
      expect(text).toContain('input_required')
      const { result } = JSON.parse(text.slice(text.indexOf('{'))) as {
        result: { inputRequests: Record<string, unknown>; requestState: string }
      }
      const [key] = Object.keys(result.inputRequests)
      const more = `"inputResponses":{"${key}":{"action":"decline"}},"requestState":"${result.requestState}"`
      return { call, retry: CALL.replace(/\}$/, `,${more}}`) }
    }
    const { retry } = await ask('1')
    await reload(running.gateway, { mcpServers: {}, gateway })
    const refused = await (await client.post('2', 'tools/call', capable(retry))).body
    expect(refused).toMatch(/Unknown tool|There is no server/)
    await reload(running.gateway, { ...alone(a), gateway })
    await expect.poll(() => client.request('"list"', 'tools/list'), { timeout: 10_000 }).toContain('a__t')
    // The call was cancelled when its tool was gone, and its client hears of it.
    const ended = await (await client.post('5', 'tools/call', capable(retry))).body
    expect(ended).toContain('is no longer waiting')
    expect(ended).not.toContain('"done"')
    const { call, retry: again } = await ask('3')
    const answer = client.post('4', 'tools/call', capable(again))
    await a.messages.take(text => rawAt(text, 'id') === '"q"', 'the answer to the question')
    call.answer(DONE)
    expect(await (await answer).body).toContain('done')
  })

  test.each(['http', 'stdio'] as const)('over %s takes its tasks along', async kind => {
    await using a = kind === 'http' ? await scriptedHttp({ sessions: true }) : await scriptedStdio()
    const tasks = '"tasks":{"list":{},"cancel":{},"requests":{"tools":{"call":{}}}}'
    a.results.set(
      'initialize',
      `{"protocolVersion":"2025-11-25","capabilities":{"tools":{},${tasks}},"serverInfo":{"name":"s","version":"1"}}`,
    )
    a.results.set('tools/list', `{"tools":[${toolText('t', ',"execution":{"taskSupport":"optional"}')}]}`)
    await using running = await startGateway(alone(a))
    await running.gateway.warmUp()
    await using client = await LegacySession.open(running.origin)
    const made = client.request('1', 'tools/call', CALL.replace(/\}$/, ',"task":{"ttl":60000}}'))
    ;(await a.called('t')).answer(
      '"result":{"task":{"taskId":"job","status":"working","createdAt":"2026-01-01T00:00:00Z","lastUpdatedAt":"2026-01-01T00:00:00Z","ttl":60000}}',
    )
    const id = rawAt(await made, 'result', 'task', 'taskId') as string
    const waiting = client.request('2', 'tasks/result', `{"taskId":${id}}`)
    const result = await asked(a, 'tasks/result')
    await reload(running.gateway, { mcpServers: {} })
    const looked = await client.request('3', 'tasks/get', `{"taskId":${id}}`)
    expect(looked).toContain('"error"')
    expect(looked).toMatch(/no server|no task|not known|Unknown/i)
    expect(await client.request('4', 'tasks/list')).not.toContain('"taskId"')
    result.answer(DONE)
    expect(await waiting).toContain('done')
    await worksAgain(running, a)
  })
})
