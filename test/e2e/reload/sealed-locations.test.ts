import { expect, test } from 'vitest'
import { rawAt } from '../../../src/protocol/json-text.ts'
import { createMemoryStore } from '../../../src/state/memory.ts'
import { startGateway, type TestGateway } from '../../helpers/gateway.ts'
import { reload } from '../../helpers/reload.ts'
import { servingTasks, taskMembers, withTasksExtension } from '../../helpers/modern-tasks.ts'
import { scriptedHttp, type ScriptedServer } from '../../helpers/scripted-servers.ts'
import { unclosed } from '../../helpers/unclosed-store.ts'
import { requestText, StdioClient } from '../../helpers/wire-clients.ts'

/** Task ids and states that a client holds when another server has the name of the one that made them. */

const GONE = /"code":-32602,"message":"Unknown task/
const ROUND =
  '{"resultType":"input_required","inputRequests":{"q":{"method":"elicitation/create","params":{"message":"?","requestedSchema":{"type":"object","properties":{}}}}},"requestState":"of '

const handle = (status: string, more = ''): string => taskMembers('task-1', status, more)

/** A modern server whose only task is `task-1`, as it is at every other server of its kind. */
async function numbering(name: string): Promise<ScriptedServer> {
  const server = servingTasks(await scriptedHttp(), 't')
  server.results.set('tools/call', `{"resultType":"task",${handle('working')}}`)
  server.results.set(
    'tasks/get',
    `{"resultType":"complete",${handle('completed', `,"result":{"content":[{"type":"text","text":"result of ${name}"}]}`)}}`,
  )
  return server
}

const heard = ({ messages }: ScriptedServer, method: string): string[] =>
  messages.all.filter(text => rawAt(text, 'method') === `"${method}"`)

/** A modern client that can be asked and knows tasks. */
function clientOf({ gateway }: TestGateway) {
  const client = new StdioClient(gateway, true)
  let last = 0
  const send = (method: string, params: string): string => {
    const id = `"${++last}"`
    const capable = withTasksExtension(params, '"elicitation":{"form":{}},')
    client.send(requestText(id, method, capable))
    return id
  }
  const ask = async (method: string, params: string): Promise<string> =>
    await client.answer(send(method, params))
  return {
    client,
    send,
    ask,
    /** Id of a task that it has made. */
    made: async (): Promise<string> =>
      rawAt(await ask('tools/call', '{"name":"up__t"}'), 'result', 'taskId') ?? 'no task',
    get: (id: string): Promise<string> => ask('tasks/get', `{"taskId":${id}}`),
    /** State of a call that was asked something. */
    asked: async (): Promise<string> =>
      rawAt(await ask('tools/call', '{"name":"up__t"}'), 'result', 'requestState') ?? 'no state',
    retry: (state: string): Promise<string> =>
      ask(
        'tools/call',
        `{"name":"up__t","inputResponses":{"q":{"action":"accept","content":{}}},"requestState":${state}}`,
      ),
    [Symbol.asyncDispose]: () => client[Symbol.asyncDispose](),
  }
}

const up = (entry: object): Record<string, unknown> => ({ mcpServers: { up: entry } })

async function gatewayFor(file: Record<string, unknown>): Promise<TestGateway> {
  const running = await startGateway(file, { listen: false })
  await running.gateway.warmUp()
  return running
}

test('a task of a server whose URL a reload changes is unknown, for requests and for listeners', async () => {
  await using a = await numbering('a')
  await using b = await numbering('b')
  await using running = await gatewayFor(up(a.entry))
  await using one = clientOf(running)
  const id = await one.made()
  expect(await one.get(id)).toContain('result of a')

  await reload(running.gateway, up(b.entry))
  expect(await one.get(id)).toMatch(GONE)
  expect(await one.ask('tasks/cancel', `{"taskId":${id}}`)).toMatch(GONE)
  expect(await one.ask('tasks/update', `{"taskId":${id},"inputResponses":{}}`)).toMatch(GONE)
  one.send('subscriptions/listen', `{"notifications":{"taskIds":[${id}]}}`)
  const acknowledged = await one.client.notification('notifications/subscriptions/acknowledged')
  expect(rawAt(acknowledged, 'params', 'notifications')).toBe('{}')
  for (const method of ['tasks/get', 'tasks/cancel', 'tasks/update', 'subscriptions/listen'])
    expect(heard(b, method)).toEqual([])
  // Its own tasks are there.
  expect(await one.get(await one.made())).toContain('result of b')
})

