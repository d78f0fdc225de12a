import { describe, expect, test } from 'vitest'
import { rawAt } from '../../src/protocol/json-text.ts'
import { startGateway, type TestGateway } from '../helpers/gateway.ts'
import { scriptedStdio, toolText, type ScriptedServer } from '../helpers/scripted-servers.ts'
import { requestText, StdioClient, withEnvelope } from '../helpers/wire-clients.ts'

const NEEDS_TASK = toolText('t', ',"execution":{"taskSupport":"required"},"x":1.0')
const CALL = '{"name":"a__t","arguments":{"n":12345678901234567890}}'
const CREATED =
  '"result":{"task":{"taskId":"job-7","status":"working","createdAt":"2026-01-01T00:00:00Z","lastUpdatedAt":"2026-01-01T00:00:00Z","ttl":null}}'

async function serverWith(tool: string): Promise<ScriptedServer> {
  const server = await scriptedStdio()
  server.results.set('tools/list', `{"tools":[${tool}]}`)
  return server
}

async function gatewayFor(server: ScriptedServer): Promise<TestGateway> {
  const gateway = await startGateway({ mcpServers: { a: server.entry } })
  await gateway.gateway.warmUp()
  return gateway
}

describe.each([false, true])('a tool that can only be called as a task (modern client: %s)', modern => {
  test('is called, followed and answered like any other', async () => {
    await using server = await serverWith(NEEDS_TASK)
    await using gateway = await gatewayFor(server)
    await using client = modern
      ? new StdioClient(gateway.gateway, true)
      : await StdioClient.legacy(gateway.gateway)
    const list = await client.request('1', 'tools/list', modern ? withEnvelope('{}') : '{}')
    // To a client that knows tasks, it can be called as one, but need not be.
    expect(list).toContain(
      toolText('a__t', modern ? ',"x":1.0' : ',"execution":{"taskSupport":"optional"},"x":1.0'),
    )
    const answer = client.request('2', 'tools/call', modern ? withEnvelope(CALL) : CALL)
    const call = await server.called('t')
    expect(rawAt(call.params, 'task')).toBe('{}')
    expect(rawAt(call.params, 'arguments')).toBe('{"n":12345678901234567890}')
    call.answer(CREATED)
    const result = await server.requests.take(({ method }) => method === 'tasks/result', 'tasks/result')
    expect(rawAt(result.params, 'taskId')).toBe('"job-7"')
    result.answer('"result":{"content":[{"type":"text","text":"done"}],"n":1.0}')
    expect(await answer).toContain('"content":[{"type":"text","text":"done"}],"n":1.0}')
  })

  test('is cancelled with its call', async () => {
    await using server = await serverWith(NEEDS_TASK)
    await using gateway = await gatewayFor(server)
    await using client = modern
      ? new StdioClient(gateway.gateway, true)
      : await StdioClient.legacy(gateway.gateway)
    client.send(requestText('3', 'tools/call', modern ? withEnvelope(CALL) : CALL))
    ;(await server.called('t')).answer(CREATED)
    await server.requests.take(({ method }) => method === 'tasks/result', 'tasks/result')
    client.send('{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":3}}')
    const cancel = await server.requests.take(({ method }) => method === 'tasks/cancel', 'tasks/cancel')
    expect(rawAt(cancel.params, 'taskId')).toBe('"job-7"')
    cancel.answer('"result":{"taskId":"job-7","status":"cancelled"}')
  })
})

test('a task that was not given to this client is unknown, and without the extension there are none', async () => {
  await using server = await serverWith(toolText('t'))
  await using gateway = await gatewayFor(server)
  await using client = new StdioClient(gateway.gateway, true)
  const undeclared = await client.request('1', 'tasks/get', withEnvelope('{"taskId":"job-7"}'))
  expect(undeclared).toContain('"code":-32021')
  expect(undeclared).toContain('"requiredCapabilities":{"extensions":{"io.modelcontextprotocol/tasks":{}}}')
  const declared = withEnvelope('{"taskId":"job-7"}').replace(
    '/clientCapabilities":{}',
    '/clientCapabilities":{"extensions":{"io.modelcontextprotocol/tasks":{}}}',
  )
  expect(await client.request('2', 'tasks/get', declared)).toContain(
    '"code":-32602,"message":"Unknown task: job-7"',
  )
})
