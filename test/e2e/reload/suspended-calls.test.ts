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

test('a server cannot ask a client that was removed during the call', async () => {
  await using server = await scriptedStdio()
  await using gateway = await startGateway(file(server, clients))
  await gateway.gateway.warmUp()
  await using one = await callerOf(gateway, 'one')
  const calling = one.request('tools/call', CALL)
  const call = await server.called('t')
  await reload(gateway.gateway, file(server, withKeys({ two: {} })))
  call.say(ASK)
  const answer = await server.messages.take(text => rawAt(text, 'id') === '"q"', 'the refusal')
  expect(rawAt(answer, 'error', 'message')).toContain('no longer in the configuration')
  call.answer('"result":{"content":[]}')
  expect(await calling).toContain('"content":[]')
})
