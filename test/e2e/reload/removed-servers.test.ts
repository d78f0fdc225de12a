import { describe, expect, test } from 'vitest'
import { rawAt } from '../../../src/protocol/json-text.ts'
import { startGateway, type TestGateway } from '../../helpers/gateway.ts'
import { reload } from '../../helpers/reload.ts'
import { form } from '../../helpers/rounds.ts'
import {
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

const asked = (server: ScriptedServer, method: string): Promise<ScriptedRequest> =>
  server.requests.take(request => request.method === method, method)

/** The server is there again, and two calls after each other are run: no slot and no place in the queue is left taken. */
async function worksAgain({ gateway, origin }: TestGateway, server: ScriptedServer, more = {}): Promise<void> {
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
    await using running = await startGateway(alone(a))
    await using session = await LegacySession.open(running.origin)
    const answer = session.request('1', 'tools/call', CALL)
    const listing = await asked(a, 'tools/list')
    await reload(running.gateway, { mcpServers: {} })
    expect(await answer).toMatch(/Unknown tool|There is no server|is not there/)
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
