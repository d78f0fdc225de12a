import { Client } from '@modelcontextprotocol/sdk/client/index.js'
import { StreamableHTTPClientTransport } from '@modelcontextprotocol/sdk/client/streamableHttp.js'
import { CallToolResultSchema, ElicitRequestSchema } from '@modelcontextprotocol/sdk/types.js'
import { describe, expect, test, vi } from 'vitest'
import { rawAt } from '../../src/protocol/json-text.ts'
import { startGateway, type TestGateway } from '../helpers/gateway.ts'
import { everything } from '../helpers/real-servers.ts'
import {
  asked,
  scriptedHttp,
  scriptedStdio,
  toolText,
  type ScriptedServer,
} from '../helpers/scripted-servers.ts'
import { LegacySession, requestText, StdioClient, type WireClient } from '../helpers/wire-clients.ts'

/** Tasks of revision 2025-11-25, made by legacy clients at legacy servers. */

const TASKS = '"tasks":{"list":{},"cancel":{},"requests":{"tools":{"call":{}}}}'
const RELATED = 'io.modelcontextprotocol/related-task'

const runningTasks = <T extends ScriptedServer>(server: T, capabilities = TASKS): T => {
  server.results.set(
    'initialize',
    `{"protocolVersion":"2025-11-25","capabilities":{"tools":{},"logging":{},${capabilities}},"serverInfo":{"name":"scripted","version":"1"}}`,
  )
  server.results.set(
    'tools/list',
    `{"tools":[${toolText('t', ',"execution":{"taskSupport":"optional"}')},${toolText('must', ',"execution":{"taskSupport":"required"}')}]}`,
  )
  return server
}

const taskText = (id: string, status = 'working', more = ''): string =>
  `{"taskId":"${id}","status":"${status}","createdAt":"2026-01-01T00:00:00Z","lastUpdatedAt":"2026-01-01T00:00:00Z","ttl":60000${more}}`
const related = (id: string): string => `"_meta":{"${RELATED}":{"taskId":"${id}"}}`
const parsed = (text: string | undefined): unknown => (text === undefined ? undefined : JSON.parse(text))
/** The id under which a client knows the task that its call was answered with. */
const idIn = (answer: string): string => parsed(rawAt(answer, 'result', 'task', 'taskId')) as string

async function gatewayFor(
  servers: Readonly<Record<string, ScriptedServer>>,
  more: Readonly<Record<string, unknown>> = {},
): Promise<TestGateway> {
  const mcpServers = Object.fromEntries(
    Object.entries(servers).map(([name, { entry }]) => [name, { ...entry, ...more }]),
  )
  const gateway = await startGateway({ mcpServers })
  await gateway.gateway.warmUp()
  return gateway
}

/** Has a client make a task; resolves with the id it got. */
async function made(
  client: WireClient,
  server: ScriptedServer,
  own: string,
  { id = '"make"', tool = 'a__t', more = '' } = {},
): Promise<string> {
  const answer = client.request(id, 'tools/call', `{"name":"${tool}","task":{"ttl":60000}${more}}`)
  const call = await server.called(tool.replace(/.*__/, ''))
  call.answer(`"result":{"task":${taskText(own)}}`)
  return idIn(await answer)
}

