import { expect, test } from 'vitest'
import { rawAt } from '../../../src/protocol/json-text.ts'
import { callAs, keyOf, withKeys, type Caller } from '../../helpers/callers.ts'
import { startGateway, type TestGateway } from '../../helpers/gateway.ts'
import { reload } from '../../helpers/reload.ts'
import { form } from '../../helpers/rounds.ts'
import {
  scriptedStdio,
  type ScriptedProcesses,
  type ScriptedRequest,
} from '../../helpers/scripted-servers.ts'

/** Calls of modern clients that wait for an answer to the question of a legacy server, when their client is removed. */

const CALL = '{"name":"a__t","arguments":{}}'
const ASK = `{"jsonrpc":"2.0","id":"q","method":"elicitation/create","params":${form('m')}}`
const clients = withKeys({ one: {}, two: {} })
const file = (server: ScriptedProcesses, who: object): Record<string, unknown> => ({
  mcpServers: { a: server.entry },
  clients: who,
})

async function callerOf({ origin }: TestGateway, name: string): Promise<Caller> {
  const capabilities = '{"elicitation":{"form":{}}}'
  const caller = await callAs(origin, keyOf(name), { modern: true, capabilities })
  if (!caller) throw new Error('there is no endpoint')
  return caller
}

const cancelled = (server: ScriptedProcesses, call: ScriptedRequest): Promise<string> =>
  server.messages.take(
    text =>
      rawAt(text, 'method') === '"notifications/cancelled"' &&
      rawAt(text, 'params', 'requestId') === String(call.id),
    'the cancellation',
  )

test('the suspended call of a client that is removed is cancelled at its server, and that of another one goes on', async () => {
  await using server = await scriptedStdio()
  await using gateway = await startGateway(file(server, clients))
  await gateway.gateway.warmUp()
  await using one = await callerOf(gateway, 'one')
  await using two = await callerOf(gateway, 'two')
  const suspended = async (who: Caller): Promise<ScriptedRequest> => {
    const calling = who.request('tools/call', CALL)
    const call = await server.called('t')
    call.say(ASK)
    expect(rawAt(await calling, 'result', 'resultType')).toBe('"input_required"')
    return call
  }
  const gone = await suspended(one)
  const kept = await suspended(two)
  const { endings } = await gateway.gateway.rehearse({ ...gateway.gateway.config, clients: [] })
  expect(endings).toMatchObject([
    { client: 'one', connections: 1 },
    { client: 'two', connections: 1 },
  ])
  await reload(gateway.gateway, file(server, withKeys({ two: {} })))
  await cancelled(server, gone)
  expect(server.messages.left.some(text => rawAt(text, 'params', 'requestId') === String(kept.id))).toBe(
    false,
  )
})

test('the suspended call of a tool that its client may no longer use is cancelled, and that of another tool goes on', async () => {
  await using server = await scriptedStdio()
  const listed = ['t', 'u', 'w'].map(name => ({ name, inputSchema: { type: 'object' } }))
  server.results.set('tools/list', JSON.stringify({ tools: listed }))
  const allow = (...rules: object[]): Record<string, unknown> => file(server, withKeys({ one: { rules } }))
  await using gateway = await startGateway(allow({ effect: 'allow', match: ['a/*'] }))
  await gateway.gateway.warmUp()
  await using one = await callerOf(gateway, 'one')
  const suspended = async (tool: string): Promise<ScriptedRequest> => {
    const calling = one.request('tools/call', `{"name":"a__${tool}","arguments":{"n":1}}`)
    const call = await server.called(tool)
    call.say(ASK.replace('"q"', `"${tool}"`))
    expect(rawAt(await calling, 'result', 'resultType')).toBe('"input_required"')
    return call
  }
  const hidden = await suspended('t')
  const kept = await suspended('u')
  const conditional = await suspended('w')
  await reload(
    gateway.gateway,
    allow({ effect: 'allow', match: ['a/u'] }, { effect: 'allow', match: ['a/w'], when: 'args.n == 2' }),
  )
  await cancelled(server, hidden)
  await cancelled(server, conditional)
  expect(server.messages.left.some(text => rawAt(text, 'params', 'requestId') === String(kept.id))).toBe(
    false,
  )
})

test('the call of a client that is removed ends with an error, is cancelled at its server, and cannot ask it', async () => {
  await using server = await scriptedStdio()
  await using gateway = await startGateway(file(server, clients))
  await gateway.gateway.warmUp()
  await using one = await callerOf(gateway, 'one')
  const calling = one.request('tools/call', CALL)
  const call = await server.called('t')
  await reload(gateway.gateway, file(server, withKeys({ two: {} })))
  expect(await calling).toContain('the credentials of \\"one\\" are no longer valid')
  await cancelled(server, call)
  call.say(ASK)
  const answer = await server.messages.take(text => rawAt(text, 'id') === '"q"', 'the refusal')
  expect(rawAt(answer, 'error', 'message')).toBeDefined()
})
