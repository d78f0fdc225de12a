import { expect, test } from 'vitest'
import { rawAt } from '../../../src/protocol/json-text.ts'
import { callAs, keyOf, withKeys, type Caller } from '../../helpers/callers.ts'
import { startGateway, type TestGateway } from '../../helpers/gateway.ts'
import { reload } from '../../helpers/reload.ts'
import { form } from '../../helpers/rounds.ts'
import { scriptedStdio, type ScriptedProcesses } from '../../helpers/scripted-servers.ts'

/** Calls of modern clients at a legacy server that ask something before or after a reload of what the client may do. */

const ASK = `{"jsonrpc":"2.0","id":"q","method":"elicitation/create","params":${form('m')}}`

const file = (server: ScriptedProcesses, client: object): Record<string, unknown> => ({
  mcpServers: { a: server.entry },
  roles: { narrow: { deny: ['a/other'] } },
  clients: withKeys({ one: client }),
})

async function callerOf({ origin }: TestGateway): Promise<Caller> {
  const caller = await callAs(origin, keyOf('one'), {
    modern: true,
    capabilities: '{"elicitation":{"form":{}}}',
  })
  if (!caller) throw new Error('there is no endpoint')
  return caller
}

test.each([
  ['a first rule, for other tools', {}, { deny: ['a/other'] }],
  ['the last rule gone', { deny: ['a/other'] }, {}],
  ['another default, with the tool allowed', {}, { default: 'deny', allow: ['a/*'] }],
  ['a role with rules for other tools', {}, { roles: ['narrow'] }],
])('a suspended call gets its answer after a reload with %s', async (_, before, after) => {
  await using server = await scriptedStdio()
  await using gateway = await startGateway(file(server, before))
  await gateway.gateway.warmUp()
  await using one = await callerOf(gateway)
  const calling = one.request('tools/call', '{"name":"a__t","arguments":{}}')
  const call = await server.called('t')
  call.say(ASK)
  const asked = await calling
  const state = rawAt(asked, 'result', 'requestState')
  const [key] = Object.keys(JSON.parse(rawAt(asked, 'result', 'inputRequests') ?? '{}') as object)
  await reload(gateway.gateway, file(server, after))
  const given = `{${JSON.stringify(key)}:{"action":"accept","content":{}}}`
  const retried = one.request(
    'tools/call',
    `{"name":"a__t","arguments":{},"requestState":${state},"inputResponses":${given}}`,
  )
  const answer = await server.messages.take(text => rawAt(text, 'id') === '"q"', 'the answer of the client')
  expect(rawAt(answer, 'result', 'action')).toBe('"accept"')
  call.answer('"result":{"content":[{"type":"text","text":"done"}]}')
  expect(await retried).toContain('"done"')
})

test('a call whose tool is denied while it runs cannot ask its client, and ends as the server answers it', async () => {
  await using server = await scriptedStdio()
  await using gateway = await startGateway(file(server, {}))
  await gateway.gateway.warmUp()
  await using one = await callerOf(gateway)
  const calling = one.request('tools/call', '{"name":"a__t","arguments":{}}')
  const call = await server.called('t')
  await reload(gateway.gateway, file(server, { deny: ['a/t'] }))
  call.say(ASK)
  const refusal = await server.messages.take(text => rawAt(text, 'id') === '"q"', 'the refusal')
  expect(rawAt(refusal, 'error', 'message')).toContain('no longer permits')
  call.answer('"result":{"content":[{"type":"text","text":"done"}]}')
  expect(await calling).toContain('"done"')
})