describe('what clients are offered', () => {
  test('is tasks in the one revision that has them', async () => {
    await using server = runningTasks(await scriptedStdio())
    await using gateway = await gatewayFor({ a: server })
    const offered = async (version: string): Promise<string | undefined> => {
      const client = new StdioClient(gateway.gateway, false)
      const params = `{"protocolVersion":"${version}","capabilities":{},"clientInfo":{"name":"c","version":"1"}}`
      const answer = await client.request('1', 'initialize', params)
      await client[Symbol.asyncDispose]()
      return rawAt(answer, 'result', 'capabilities', 'tasks')
    }
    expect(parsed(await offered('2025-11-25'))).toEqual({
      list: {},
      cancel: {},
      requests: { tools: { call: {} } },
    })
    expect(await offered('2025-06-18')).toBeUndefined()
  })

  test('is not tasks where no server runs tools as tasks', async () => {
    await using server = runningTasks(await scriptedStdio(), '"tasks":{"list":{}}')
    await using gateway = await gatewayFor({ a: server })
    await using client = await StdioClient.legacy(gateway.gateway)
    const answer = client.request('1', 'tools/call', '{"name":"a__t","task":{}}')
    // The server never said that it understands this wish.
    const call = await server.called('t')
    expect(rawAt(call.params, 'task')).toBeUndefined()
    call.answer('"result":{"content":[]}')
    expect(await answer).toContain('"result":{"content":[]}')
  })

  test('older clients can neither wish for a task nor ask for one', async () => {
    await using server = runningTasks(await scriptedStdio())
    await using gateway = await gatewayFor({ a: server })
    await using client = await StdioClient.legacy(gateway.gateway, { version: '2025-06-18' })
    const answer = client.request('1', 'tools/call', '{"name":"a__t","task":{}}')
    const call = await server.called('t')
    expect(rawAt(call.params, 'task')).toBeUndefined()
    call.answer('"result":{"content":[]}')
    await answer
    for (const method of ['tasks/list', 'tasks/get', 'tasks/result', 'tasks/update'])
      expect(await client.request('2', method, '{"taskId":"x"}')).toContain('"code":-32601')
  })
})