test('a task of a removed server is unknown at another one that gets its name, and known when it comes back', async () => {
  await using a = await numbering('a')
  await using b = await numbering('b')
  await using running = await gatewayFor(up(a.entry))
  await using one = clientOf(running)
  const id = await one.made()
  await reload(running.gateway, { mcpServers: { other: a.entry } })
  expect(await one.get(id)).toMatch(GONE)
  await reload(running.gateway, up(b.entry))
  expect(await one.get(id)).toMatch(GONE)
  expect(heard(b, 'tasks/get')).toEqual([])
  await reload(running.gateway, up(a.entry))
  expect(await one.get(id)).toContain('result of a')
})

test('the state of a server whose URL a reload changes is refused, and does not reach the other server', async () => {
  await using a = await numbering('a')
  await using b = await numbering('b')
  for (const [server, name] of [
    [a, 'a'],
    [b, 'b'],
  ] as const)
    server.results.set('tools/call', `${ROUND}${name}"}`)
  await using running = await gatewayFor(up(a.entry))
  await using one = clientOf(running)
  const state = await one.asked()
  await reload(running.gateway, up(b.entry))
  expect(await one.retry(state)).toMatch(
    /-32602.*belongs to a server that is not there any more: \\"up\\" is at another location/,
  )
  expect(heard(b, 'tools/call')).toEqual([])
  await one.retry(await one.asked())
  expect(heard(b, 'tools/call').map(text => rawAt(text, 'params', 'requestState'))).toEqual([
    undefined,
    '"of b"',
  ])
})

test('a reload of a time limit or of a token keeps tasks and states', async () => {
  await using a = await numbering('a')
  await using running = await gatewayFor(up({ ...a.entry, headers: { authorization: 'Bearer 1' } }))
  await using one = clientOf(running)
  const id = await one.made()
  a.results.set('tools/call', `${ROUND}a"}`)
  const state = await one.asked()
  await reload(running.gateway, up({ ...a.entry, headers: { authorization: 'Bearer 1' }, timeout: '41s' }))
  expect(await one.get(id)).toContain('result of a')
  await reload(running.gateway, up({ ...a.entry, headers: { authorization: 'Bearer 2' }, timeout: '41s' }))
  expect(await one.get(id)).toContain('result of a')
  await one.retry(state)
  expect(rawAt(heard(a, 'tools/call').at(-1) ?? '', 'params', 'requestState')).toBe('"of a"')
})

test('a task is unknown at a gateway with the same state and another server of the name', async () => {
  await using a = await numbering('a')
  await using b = await numbering('b')
  const state = createMemoryStore()
  const store = unclosed(state)
  const at = async <T>(server: ScriptedServer, use: (one: ReturnType<typeof clientOf>) => Promise<T>) => {
    await using running = await startGateway(up(server.entry), { store, listen: false })
    await running.gateway.warmUp()
    await using one = clientOf(running)
    return await use(one)
  }
  const id = await at(a, one => one.made())
  expect(await at(b, one => one.get(id))).toMatch(GONE)
  expect(heard(b, 'tasks/get')).toEqual([])
  expect(await at(a, one => one.get(id))).toContain('result of a')
  await state.close()
})

test('a task stays at its replica, and is unknown once that replica is removed', async () => {
  await using a = await numbering('a')
  await using b = await numbering('b')
  const replicas = [
    { ...a.entry, name: 'one' },
    { ...b.entry, name: 'two', weight: 0 },
  ]
  await using running = await gatewayFor(up({ replicas }))
  await using one = clientOf(running)
  const id = await one.made()
  // The other one gets every new call.
  const others = [
    { ...replicas[0], weight: 0 },
    { ...b.entry, name: 'two' },
  ]
  await reload(running.gateway, up({ replicas: others }))
  expect(await one.get(id)).not.toContain('result of b')
  one.send('subscriptions/listen', `{"notifications":{"taskIds":[${id}]}}`)
  const stand = await a.requests.take(({ method }) => method === 'subscriptions/listen', 'the stream')
  expect(stand.params).toContain('"task-1"')
  await reload(running.gateway, up({ replicas: [others[1]] }))
  expect(await one.get(id)).toMatch(GONE)
  expect(heard(b, 'tasks/get')).toEqual([])
  expect(heard(b, 'subscriptions/listen')).toEqual([])
})

test('a task that the gateway follows for its client ends with an error when its server is replaced', async () => {
  await using a = await numbering('a')
  await using b = await numbering('b')
  a.results.set('tasks/get', `{"resultType":"complete",${handle('working')}}`)
  await using running = await gatewayFor(up(a.entry))
  await using client = await StdioClient.legacy(running.gateway)
  client.send(requestText('1', 'tools/call', '{"name":"up__t"}'))
  await a.messages.take(text => text.includes('"tasks/get"'), 'a look at the task')
  await reload(running.gateway, up(b.entry))
  expect(await client.answer('1')).toMatch(/is at another location since a reload/)
  expect(heard(b, 'tasks/get')).toEqual([])
})
