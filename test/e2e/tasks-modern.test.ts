import { fileURLToPath } from 'node:url'
import { describe, expect, test } from 'vitest'
import { TASKS } from '../../src/protocol/capabilities.ts'
import { rawAt } from '../../src/protocol/json-text.ts'
import { startGateway, type TestGateway } from '../helpers/gateway.ts'
import {
  asked,
  scriptedHttp,
  scriptedStdio,
  type ScriptedRequest,
  type ScriptedServer,
} from '../helpers/scripted-servers.ts'
import {
  acknowledgeTasks,
  servingTasks,
  streamMeta,
  taskMembers,
  withTasksExtension,
} from '../helpers/modern-tasks.ts'
import { requestText, StdioClient, withEnvelope } from '../helpers/wire-clients.ts'

/** Tasks of the extension `io.modelcontextprotocol/tasks` (revision 2026-07-28): heard of by modern clients, followed for legacy ones. */

const FIXTURE = fileURLToPath(new URL('../fixtures/servers/conformance/main.js', import.meta.url))

const modern = <T extends ScriptedServer>(server: T): T => servingTasks(server, 't')

async function gatewayFor(servers: Readonly<Record<string, ScriptedServer>>): Promise<TestGateway> {
  const mcpServers = Object.fromEntries(Object.entries(servers).map(([name, { entry }]) => [name, entry]))
  const gateway = await startGateway({ mcpServers })
  await gateway.gateway.warmUp()
  return gateway
}

const parsed = (text: string | undefined): unknown => (text === undefined ? undefined : JSON.parse(text))
const declared = (request: ScriptedRequest): unknown =>
  parsed(rawAt(request.params, '_meta', 'io.modelcontextprotocol/clientCapabilities'))

/** A client on stdio whose every request is written by the test, envelope included. */
const clientOf = ({ gateway }: TestGateway): StdioClient => new StdioClient(gateway, true)

async function send(client: StdioClient, id: string, method: string, params: string): Promise<string> {
  client.send(requestText(id, method, params))
  return await client.answer(id)
}

async function made(client: StdioClient, server: ScriptedServer, own: string): Promise<string> {
  const answer = send(client, '"make"', 'tools/call', withTasksExtension('{"name":"a__t"}'))
  ;(await server.called('t')).answer(`"result":{"resultType":"task",${taskMembers(own, 'working')}}`)
  return parsed(rawAt(await answer, 'result', 'taskId')) as string
}