describe('a task', () => {
  test('is made, looked at, fetched and cancelled under an id of the gateway', async () => {
    await using server = runningTasks(await scriptedStdio())
    await using gateway = await gatewayFor({ a: server })
    await using client = await StdioClient.legacy(gateway.gateway)
    const creation = client.request('1', 'tools/call', '{"name":"a__must","task":{"ttl":60000,"x":1.0}}')
    const call = await server.called('must')
    expect(rawAt(call.params, 'task')).toBe('{"ttl":60000,"x":1.0}')
    call.answer(`"result":{"task":${taskText('job-7', 'working', ',"n":1.0')},${related('job-7')}}`)
    const created = await creation
    const id = idIn(created)
    expect(created).not.toContain('job-7')
    expect(created).toContain('"n":1.0')
    expect(parsed(rawAt(created, 'result', '_meta', RELATED))).toEqual({ taskId: id })

    const looking = client.request('2', 'tasks/get', `{"taskId":"${id}"}`)
    const get = await asked(server, 'tasks/get')
    expect(rawAt(get.params, 'taskId')).toBe('"job-7"')
    get.answer(`"result":${taskText('job-7', 'working', ',"n":2.0')}`)
    const look = await looking
    expect(parsed(rawAt(look, 'result', 'taskId'))).toBe(id)
    expect(look).toContain('"n":2.0')

    const waiting = client.request('3', 'tasks/result', `{"taskId":"${id}"}`)
    const result = await asked(server, 'tasks/result')
    expect(rawAt(result.params, 'taskId')).toBe('"job-7"')
    result.answer(`"result":{"content":[],"n":3.0,${related('job-7')}}`)
    const final = await waiting
    expect(final).toContain('"n":3.0')
    expect(parsed(rawAt(final, 'result', '_meta', RELATED))).toEqual({ taskId: id })

    const cancelling = client.request('4', 'tasks/cancel', `{"taskId":"${id}"}`)
    const cancel = await asked(server, 'tasks/cancel')
    expect(rawAt(cancel.params, 'taskId')).toBe('"job-7"')
    cancel.answer('"error":{"code":-32602,"message":"It has ended."}')
    expect(await cancelling).toContain('"error":{"code":-32602,"message":"It has ended."}')
  })

  test('is not made where the server answers at once', async () => {
    await using server = runningTasks(await scriptedStdio())
    await using gateway = await gatewayFor({ a: server })
    await using client = await StdioClient.legacy(gateway.gateway)
    const answer = client.request('1', 'tools/call', '{"name":"a__t","task":{}}')
    ;(await server.called('t')).answer('"result":{"content":[],"n":1.0}')
    expect(await answer).toBe('{"jsonrpc":"2.0","id":1,"result":{"content":[],"n":1.0}}')
  })

  test('tells of its status and its progress after the call that made it', async () => {
    await using server = runningTasks(await scriptedStdio())
    await using gateway = await gatewayFor({ a: server })
    await using client = await StdioClient.legacy(gateway.gateway)
    const creation = client.request(
      '1',
      'tools/call',
      '{"name":"a__t","task":{},"_meta":{"progressToken":"p"}}',
    )
    const call = await server.called('t')
    const token = rawAt(call.params, '_meta', 'progressToken')
    const progress = (n: number): string =>
      `{"jsonrpc":"2.0","method":"notifications/progress","params":{"progressToken":${token},"progress":${n},${related('job')}}}`
    // In one piece, so that the gateway reads what is about the task right after the answer.
    call.say(
      [
        `{"jsonrpc":"2.0","id":${call.id},"result":{"task":${taskText('job')}}}`,
        `{"jsonrpc":"2.0","method":"notifications/tasks/status","params":${taskText('job', 'working', ',"statusMessage":"on it"')}}`,
        progress(1),
      ].join('\n'),
    )
    const id = idIn(await creation)
    const status = await client.notification('notifications/tasks/status')
    expect(parsed(rawAt(status, 'params'))).toMatchObject({ taskId: id, statusMessage: 'on it' })
    const first = parsed(rawAt(await client.notification('notifications/progress'), 'params'))
    expect(first).toEqual({ progressToken: 'p', progress: 1, _meta: { [RELATED]: { taskId: id } } })
    // The answer came before everything about the task.
    expect(client.lines.all.findIndex(line => line.includes('"id":1,'))).toBeLessThan(
      client.lines.all.indexOf(status),
    )
    server.say(progress(2))
    expect(parsed(rawAt(await client.notification('notifications/progress'), 'params', 'progress'))).toBe(2)
  })

  test.each(['while nothing else is open', 'on the stream of its result'])(
    'asks its client, %s',
    async where => {
      await using server = runningTasks(await scriptedHttp())
      await using gateway = await gatewayFor({ a: server })
      await using client = await LegacySession.open(gateway.origin, { capabilities: '{"elicitation":{}}' })
      const standalone = await client.listen()
      const id = await made(client, server, 'job')
      const question = `{"jsonrpc":"2.0","id":"q","method":"elicitation/create","params":{"message":"Sure?","requestedSchema":{"type":"object","properties":{}},${related('job')}}}`
      let stream = standalone
      if (where === 'on the stream of its result') {
        const posting = client.post(requestText('2', 'tasks/result', `{"taskId":"${id}"}`))
        ;(await asked(server, 'tasks/result')).say(question)
        stream = await posting
      } else server.say(question)
      const { data } = await stream.events.take(event => event.data.includes('elicitation/create'))
      expect(parsed(rawAt(data, 'params'))).toMatchObject({
        message: '[a] Sure?',
        _meta: { [RELATED]: { taskId: id } },
      })
      await client.post(
        `{"jsonrpc":"2.0","id":${rawAt(data, 'id')},"result":{"action":"accept","content":{"n":1},${related(id)}}}`,
      )
      const answer = await server.messages.take(text => rawAt(text, 'id') === '"q"', 'the answer')
      expect(parsed(rawAt(answer, 'result'))).toEqual({
        action: 'accept',
        content: { n: 1 },
        _meta: { [RELATED]: { taskId: 'job' } },
      })
    },
  )

  test('is waited for as long as its server is at it', async () => {
    await using server = runningTasks(await scriptedStdio())
    await using gateway = await gatewayFor({ a: server }, { timeout: '1s' })
    await using client = await StdioClient.legacy(gateway.gateway)
    const id = await made(client, server, 'job')
    const waiting = client.request('2', 'tasks/result', `{"taskId":"${id}"}`)
    const result = await asked(server, 'tasks/result')
    // Its time has passed twice, and each time the server says that the task goes on.
    for (let round = 0; round < 2; round++)
      (await asked(server, 'tasks/get')).answer(`"result":${taskText('job')}`)
    result.answer('"result":{"content":[]}')
    expect(await waiting).toContain('"content":[]')

    const second = client.request('3', 'tasks/result', `{"taskId":"${id}"}`)
    await asked(server, 'tasks/result')
    ;(await asked(server, 'tasks/get')).answer('"error":{"code":-32602,"message":"No such task"}')
    expect(await second).toContain('did not answer tasks/result within 1 s')
  })
})

