import { expect, test } from 'vitest'
import { rawAt } from '../../src/protocol/json-text.ts'
import { startGateway } from '../helpers/gateway.ts'
import { scriptedHttp } from '../helpers/scripted-servers.ts'
import { answerOf, LegacySession, requestText } from '../helpers/wire-clients.ts'

test('a question that grows with each of its messages is refused, and the call goes on', async () => {
  await using server = await scriptedHttp()
  await using gateway = await startGateway({ mcpServers: { a: server.entry } })
  await gateway.gateway.warmUp()
  await using client = await LegacySession.open(gateway.origin, {
    version: '2025-06-18',
    capabilities: '{"sampling":{}}',
  })
  const response = client.post(requestText('1', 'tools/call', '{"name":"a__t"}'))
  const request = await server.called('t')
  const parts = Array<string>(90).fill('{"type":"text","text":"a"}').join(',')
  const message = `{"role":"user","x":"${'y'.repeat(2000)}","content":[${parts}]}`
  const messages = Array<string>(100).fill(message).join(',')
  request.say(requestText('"q"', 'sampling/createMessage', `{"messages":[${messages}],"maxTokens":1}`))
  const told = await server.messages.take(text => rawAt(text, 'id') === '"q"', 'an answer')
  expect(told).toContain('Server \\"a\\" asks to sample from parts of messages')
  request.answer('"result":{"content":[]}')
  expect(await answerOf(await response)).toContain('"content":[]')
})

test('a result of very many parts that an older client does not have is not larger for it', async () => {
  await using server = await scriptedHttp()
  await using gateway = await startGateway({ mcpServers: { a: server.entry } })
  await gateway.gateway.warmUp()
  await using client = await LegacySession.open(gateway.origin, { version: '2025-06-18' })
  const response = client.post(requestText('1', 'tools/call', '{"name":"a__t"}'))
  const result = `{"content":[${Array<string>(200_000).fill('{"type":"x"}').join(',')}]}`
  ;(await server.called('t')).answer(`"result":${result}`)
  const answer = await answerOf(await response)
  expect(answer).toContain('190000 more parts were left out')
  expect(answer.length).toBeLessThan(result.length)
})
