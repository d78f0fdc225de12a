import { expect } from 'vitest'
import { rawAt } from '../../../../src/protocol/json-text.ts'
import { callAs, type Caller } from '../../../helpers/callers.ts'
import { DONE, form, modernServer, question, round } from '../../../helpers/rounds.ts'
import { scriptedStdio, type ScriptedServer } from '../../../helpers/scripted-servers.ts'
import { answerOf, type WireResponse } from '../../../helpers/wire-clients.ts'
import { scene, type KeyTest, type KeyTests } from './change.ts'

/** What a change of each key of questions and of listen streams does. */

const CALL = '{"name":"a__t"}'
const EMPTY = '"result":{"content":[]}'
const capabilities = '{"elicitation":{"form":{}}}'

async function callerOf(origin: string, modern: boolean): Promise<Caller> {
  const caller = await callAs(origin, undefined, { modern, capabilities })
  if (!caller) throw new Error('there is no endpoint')
  return caller
}

const asked = (id: string): string =>
  `{"jsonrpc":"2.0","id":"${id}","method":"elicitation/create","params":${form('m')}}`

/** What the client says to a question of the server. */
const said = (server: ScriptedServer, id: string): Promise<string> =>
  server.messages.take(
    text => rawAt(text, 'id') === `"${id}"` && rawAt(text, 'method') === undefined,
    `the answer to ${id}`,
  )

/** A client that was asked and does not come back. */
const answerTimeout = scene(
  { gateway: { asks: { answerTimeout: '24h' } }, server: scriptedStdio },
  async ({ gateway, server, origin, turn }) => {
    await gateway.warmUp()
    await using client = await callerOf(origin, true)
    await turn({ asks: { answerTimeout: '1s' } })
    const calling = client.request('tools/call', CALL)
    ;(await server.called('t')).say(asked('q'))
    expect(await calling).toContain('input_required')
    expect(rawAt(await said(server, 'q'), 'error', 'message')).toContain('the client did not come back')
  },
)

/** Of two calls that ask, the second may not. */
const maxSuspendedCalls = scene(
  { gateway: { asks: { maxSuspendedCalls: 2 } }, server: scriptedStdio },
  async ({ gateway, server, origin, turn }) => {
    await gateway.warmUp()
    await using client = await callerOf(origin, true)
    const first = client.request('tools/call', CALL)
    const suspended = await server.called('t')
    suspended.say(asked('one'))
    expect(await first).toContain('input_required')
    suspended.answer(EMPTY)
    await turn({ asks: { maxSuspendedCalls: 1 } })
    const second = client.request('tools/call', CALL)
    const third = client.request('tools/call', CALL)
    const calls = [await server.called('t'), await server.called('t')]
    calls[0]?.say(asked('two'))
    expect(await said(server, 'two')).toContain('gateway.asks.maxSuspendedCalls')
    for (const call of calls) call.answer(EMPTY)
    await Promise.all([second, third])
  },
)

/** A round of two questions for a session. */
const maxPerSession = scene(
  { gateway: { asks: { maxPerSession: 2 } }, server: modernServer },
  async ({ gateway, server, origin, turn }) => {
    await gateway.warmUp()
    await using client = await callerOf(origin, false)
    await turn({ asks: { maxPerSession: 1 } })
    const calling = client.request('tools/call', CALL)
    ;(await server.called('t')).answer(round([question('one'), question('two')]))
    expect(await calling).toContain('gateway.asks.maxPerSession')
  },
)

/** A server that asks a second time in one call. */
const maxRounds = scene(
  { gateway: { asks: { maxRounds: 2 } }, server: modernServer },
  async ({ gateway, server, origin, turn }) => {
    await gateway.warmUp()
    await using client = await callerOf(origin, false)
    const begin = (): Promise<WireResponse> => client.post('tools/call', CALL)
    /** The server asks, and the client answers. */
    const ask = async (posting: Promise<WireResponse>, text: string): Promise<void> => {
      ;(await server.called('t')).answer(round([question(text)]))
      const { events } = await posting
      const { data } = await events.take(event => event.data.includes(text), text)
      await client.say(`{"jsonrpc":"2.0","id":${rawAt(data, 'id')},"result":{"action":"decline"}}`)
    }
    const allowed = begin()
    await ask(allowed, 'first')
    await ask(allowed, 'second')
    ;(await server.called('t')).answer(DONE)
    expect(await answerOf(await allowed)).toContain('"content":[]')
    await turn({ asks: { maxRounds: 1 } })
    const refused = begin()
    await ask(refused, 'first')
    ;(await server.called('t')).answer(round([question('second')]))
    expect(await answerOf(await refused)).toContain('gateway.asks.maxRounds')
  },
)

const withResources = (server: ScriptedServer, names: readonly string[]): void => {
  const resources = names.map(name => `{"uri":"r://${name}","name":"${name}"}`)
  server.results.set('resources/list', `{"resources":[${resources.join(',')}]}`)
  server.results.set('resources/subscribe', '{}')
}
const BOTH = '{"resourceSubscriptions":["r://one","r://two"]}'

/** A second stream of a client. */
const maxStreams = scene({ gateway: { listen: { maxStreams: 2 } } }, async ({ origin, turn }) => {
  await using client = await callerOf(origin, true)
  await client.listen('{"toolsListChanged":true}')
  await turn({ listen: { maxStreams: 1 } })
  const filter = '{"notifications":{"toolsListChanged":true}}'
  expect(await client.request('subscriptions/listen', filter)).toContain('gateway.listen.maxStreams')
})

const maxResources = scene(
  { gateway: { listen: { maxResources: 2 } } },
  async ({ gateway, server, origin, turn }) => {
    withResources(server, ['one', 'two'])
    await gateway.warmUp()
    await using client = await callerOf(origin, true)
    await using session = await callerOf(origin, false)
    const subscribe = (name: string): Promise<string> =>
      session.request('resources/subscribe', `{"uri":"r://${name}"}`)
    expect(await client.listen(BOTH)).toContain('r://two')
    expect(await subscribe('one')).toContain('"result"')
    await turn({ listen: { maxResources: 1 } })
    expect(await client.listen(BOTH)).not.toContain('r://two')
    expect(await subscribe('two')).toContain('gateway.listen.maxResources')
  },
)

/** A server that does not acknowledge a subscription. */
const acknowledgeTimeout: KeyTest = scene(
  { gateway: { listen: { acknowledgeTimeout: '10m' } } },
  async ({ gateway, server, origin, turn }) => {
    withResources(server, ['one', 'two'])
    server.results.delete('resources/subscribe')
    await gateway.warmUp()
    await using client = await callerOf(origin, true)
    await turn({ listen: { acknowledgeTimeout: '100ms' } })
    expect(await client.listen(BOTH)).not.toContain('r://')
  },
)

export const ASK_KEYS: KeyTests = {
  'gateway.asks.answerTimeout': answerTimeout,
  'gateway.asks.maxSuspendedCalls': maxSuspendedCalls,
  'gateway.asks.maxPerSession': maxPerSession,
  'gateway.asks.maxRounds': maxRounds,
  'gateway.listen.maxStreams': maxStreams,
  'gateway.listen.maxResources': maxResources,
  'gateway.listen.acknowledgeTimeout': acknowledgeTimeout,
}
