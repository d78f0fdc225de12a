import { describe, expect, test } from 'vitest'
import type { Logger } from '../../src/core/logger.ts'
import { callAs, keyOf, withKeys, type Caller, type CallerOptions } from '../helpers/callers.ts'
import { startGateway, type TestGateway } from '../helpers/gateway.ts'
import { scriptedHttp, toolText } from '../helpers/scripted-servers.ts'

const OWN = 'io.github.mcp-manifold/error'

/** A logger that keeps what is said. */
function keeping(): { logger: Logger; said: string[] } {
  const said: string[] = []
  const say = (message: string, fields: object = {}): void =>
    void said.push(`${message} ${JSON.stringify(fields)}`)
  const logger: Logger = { error: say, warn: say, info: say, debug: () => undefined, child: () => logger }
  return { logger, said }
}

/** A client by its name, with its key. */
const caller = async (running: TestGateway, client: string, options: CallerOptions): Promise<Caller> =>
  (await callAs(running.origin, keyOf(client), options)) as Caller

describe.each([false, true])('what depends on arguments, modern: %s', modern => {
  const file = (entry: object, ci: object): Parameters<typeof startGateway>[0] => ({
    mcpServers: { files: entry },
    clients: withKeys({ ci }),
  })

  test('is listed, and refused with a result that names the rule and says nothing of its condition', async () => {
    await using server = await scriptedHttp()
    server.results.set('tools/list', `{"tools":[${toolText('write')}]}`).set('tools/call', '{"content":[]}')
    const when = 'has(args.path) && args.path.startsWith("/confidential")'
    const ci = { rules: [{ effect: 'deny', match: ['files/write'], when }] }
    await using running = await startGateway(file(server.entry, ci))
    await running.gateway.warmUp()
    await using client = await caller(running, 'ci', { modern })
    expect(await client.request('tools/list')).toContain('files__write')
    const call = (path: string): Promise<string> =>
      client.request('tools/call', `{"name":"files__write","arguments":{"path":"${path}"}}`)
    expect(await call('/open')).toContain('"content":[]')
    const denied = await call('/confidential/x')
    const { result } = JSON.parse(denied) as {
      result: { isError: boolean; _meta: Record<string, { code: string }> }
    }
    expect(result.isError).toBe(true)
    expect(result._meta[OWN]?.code).toBe('denied')
    expect(denied).toContain('clients.ci.rules[0]')
    expect(denied).not.toContain('startsWith')
    // By its own name it is the same tool, and decided in the same way.
    expect(
      await client.request('tools/call', '{"name":"write","arguments":{"path":"/confidential/x"}}'),
    ).toContain('"isError":true')
    expect(server.messages.all.filter(text => text.includes('tools/call'))).toHaveLength(1)
  })

  test('is decided on what the server will read: equal keys are refused', async () => {
    await using server = await scriptedHttp()
    server.results.set('tools/list', `{"tools":[${toolText('write')}]}`).set('tools/call', '{"content":[]}')
    const ci = { rules: [{ effect: 'deny', when: 'has(args.o) && args.o.path == "bad"' }] }
    await using running = await startGateway(file(server.entry, ci))
    await running.gateway.warmUp()
    await using client = await caller(running, 'ci', { modern })
    for (const object of [
      '{"path":"bad","path":"good"}',
      '{"path":"good","p\\u0061th":"bad"}',
      '[{"a":1,"a":2}]',
    ])
      expect(await client.request('tools/call', `{"name":"write","arguments":{"o":${object}}}`)).toContain(
        'stands twice',
      )
    expect(server.messages.all.filter(text => text.includes('tools/call'))).toEqual([])
  })

  test('denies where its condition fails, which is counted and said once', async () => {
    await using server = await scriptedHttp()
    server.results
      .set('tools/list', `{"tools":[${toolText('write')},${toolText('read')}]}`)
      .set('tools/call', '{"content":[]}')
    const ci = {
      default: 'deny',
      rules: [
        { effect: 'allow', match: ['files/read'], when: 'args.n + 1 == 2' },
        { effect: 'allow', match: ['files/write'] },
        { effect: 'deny', match: ['files/write'], when: 'args.n == 1' },
      ],
    }
    const { logger, said } = keeping()
    await using running = await startGateway(file(server.entry, ci), { logger })
    await running.gateway.warmUp()
    await using client = await caller(running, 'ci', { modern })
    const call = (name: string, args: string): Promise<string> =>
      client.request('tools/call', `{"name":"${name}","arguments":${args}}`)
    for (let round = 0; round < 3; round++) {
      expect(await call('read', '{"n":1}')).toContain('"isError":true')
      expect(await call('write', '{}')).toContain('"isError":true')
    }
    expect(await call('write', '{"n":2}')).toContain('"content":[]')
    expect(said.filter(line => line.includes('could not be evaluated'))).toEqual([
      expect.stringContaining('clients.ci.rules[0]'),
      expect.stringContaining('clients.ci.rules[2]'),
    ])
  })

  test('in shadow mode passes, and says what would be denied', async () => {
    await using server = await scriptedHttp()
    server.results.set('tools/list', `{"tools":[${toolText('write')}]}`).set('tools/call', '{"content":[]}')
    const ci = { rules: [{ effect: 'deny', match: ['files/*'], shadow: true }] }
    const { logger, said } = keeping()
    await using running = await startGateway(file(server.entry, ci), { logger })
    await running.gateway.warmUp()
    await using client = await caller(running, 'ci', { modern })
    expect(await client.request('tools/call', '{"name":"write","arguments":{}}')).toContain('"content":[]')
    expect(said.filter(line => line.startsWith('A rule in shadow mode would deny this request.'))).toEqual([
      expect.stringContaining('"rule":"clients.ci.rules[0]","client":"ci"'),
    ])
  })
})