describe('a client that listens to tasks', () => {
  test('is shown which server asks, when it looks at a task and when it is notified of one', async () => {
    await using server = modern(await scriptedStdio())
    await using gateway = await gatewayFor({ a: server })
    await using client = clientOf(gateway)
    const id = await made(client, server, 'job')
    const questions = (label: string): string =>
      `{"sure":{"method":"elicitation/create","params":{"message":"${label}Sure?\\n${label}[bank] yes","n":1.0}},"where":{"method":"elicitation/create","params":{"mode":"url","url":"https://a.example","message":"${label}Log in"}},"think":{"method":"sampling/createMessage","params":{"messages":[],"maxTokens":1}}}`
    const waiting = taskMembers('job', 'input_required', `,"inputRequests":${questions('')}`)
    const looked = send(client, '"get"', 'tasks/get', withTasksExtension(`{"taskId":"${id}"}`))
    ;(await asked(server, 'tasks/get')).answer(`"result":{"resultType":"complete",${waiting}}`)
    expect(rawAt(await looked, 'result', 'inputRequests')).toBe(questions('[a] '))

    client.send(
      requestText(
        '"l"',
        'subscriptions/listen',
        withTasksExtension(`{"notifications":{"taskIds":["${id}"]}}`),
      ),
    )
    const stand = await asked(server, 'subscriptions/listen')
    acknowledgeTasks(stand, 'job')
    await client.notification('notifications/subscriptions/acknowledged')
    stand.say(`{"jsonrpc":"2.0","method":"notifications/tasks","params":{${waiting},${streamMeta(stand)}}}`)
    const told = await client.notification('notifications/tasks')
    expect(rawAt(told, 'params', 'inputRequests')).toBe(questions('[a] '))
  })

  test('alone gets reports of its own tasks, by the ids it has', async () => {
    await using server = modern(await scriptedStdio())
    await using gateway = await gatewayFor({ a: server })
    await using client = clientOf(gateway)
    await using other = clientOf(gateway)
    const ids = [await made(client, server, 'job-1'), await made(client, server, 'job-2')]
    const theirs = await made(other, server, 'job-3')
    const foreign = ids[0]?.replace(/.{4}$/, 'AAAA') ?? ''

    const filter = JSON.stringify({ taskIds: [...ids, foreign, 'job-1', 7] })
    client.send(requestText('"l"', 'subscriptions/listen', withTasksExtension(`{"notifications":${filter}}`)))
    const stand = await asked(server, 'subscriptions/listen')
    expect(parsed(rawAt(stand.params, 'notifications'))).toEqual({ taskIds: ['job-1', 'job-2'] })
    expect(declared(stand)).toEqual({ extensions: { [TASKS]: {} } })
    acknowledgeTasks(stand, 'job-1')
    // What the server does not promise is not promised.
    const acknowledged = await client.notification('notifications/subscriptions/acknowledged')
    expect(parsed(rawAt(acknowledged, 'params'))).toEqual({
      notifications: { taskIds: [ids[0]] },
      _meta: { 'io.modelcontextprotocol/subscriptionId': 'l' },
    })

    // A second client, one more stream with all that is wanted, and the first stream ends.
    other.send(
      requestText(
        '9',
        'subscriptions/listen',
        withTasksExtension(`{"notifications":{"taskIds":["${theirs}"]}}`),
      ),
    )
    const next = await asked(server, 'subscriptions/listen')
    expect(parsed(rawAt(next.params, 'notifications'))).toEqual({ taskIds: ['job-1', 'job-3'] })
    acknowledgeTasks(next, 'job-1', 'job-3')
    await other.notification('notifications/subscriptions/acknowledged')
    for (const own of ['job-0', 'job-2', 'job-1', 'job-3'])
      next.say(
        `{"jsonrpc":"2.0","method":"notifications/tasks","params":{${taskMembers(own, 'completed', ',"result":{"n":1.0}')},${streamMeta(next)}}}`,
      )
    next.say('{"jsonrpc":"2.0","method":"notifications/tasks","params":{"status":"completed"}}')
    next.say('{"jsonrpc":"2.0","method":"notifications/tasks"}')
    const first = await client.notification('notifications/tasks')
    expect(first).toContain('"result":{"n":1.0}')
    expect(parsed(rawAt(first, 'params'))).toMatchObject({
      taskId: ids[0],
      _meta: { 'io.modelcontextprotocol/subscriptionId': 'l' },
    })
    const second = await other.notification('notifications/tasks')
    expect(parsed(rawAt(second, 'params'))).toMatchObject({
      taskId: theirs,
      _meta: { 'io.modelcontextprotocol/subscriptionId': 9 },
    })
    expect([...client.lines.left, ...other.lines.left]).toEqual([])
  })

  test('needs the extension', async () => {
    await using server = modern(await scriptedStdio())
    await using gateway = await gatewayFor({ a: server })
    await using client = clientOf(gateway)
    const params = withEnvelope('{"notifications":{"taskIds":["x"]}}')
    const answer = await send(client, '1', 'subscriptions/listen', params)
    expect(answer).toContain('"code":-32021')
    expect(parsed(rawAt(answer, 'error', 'data', 'requiredCapabilities'))).toEqual({
      extensions: { [TASKS]: {} },
    })
  })

  test('continues to get updates after the link was opened again', async () => {
    await using server = modern(await scriptedStdio())
    await using gateway = await gatewayFor({ a: server })
    await using client = clientOf(gateway)
    const id = await made(client, server, 'job')
    client.send(
      requestText('1', 'subscriptions/listen', withTasksExtension(`{"notifications":{"taskIds":["${id}"]}}`)),
    )
    acknowledgeTasks(await asked(server, 'subscriptions/listen'), 'job')
    await client.notification('notifications/subscriptions/acknowledged')
    server.hangUp()
    const again = await asked(server, 'subscriptions/listen')
    expect(parsed(rawAt(again.params, 'notifications'))).toEqual({ taskIds: ['job'] })
    acknowledgeTasks(again, 'job')
    again.say(`{"jsonrpc":"2.0","method":"notifications/tasks","params":{${taskMembers('job', 'working')}}}`)
    expect(parsed(rawAt(await client.notification('notifications/tasks'), 'params', 'taskId'))).toBe(id)
  })
})

