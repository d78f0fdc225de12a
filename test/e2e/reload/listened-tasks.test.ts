import { expect, test } from 'vitest'
import { rawAt } from '../../../src/protocol/json-text.ts'
import { startGateway, type TestGateway } from '../../helpers/gateway.ts'
import {
  acknowledgeTasks,
  servingTasks,
  streamMeta,
  taskMembers,
  withTasksExtension,
} from '../../helpers/modern-tasks.ts'
import { reload } from '../../helpers/reload.ts'
import {
  asked,
  scriptedHttp,
  type ScriptedRequest,
  type ScriptedServer,
} from '../../helpers/scripted-servers.ts'
import { requestText, StdioClient } from '../../helpers/wire-clients.ts'

/** Clients that listen to a modern task while a reload replaces the links of its server. */

async function tasksServer() {
  const server = servingTasks(await scriptedHttp(), 't')
  server.results.set('tools/call', `{"resultType":"task",${taskMembers('job', 'working')}}`)
  return server
}

/** A configuration with a token for the server `a`. */
const withToken = ({ entry }: ScriptedServer, token: string, more = {}): Record<string, unknown> => ({
  mcpServers: { a: { ...entry, headers: { authorization: token } } },
  ...more,
})

async function gatewayFor(server: ScriptedServer): Promise<TestGateway> {
  const running = await startGateway(withToken(server, '1'), { listen: false })
  await running.gateway.warmUp()
  return running
}

/** A modern client that has made the task and wants to hear of it, and the stream to the server that names it. */
async function listening({ gateway }: TestGateway, server: ScriptedServer) {
  const client = new StdioClient(gateway, true)
  client.send(requestText('"make"', 'tools/call', withTasksExtension('{"name":"a__t"}')))
  const id = rawAt(await client.answer('"make"'), 'result', 'taskId') ?? 'no task'
  const params = withTasksExtension(`{"notifications":{"taskIds":[${id}]}}`)
  client.send(requestText('"listen"', 'subscriptions/listen', params))
  const stream = await streamTo(server)
  return { client, id, stream, [Symbol.asyncDispose]: () => client[Symbol.asyncDispose]() }
}

/** The next stream that names the task. */
const streamTo = (server: ScriptedServer): Promise<ScriptedRequest> =>
  server.requests.take(
    ({ method, params }) => method === 'subscriptions/listen' && params.includes('"job"'),
    'a stream',
  )

const done = (stream: ScriptedRequest): string =>
  `{"jsonrpc":"2.0","method":"notifications/tasks","params":{${taskMembers('job', 'completed', ',"result":{"said":1}')},${streamMeta(stream)}}}`

const acknowledgement = 'notifications/subscriptions/acknowledged'

const topicsOf = ({ gateway }: TestGateway): number =>
  (gateway as unknown as { runtime: { taskListeners: { size: number } } }).runtime.taskListeners.size

test('a task is listened to over the new link of its server, and the old link ends', async () => {
  await using server = await tasksServer()
  await using running = await gatewayFor(server)
  await using one = await listening(running, server)
  acknowledgeTasks(one.stream, 'job')
  await one.client.notification(acknowledgement)

  await reload(running.gateway, withToken(server, '2'))
  const next = await streamTo(server)
  acknowledgeTasks(next, 'job')
  // Long before `gateway.drainTimeout`.
  await one.stream.gone
  next.say(done(next))
  const told = await one.client.notification('notifications/tasks')
  expect(rawAt(told, 'params', 'taskId')).toBe(one.id)
  expect(rawAt(told, 'params', 'result')).toBe('{"said":1}')
  expect(topicsOf(running)).toBe(0)
})

test('a client that a server has not yet promised reports hears of its task over the new link', async () => {
  await using server = await tasksServer()
  await using running = await gatewayFor(server)
  await using one = await listening(running, server)
  await reload(running.gateway, withToken(server, '2'))
  acknowledgeTasks(one.stream, 'job')
  // The link is opened with the task, and asked once more for this client.
  acknowledgeTasks(await streamTo(server), 'job')
  const next = await streamTo(server)
  acknowledgeTasks(next, 'job')
  const told = await one.client.notification(acknowledgement)
  expect(rawAt(told, 'params', 'notifications')).toBe(`{"taskIds":[${one.id}]}`)
  await one.stream.gone
  next.say(done(next))
  await one.client.notification('notifications/tasks')
})

test('a listened task of a tool that the same reload denies is cancelled over the new link', async () => {
  await using server = await tasksServer()
  await using running = await gatewayFor(server)
  await using one = await listening(running, server)
  acknowledgeTasks(one.stream, 'job')
  await one.client.notification(acknowledgement)
  await reload(running.gateway, withToken(server, '2', { gateway: { policy: { deny: ['a/t'] } } }))
  expect((await asked(server, 'tasks/cancel')).params).toContain('"taskId":"job"')
  expect(topicsOf(running)).toBe(0)
})

test('nothing is heard of a task of a server that a reload moves', async () => {
  await using server = await tasksServer()
  await using other = await tasksServer()
  await using running = await gatewayFor(server)
  await using one = await listening(running, server)
  acknowledgeTasks(one.stream, 'job')
  await one.client.notification(acknowledgement)
  await reload(running.gateway, withToken(other, '1'))
  await one.stream.gone
  expect(topicsOf(running)).toBe(0)
  expect(other.messages.all.filter(text => text.includes('"job"'))).toEqual([])
})