test('a retry with answers is decided again, and cannot bring other arguments', async () => {
  await using server = await scriptedHttp()
  server.results.set('tools/list', `{"tools":[${toolText('write')}]}`)
  const rules = [{ effect: 'deny', match: ['files/write'], when: 'args.path == "bad"' }]
  await using running = await startGateway({
    mcpServers: { files: server.entry },
    clients: withKeys({ ci: { rules } }),
  })
  await running.gateway.warmUp()
  await using client = await caller(running, 'ci', {
    modern: true,
    capabilities: '{"elicitation":{}}',
  })
  const call = (path: string, more = ''): Promise<string> =>
    client.request('tools/call', `{"name":"write","arguments":{"path":"${path}"}${more}}`)
  const first = call('good')
  const request = await server.called('write')
  request.say(
    '{"jsonrpc":"2.0","id":9,"method":"elicitation/create","params":{"message":"?","requestedSchema":{"type":"object","properties":{}}}}',
  )
  const { result } = JSON.parse(await first) as {
    result: { resultType: string; requestState: string; inputRequests: object }
  }
  expect(result.resultType).toBe('input_required')
  const key = Object.keys(result.inputRequests)[0] as string
  const retry = `,"requestState":"${result.requestState}","inputResponses":{"${key}":{"action":"accept","content":{}}}`
  expect(await call('bad', retry)).toContain('"isError":true')
  expect(await call('other', retry)).toContain('belongs to another request')
  const last = call('good', retry)
  await server.messages.take(text => text.includes('"id":9') && text.includes('accept'), 'the answer')
  request.answer('"result":{"content":[{"type":"text","text":"done"}]}')
  expect(await last).toContain('done')
})

describe.each([false, true])('what is denied, modern: %s', modern => {
  test('changes without a notification to clients that do not see it', async () => {
    await using server = await scriptedHttp()
    server.results.set('tools/list', `{"tools":[${toolText('read')}]}`)
    await using running = await startGateway({
      mcpServers: { files: server.entry },
      clients: withKeys({ all: {}, some: { deny: ['*/new_*'] } }),
    })
    await running.gateway.warmUp()
    await using all = await caller(running, 'all', { modern })
    await using some = await caller(running, 'some', { modern })
    for (const client of [all, some]) if (modern) await client.listen('{"toolsListChanged":true}')
    const changed = (text: string): boolean => text.includes('tools/list_changed')
    const change = async (tools: string): Promise<void> => {
      server.results.set('tools/list', `{"tools":[${tools}]}`)
      server.say('{"jsonrpc":"2.0","method":"notifications/tools/list_changed"}')
      await all.notifications.take(changed, 'a changed list')
    }
    await change(`${toolText('read')},${toolText('new_tool')}`)
    expect(await all.request('tools/list')).toContain('new_tool')
    expect(await some.request('tools/list')).not.toContain('new_tool')
    await change(`${toolText('read')},${toolText('new_tool')},${toolText('other')}`)
    await some.notifications.take(changed, 'a changed list')
    expect(await some.request('tools/list')).toContain('other')
    expect(some.notifications.all.filter(changed)).toHaveLength(1)
  })
})

test('an update below a subscribed URI is reported only to clients that may read it', async () => {
  await using server = await scriptedHttp()
  server.results
    .set('resources/list', '{"resources":[{"uri":"x://folder","name":"f"}]}')
    .set('resources/subscribe', '{}')
  await using running = await startGateway({
    mcpServers: { files: server.entry },
    clients: withKeys({ ci: { deny: ['resource:files/x://folder/secret*'] } }),
  })
  await running.gateway.warmUp()
  await using client = await caller(running, 'ci', { modern: false })
  expect(await client.request('resources/subscribe', '{"uri":"x://folder"}')).toContain('"result":{}')
  for (const uri of ['x://folder/secret', 'x://folder/open'])
    server.say(`{"jsonrpc":"2.0","method":"notifications/resources/updated","params":{"uri":"${uri}"}}`)
  await client.notifications.take(text => text.includes('x://folder/open'), 'the update')
  expect(client.notifications.all.filter(text => text.includes('secret'))).toEqual([])
})
