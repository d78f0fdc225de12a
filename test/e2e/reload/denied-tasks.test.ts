import { expect, onTestFinished, test, vi } from 'vitest'
import { Audience } from '../../../src/gateway/audience.ts'
import { TASKS } from '../../../src/protocol/capabilities.ts'
import { rawAt } from '../../../src/protocol/json-text.ts'
import { startGateway } from '../../helpers/gateway.ts'
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
  scriptedStdio,
  toolText,
  type ScriptedServer,
} from '../../helpers/scripted-servers.ts'
import { LegacySession, requestText, StdioClient } from '../../helpers/wire-clients.ts'

/** Tasks of a server or of a tool that a reload denies to their clients. */

const DENIALS = [
  ['server', { gateway: { policy: { deny: ['a/*'] } } }],
  ['tool, of a server that the client still sees,', { gateway: { policy: { deny: ['a/t'] } } }],
] as const

const pause = (ms: number): Promise<void> => new Promise(resolve => setTimeout(resolve, ms))

const legacyTask = (more = ''): string =>
  `{"taskId":"job","status":"working","createdAt":"2026-01-01T00:00:00Z","lastUpdatedAt":"2026-01-01T00:00:00Z","ttl":60000${more}}`
const STATUS = `{"jsonrpc":"2.0","method":"notifications/tasks/status","params":${legacyTask(',"statusMessage":"secret"')}}`
const QUESTION =
  '{"jsonrpc":"2.0","id":77,"method":"elicitation/create","params":{"message":"Password?","requestedSchema":{"type":"object","properties":{}},"_meta":{"io.modelcontextprotocol/related-task":{"taskId":"job"}}}}'

/** A legacy session with its stream, and the task that it has made at the server `a`. */
async function legacyClient(origin: string, server: ScriptedServer) {
  const session = await LegacySession.open(origin, { capabilities: '{"elicitation":{}}' })
  const { events } = await session.listen()
  const answer = session.request('"make"', 'tools/call', '{"name":"a__t","task":{"ttl":60000}}')
  ;(await server.called('t')).answer(`"result":{"task":${legacyTask()}}`)
  const id = JSON.parse(rawAt(await answer, 'result', 'task', 'taskId') ?? '') as string
  return {
    session,
    id,
    heard: () => events.all.map(({ data }) => data).filter(data => data.includes('"method"')),
    [Symbol.asyncDispose]: () => session[Symbol.asyncDispose](),
  }
}

async function legacyServer() {
  const server = await scriptedHttp({ sessions: true })
  server.results.set(
    'initialize',
    '{"protocolVersion":"2025-11-25","capabilities":{"tools":{},"tasks":{"list":{},"cancel":{},"requests":{"tools":{"call":{}}}}},"serverInfo":{"name":"scripted","version":"1"}}',
  )
  server.results.set(
    'tools/list',
    `{"tools":[${toolText('t', ',"execution":{"taskSupport":"optional"}')},${toolText('other')}]}`,
  )
  return server
}

test.each(DENIALS)(
  'a legacy task of a %s that a reload denies is cancelled, and neither reports nor asks',
  async (_, denied) => {
    await using server = await legacyServer()
    await using running = await startGateway({ mcpServers: { a: server.entry } })
    await running.gateway.warmUp()
    await using client = await legacyClient(running.origin, server)
    server.say(QUESTION)
    await expect.poll(client.heard, { timeout: 10_000 }).toEqual([expect.stringContaining('Password?')])

    await reload(running.gateway, { mcpServers: { a: server.entry }, ...denied })
    expect((await asked(server, 'tasks/cancel')).params).toContain('"job"')
    // The question that was open is withdrawn at the client, and answered at the server.
    await server.messages.take(text => text.includes('"id":77') && text.includes('"error"'), 'the refusal')
    await expect.poll(client.heard).toContainEqual(expect.stringContaining('notifications/cancelled'))
    for (const method of ['tasks/get', 'tasks/result', 'tasks/cancel'])
      expect(await client.session.request('5', method, `{"taskId":"${client.id}"}`)).toContain('-32602')
    expect(await client.session.request('6', 'tasks/list', '{}')).toContain('"tasks":[]')

    const before = client.heard()
    server.say(STATUS)
    server.say(QUESTION)
    await server.messages.take(text => text.includes('"id":77') && text.includes('"error"'), 'the refusal')
    expect(client.heard()).toEqual(before)
  },
)