describe('the owner of a task', () => {
  test('no other client can look at it, and an id that was not given out is unknown', async () => {
    await using server = runningTasks(await scriptedStdio())
    await using gateway = await gatewayFor({ a: server })
    await using client = await LegacySession.open(gateway.origin)
    await using other = await LegacySession.open(gateway.origin)
    const id = await made(client, server, 'job')
    const tampered = id.slice(0, -4) + (id.endsWith('AAAA') ? 'BBBB' : 'AAAA')
    for (const method of ['tasks/get', 'tasks/result', 'tasks/cancel']) {
      expect(await other.request('1', method, `{"taskId":"${id}"}`)).toContain('"code":-32602')
      for (const wrong of [tampered, 'job', ''])
        expect(await client.request('2', method, `{"taskId":"${wrong}"}`)).toContain('"code":-32602')
      expect(await client.request('3', method, '{"taskId":7}')).toContain('"code":-32602')
      expect(await client.request('4', method, '{}')).toContain('"code":-32602')
    }
    // Another endpoint does not lead to a server it does not show.
    expect(server.requests.left).toEqual([])
    const looking = client.request('5', 'tasks/get', `{"taskId":"${id}"}`)
    ;(await asked(server, 'tasks/get')).answer(`"result":${taskText('job')}`)
    expect(parsed(rawAt(await looking, 'result', 'taskId'))).toBe(id)
  })

  test('an endpoint of another server does not know it', async () => {
    await using server = runningTasks(await scriptedStdio())
    await using elsewhere = runningTasks(await scriptedStdio())
    await using gateway = await gatewayFor({ a: server, b: elsewhere })
    await using client = await LegacySession.open(gateway.origin)
    await using narrow = await LegacySession.open(gateway.origin, { path: '/mcp/b' })
    const id = await made(client, server, 'job')
    expect(await narrow.request('1', 'tasks/get', `{"taskId":"${id}"}`)).toContain('"code":-32602')
  })

  test('a change of status reaches the session that has the task, and no other', async () => {
    await using server = runningTasks(await scriptedStdio())
    await using gateway = await gatewayFor({ a: server })
    await using one = await LegacySession.open(gateway.origin)
    await using two = await LegacySession.open(gateway.origin)
    const [first, second] = [await one.listen(), await two.listen()]
    const ids = [await made(one, server, 'job-1'), await made(two, server, 'job-2')]
    const status = (own: string): string =>
      `{"jsonrpc":"2.0","method":"notifications/tasks/status","params":${taskText(own, 'completed')}}`
    // While a call of the other session is the only one in flight.
    const call = two.request('9', 'tools/call', '{"name":"a__t"}')
    const open = await server.called('t')
    for (const own of ['job-0', 'job-1', 'job-2']) server.say(status(own))
    server.say('{"jsonrpc":"2.0","method":"notifications/tasks/status","params":{"status":"completed"}}')
    server.say('{"jsonrpc":"2.0","method":"notifications/tasks/status"}')
    const heard = await Promise.all([first.events.take(), second.events.take()])
    expect(heard.map(({ data }) => parsed(rawAt(data, 'params', 'taskId')))).toEqual(ids)
    open.answer('"result":{"content":[]}')
    // The other session's call and stream carry nothing else.
    expect(await call).toContain('"result":{"content":[]}')
    expect([first.events.left, second.events.left]).toEqual([[], []])
  })

  test('a log record of an unknown task goes to no client', async () => {
    await using server = runningTasks(await scriptedStdio())
    await using gateway = await gatewayFor({ a: server })
    await using one = await LegacySession.open(gateway.origin)
    const stream = await one.listen()
    const id = await made(one, server, 'job')
    const log = (own: string): string =>
      `{"jsonrpc":"2.0","method":"notifications/message","params":{"level":"info","data":"${own}",${related(own)}}}`
    server.say(log('foreign'))
    server.say(log('job'))
    const { data } = await stream.events.take()
    expect(parsed(rawAt(data, 'params'))).toMatchObject({ data: 'job', _meta: { [RELATED]: { taskId: id } } })
  })

  test('a list has the tasks of the client at all servers, page by page, and no other', async () => {
    await using a = runningTasks(await scriptedStdio())
    await using b = runningTasks(await scriptedStdio())
    await using gateway = await gatewayFor({ a, b })
    await using client = await LegacySession.open(gateway.origin)
    await using other = await LegacySession.open(gateway.origin)
    await made(other, a, 'foreign')
    const ids: string[] = []
    for (let n = 0; n < 51; n++) ids.push(await made(client, a, `a-${n}`))
    ids.push(await made(client, b, 'b-1', { tool: 'b__t' }))
    a.results.set('tasks/get', taskText('a-0', 'completed', ',"n":1.0'))
    b.results.set('tasks/get', taskText('b-1', 'failed', `,${related('b-1')}`))
    const page = await client.request('1', 'tasks/list')
    const { tasks, nextCursor } = (JSON.parse(page) as { result: Listed }).result
    expect(tasks.map(({ taskId }) => taskId).slice(0, 1)).toEqual(ids.slice(0, 1))
    expect(tasks).toHaveLength(50)
    expect(tasks[0]?.status).toBe('completed')
    expect(page).toContain('"n":1.0')
    const rest = await client.request('2', 'tasks/list', `{"cursor":${JSON.stringify(nextCursor)}}`)
    const more = (JSON.parse(rest) as { result: Listed }).result
    // By the names that clients know, whatever their server calls them.
    expect(more.tasks.map(({ taskId }) => taskId)).toEqual(ids.slice(50))
    expect(more).not.toHaveProperty('nextCursor')
    expect(rest).not.toContain('_meta')
    for (const cursor of ['"x"', '7', '"dGFzayB4"'])
      expect(await client.request('3', 'tasks/list', `{"cursor":${cursor}}`)).toContain('"code":-32602')
    // Servers are asked for the tasks that were handed out, never for all they have.
    expect([...a.messages.all, ...b.messages.all].some(text => text.includes('tasks/list'))).toBe(false)
  })

  test('a call about a task names it as its server does, and no other', async () => {
    await using server = runningTasks(await scriptedStdio())
    await using gateway = await gatewayFor({ a: server })
    await using client = await StdioClient.legacy(gateway.gateway)
    const id = await made(client, server, 'job')
    const markOf = async (name: string): Promise<unknown> => {
      const answer = client.request('1', 'tools/call', `{"name":"a__t",${related(name)}}`)
      const call = await server.called('t')
      call.answer('"result":{"content":[]}')
      await answer
      return parsed(rawAt(call.params, '_meta', RELATED))
    }
    expect(await markOf(id)).toEqual({ taskId: 'job' })
    expect(await markOf('job')).toBeUndefined()
  })

  test('a session is not idle while it has a task to come back for', async () => {
    await using server = runningTasks(await scriptedStdio())
    await using gateway = await startGateway({
      mcpServers: { a: server.entry },
      gateway: { http: { port: 0, sessionIdle: '1s' } },
    })
    await gateway.gateway.warmUp()
    await using busy = await LegacySession.open(gateway.origin)
    const id = await made(busy, server, 'job')
    // Opened later, and gone earlier.
    await using idle = await LegacySession.open(gateway.origin)
    await vi.waitFor(() => expect(gateway.gateway.sessions).toBe(1), { timeout: 5000 })
    expect((await idle.post(requestText('1', 'ping', undefined))).status).toBe(404)
    const waiting = busy.request('2', 'tasks/result', `{"taskId":"${id}"}`)
    ;(await asked(server, 'tasks/result')).answer('"result":{"content":[]}')
    expect(await waiting).toContain('"content":[]')
  })

  test('a task that its server has forgotten leaves the list', async () => {
    await using server = runningTasks(await scriptedStdio())
    await using gateway = await gatewayFor({ a: server })
    await using client = await StdioClient.legacy(gateway.gateway)
    const id = await made(client, server, 'job')
    const listing = client.request('1', 'tasks/list')
    ;(await asked(server, 'tasks/get')).answer('"error":{"code":-32602,"message":"No such task"}')
    expect(rawAt(await listing, 'result', 'tasks')).toBe('[]')
    expect(await client.request('2', 'tasks/get', `{"taskId":"${id}"}`)).toContain('Unknown task')
  })

  test('a task ends with the process that runs it', async () => {
    await using server = runningTasks(await scriptedStdio())
    await using gateway = await gatewayFor({ a: server })
    await using client = await StdioClient.legacy(gateway.gateway)
    const id = await made(client, server, 'job')
    const waiting = client.request('1', 'tasks/result', `{"taskId":"${id}"}`)
    await asked(server, 'tasks/result')
    server.hangUp()
    expect(await waiting).toContain('"error"')
    expect(await client.request('2', 'tasks/get', `{"taskId":"${id}"}`)).toContain('"code":-32602')
    // The next process may use the same name for another's task.
    const again = client.request('3', 'tools/call', '{"name":"a__t"}')
    ;(await server.called('t')).answer('"result":{"content":[]}')
    await again
    expect(await client.request('4', 'tasks/get', `{"taskId":"${id}"}`)).toContain('"code":-32602')
  })
})