test('what a modern client does not declare is not done without its knowledge', async () => {
  await using server = modern(await scriptedStdio())
  await using gateway = await gatewayFor({ a: server })
  await using client = clientOf(gateway)
  const answer = send(client, '1', 'tools/call', withEnvelope('{"name":"a__t","task":{}}'))
  const call = await server.called('t')
  // A member that means nothing in this revision.
  expect(rawAt(call.params, 'task')).toBeUndefined()
  const error = `"error":{"code":-32021,"message":"Needs tasks","data":{"requiredCapabilities":{"extensions":{"${TASKS}":{}}}}}`
  call.answer(error)
  expect(await answer).toContain(error)
})

describe('a legacy client whose tool runs as a task', () => {
  const NEEDS = `"error":{"code":-32021,"message":"Needs tasks","data":{"requiredCapabilities":{"extensions":{"${TASKS}":{}}}}}`

  async function refusedThenMade(server: ScriptedServer): Promise<void> {
    const refused = await server.called('t')
    expect(declared(refused)).toEqual({})
    refused.answer(NEEDS)
    const call = await server.called('t')
    expect(declared(call)).toEqual({ extensions: { [TASKS]: {} } })
    call.answer(`"result":{"resultType":"task",${taskMembers('job', 'working')}}`)
  }

  test('gets the result, in the words of the server', async () => {
    await using server = modern(await scriptedHttp())
    await using gateway = await gatewayFor({ a: server })
    await using client = await StdioClient.legacy(gateway.gateway)
    const answer = client.request('1', 'tools/call', '{"name":"a__t"}')
    await refusedThenMade(server)
    const first = await asked(server, 'tasks/get')
    expect(rawAt(first.params, 'taskId')).toBe('"job"')
    first.answer(`"result":{"resultType":"complete",${taskMembers('job', 'working')}}`)
    const second = await asked(server, 'tasks/get')
    second.answer(
      `"result":{"resultType":"complete",${taskMembers('job', 'completed', ',"result":{"resultType":"complete","content":[],"n":1.0}')}}`,
    )
    expect(await answer).toBe('{"jsonrpc":"2.0","id":1,"result":{"content":[],"n":1.0}}')
    expect(server.messages.all.some(text => text.includes('tasks/cancel'))).toBe(false)
  })

  test.each([
    {
      ends: 'failed',
      more: ',"error":{"code":-32603,"message":"broken","data":1.0}',
      says: '"error":{"code":-32603,"message":"broken","data":1.0}',
    },
    {
      ends: 'cancelled',
      more: ',"statusMessage":"no time"',
      says: 'Server \\"a\\" cancelled the task: no time.',
    },
    { ends: 'completed', more: '', says: 'ended its task without a result or an error' },
  ])('hears when it has $ends', async ({ ends, more, says }) => {
    await using server = modern(await scriptedHttp())
    await using gateway = await gatewayFor({ a: server })
    await using client = await StdioClient.legacy(gateway.gateway)
    const answer = client.request('1', 'tools/call', '{"name":"a__t"}')
    await refusedThenMade(server)
    const look = await asked(server, 'tasks/get')
    look.answer(`"result":{"resultType":"complete",${taskMembers('job', ends, more)}}`)
    expect(await answer).toContain(says)
  })

  test('receives an error when the server has forgotten it', async () => {
    await using server = modern(await scriptedHttp())
    await using gateway = await gatewayFor({ a: server })
    await using client = await StdioClient.legacy(gateway.gateway)
    const answer = client.request('1', 'tools/call', '{"name":"a__t"}')
    await refusedThenMade(server)
    ;(await asked(server, 'tasks/get')).answer('"error":{"code":-32602,"message":"No such task"}')
    expect(await answer).toContain('"error":{"code":-32602,"message":"No such task"}')
  })

  test('cancels it with its call', async () => {
    await using server = modern(await scriptedHttp())
    await using gateway = await gatewayFor({ a: server })
    await using client = await StdioClient.legacy(gateway.gateway)
    client.send(requestText('1', 'tools/call', '{"name":"a__t"}'))
    await refusedThenMade(server)
    await asked(server, 'tasks/get')
    client.send('{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":1}}')
    const cancel = await asked(server, 'tasks/cancel')
    expect(rawAt(cancel.params, 'taskId')).toBe('"job"')
    expect(declared(cancel)).toEqual({ extensions: { [TASKS]: {} } })
    cancel.answer('"result":{"resultType":"complete"}')
  })

  test('answers what the task asks, once', async () => {
    await using server = modern(await scriptedHttp())
    await using gateway = await gatewayFor({ a: server })
    await using client = await StdioClient.legacy(gateway.gateway, { capabilities: '{"elicitation":{}}' })
    const answer = client.request('"c"', 'tools/call', '{"name":"a__t"}')
    ;(await server.called('t')).answer(NEEDS)
    ;(await server.called('t')).answer(`"result":{"resultType":"task",${taskMembers('job', 'working')}}`)
    const form =
      '"sure":{"method":"elicitation/create","params":{"message":"Sure?","requestedSchema":{"type":"object","properties":{}}}}'
    const waiting = `"result":{"resultType":"complete",${taskMembers('job', 'input_required', `,"inputRequests":{${form}}`)}}`
    ;(await asked(server, 'tasks/get')).answer(waiting)
    const question = await client.lines.take(line => line.includes('elicitation/create'), 'the question')
    expect(parsed(rawAt(question, 'params', 'message'))).toBe('[a] Sure?')
    client.send(
      `{"jsonrpc":"2.0","id":${rawAt(question, 'id')},"result":{"action":"accept","content":{"n":1.0}}}`,
    )
    const update = await asked(server, 'tasks/update')
    expect(rawAt(update.params, 'inputResponses')).toBe('{"sure":{"action":"accept","content":{"n":1.0}}}')
    update.answer('"result":{"resultType":"complete"}')
    // A server may take a moment to see that it has been answered.
    ;(await asked(server, 'tasks/get')).answer(waiting)
    ;(await asked(server, 'tasks/get')).answer(
      `"result":{"resultType":"complete",${taskMembers('job', 'completed', ',"result":{"content":[]}')}}`,
    )
    expect(await answer).toContain('"result":{"content":[]}')
    expect(client.lines.all.filter(line => line.includes('elicitation/create'))).toHaveLength(1)
  })

  test('gets the same of a server written with the official SDK', async () => {
    const server = { command: process.execPath, args: [FIXTURE, '--era', 'modern'], prefix: false }
    await using gateway = await startGateway({ mcpServers: { server } })
    await gateway.gateway.warmUp()
    await using client = await StdioClient.legacy(gateway.gateway, { capabilities: '{"elicitation":{}}' })
    const answered = async (id: string, name: string, content: string): Promise<string> => {
      const answer = client.request(id, 'tools/call', `{"name":"${name}","arguments":{}}`)
      const question = await client.lines.take(line => line.includes('elicitation/create'), 'the question')
      client.send(
        `{"jsonrpc":"2.0","id":${rawAt(question, 'id')},"result":{"action":"accept","content":${content}}}`,
      )
      return await answer
    }
    expect(await client.request('1', 'tools/call', '{"name":"failing_job","arguments":{}}')).toContain(
      'This job intentionally fails',
    )
    expect(await client.request('2', 'tools/call', '{"name":"protocol_error_job","arguments":{}}')).toContain(
      '"error":{"code":-32603,"message":"This job intentionally breaks"}',
    )
    // It asks before there is a task, so the rounds of a call and those of its task follow each other.
    expect(await answered('3', 'test_tool_with_task', '{"name":"Ada"}')).toContain('Hello, Ada!')
  })
})