test.each(DENIALS)(
  'from the swap on a denied %s puts no question of a legacy task, also before its clients are compared',
  async (_, denied) => {
    await using server = await legacyServer()
    await using running = await startGateway({ mcpServers: { a: server.entry } })
    await running.gateway.warmUp()
    await using client = await legacyClient(running.origin, server)
    const held = vi.spyOn(Audience.prototype, 'moved').mockResolvedValue()
    onTestFinished(() => held.mockRestore())
    await reload(running.gateway, { mcpServers: { a: server.entry }, ...denied })
    server.say(STATUS)
    server.say(QUESTION)
    const refusal = await server.messages.take(text => text.includes('"id":77'), 'the refusal')
    expect(refusal).toContain(String.raw`The client may not use the tool \"t\" of server \"a\" any more.`)
    expect(client.heard()).toEqual([])
  },
)

test.each(DENIALS)(
  'a modern task of a %s that a reload denies is cancelled, and its listener is not told its result',
  async (_, denied) => {
    await using server = servingTasks(await scriptedStdio(), 't', 'other')
    await using running = await startGateway({ mcpServers: { a: server.entry } })
    await running.gateway.warmUp()
    await using client = new StdioClient(running.gateway, true)
    client.send(requestText('"make"', 'tools/call', withTasksExtension('{"name":"a__t"}')))
    ;(await server.called('t')).answer(`"result":{"resultType":"task",${taskMembers('job', 'working')}}`)
    const id = JSON.parse(rawAt(await client.answer('"make"'), 'result', 'taskId') ?? '') as string
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
    const { taskListeners } = (running.gateway as unknown as { runtime: { taskListeners: { size: number } } })
      .runtime
    expect(taskListeners.size).toBe(1)

    await reload(running.gateway, { mcpServers: { a: server.entry }, ...denied })
    expect(taskListeners.size).toBe(0)
    const cancelled = await asked(server, 'tasks/cancel')
    expect(cancelled.params).toContain('"taskId":"job"')
    expect(cancelled.params).toContain(TASKS)
    stand.say(
      `{"jsonrpc":"2.0","method":"notifications/tasks","params":{${taskMembers('job', 'completed', ',"result":{"secret":1}')},${streamMeta(stand)}}}`,
    )
    // It is told nothing by the time that this is answered.
    await pause(200)
    client.send(requestText('"get"', 'tasks/get', withTasksExtension(`{"taskId":"${id}"}`)))
    expect(await client.answer('"get"')).toContain('-32602')
    expect(JSON.stringify(client.lines.all)).not.toContain('secret')
  },
)

test.each(DENIALS)(
  'a legacy task that a call makes after the reload that denies its %s is cancelled there',
  async (_, denied) => {
    await using server = await legacyServer()
    await using running = await startGateway({ mcpServers: { a: server.entry } })
    await running.gateway.warmUp()
    await using session = await LegacySession.open(running.origin)
    const answer = session.request('"make"', 'tools/call', '{"name":"a__t","task":{"ttl":60000}}')
    const call = await server.called('t')
    await reload(running.gateway, { mcpServers: { a: server.entry }, ...denied })
    call.answer(`"result":{"task":${legacyTask()}}`)
    expect(rawAt(await answer, 'result', 'task')).toBeUndefined()
    expect((await asked(server, 'tasks/cancel')).params).toContain('"job"')
  },
)