interface Listed {
  readonly tasks: { readonly taskId: string; readonly status: string }[]
  readonly nextCursor?: string
}

describe('the official client and a published server', () => {
  test('make a task that asks, and fetch its result', async () => {
    await using gateway = await startGateway({ mcpServers: { everything } })
    await gateway.gateway.warmUp()
    const client = new Client({ name: 'c', version: '1' }, { capabilities: { elicitation: {} } })
    const asked: unknown[] = []
    client.setRequestHandler(ElicitRequestSchema, request => {
      asked.push(request.params.message)
      return { action: 'accept', content: { interpretation: 'technical' } }
    })
    const transport = new StreamableHTTPClientTransport(new URL(`${gateway.origin}/mcp`))
    await client.connect(transport)
    try {
      const { tools } = await client.listTools()
      const name = 'everything__simulate-research-query'
      expect(tools.find(tool => tool.name === name)?.execution).toEqual({ taskSupport: 'optional' })
      const seen: string[] = []
      let result: { content: unknown } | undefined
      const args = { topic: 'python', ambiguous: true }
      for await (const message of client.experimental.tasks.callToolStream({ name, arguments: args })) {
        if (message.type === 'taskStatus' && seen.at(-1) !== message.task.status)
          seen.push(message.task.status)
        if (message.type === 'error') throw message.error
        if (message.type === 'result') result = CallToolResultSchema.parse(message.result)
      }
      expect(asked).toEqual([expect.stringMatching(/^\[everything\] The research query "python"/)])
      expect(seen[0]).toBe('working')
      expect(JSON.stringify(result)).toContain('Research Report: python')
      const list = await client.experimental.tasks.listTasks()
      expect(list.tasks.map(({ status }) => status)).toEqual(['completed'])
      // Without a wish for a task it is a call like any other.
      const plain = await client.callTool({ name, arguments: { topic: 'x' } })
      expect(JSON.stringify(plain.content)).toContain('Research Report: x')
    } finally {
      await transport.terminateSession()
      await client.close()
    }
  })
})
