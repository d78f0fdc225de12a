import { expect, test } from 'vitest'
import { startGateway } from '../../helpers/gateway.ts'
import { openSession } from '../../helpers/http-client.ts'
import { reload } from '../../helpers/reload.ts'
import { scriptedHttp, scriptedStdio, toolText } from '../../helpers/scripted-servers.ts'
import { LegacySession, ModernHttp, withEnvelope } from '../../helpers/wire-clients.ts'

const tools = (...names: string[]): string => `{"tools":[${names.map(name => toolText(name)).join(',')}]}`

test('a server that is added is listed, and can be called in a session that was open before', async () => {
  await using a = await scriptedHttp({ sessions: true })
  await using b = await scriptedStdio()
  b.results.set('tools/list', tools('u'))
  b.results.set('tools/call', '{"content":[{"type":"text","text":"from b"}]}')
  await using running = await startGateway({ mcpServers: { a: a.entry } })
  const { gateway, origin } = running
  const client = await openSession(origin)
  expect(await client.names('tools')).toEqual(['a__t'])
  await using stream = await client.listen()
  const report = await reload(gateway, { mcpServers: { a: a.entry, b: b.entry } })
  expect(report).toEqual({
    applied: true,
    superseded: false,
    notReloadable: [],
    servers: { added: ['b'], removed: [], changed: [] },
  })
  await stream.next('notifications/tools/list_changed')
  expect(await client.names('tools')).toEqual(['a__t', 'b__u'])
  expect(await client.call('b__u')).toBe('from b')
})

test('a server that is removed disappears from lists, its call in flight is answered, and the next one is refused', async () => {
  await using a = await scriptedHttp({ sessions: true })
  await using b = await scriptedStdio()
  b.results.set('tools/list', tools('u'))
  await using running = await startGateway({ mcpServers: { a: a.entry, b: b.entry } })
  const { gateway, origin } = running
  const client = await openSession(origin)
  expect(await client.names('tools')).toEqual(['a__t', 'b__u'])
  await using stream = await client.listen()
  const answer = client.call('b__u')
  const call = await b.called('u')
  await reload(gateway, { mcpServers: { a: a.entry } })
  await stream.next('notifications/tools/list_changed')
  expect(await client.names('tools')).toEqual(['a__t'])
  expect(await client.call('b__u')).toContain('Unknown tool: b__u')
  call.answer('"result":{"content":[{"type":"text","text":"late"}]}')
  expect(await answer).toBe('late')
  expect(gateway.status().map(({ name }) => name)).toEqual(['a'])
})

test('a server that is changed gets new links for new calls, and the call in flight ends on the old one', async () => {
  await using before = await scriptedHttp({ sessions: true })
  await using after = await scriptedHttp({ sessions: true })
  after.results.set('tools/list', tools('t', 'more'))
  after.results.set('tools/call', '{"content":[{"type":"text","text":"new"}]}')
  await using running = await startGateway({ mcpServers: { a: { ...before.entry, maxLinks: 1 } } })
  const { gateway, origin } = running
  const client = await openSession(origin)
  await client.names('tools')
  const answer = client.call('a__t')
  const call = await before.called('t')
  const report = await reload(gateway, { mcpServers: { a: { ...after.entry, maxLinks: 1 } } })
  expect(report.servers).toEqual({ added: [], removed: [], changed: ['a'] })
  expect(await client.call('a__t')).toBe('new')
  call.answer('"result":{"content":[{"type":"text","text":"old"}]}')
  expect(await answer).toBe('old')
  await expect.poll(() => client.names('tools')).toEqual(['a__t', 'a__more'])
})

test('a server that does not change keeps its links and its session', async () => {
  await using a = await scriptedHttp({ sessions: true })
  a.results.set('tools/call', '{"content":[{"type":"text","text":"same"}]}')
  await using running = await startGateway({ mcpServers: { a: a.entry } })
  const { gateway, origin } = running
  const client = await openSession(origin)
  expect(await client.call('a__t')).toBe('same')
  const greetings = (): number => a.messages.all.filter(text => text.includes('"initialize"')).length
  const greeted = greetings()
  for (const timeout of ['10s', '20s', '30s'])
    await reload(gateway, { mcpServers: { a: { ...a.entry, timeout } }, gateway: { log: 'warn' } })
  expect(await client.call('a__t')).toBe('same')
  expect(greetings()).toBe(greeted)
})

test('a server that does not start does not keep the others from the new configuration', async () => {
  await using a = await scriptedHttp({ sessions: true })
  a.results.set('tools/call', '{"content":[{"type":"text","text":"well"}]}')
  await using running = await startGateway({ mcpServers: {} })
  const { gateway, origin } = running
  const client = await openSession(origin)
  const broken = { command: process.execPath, args: ['-e', 'process.exit(1)'], required: true }
  const report = await reload(gateway, { mcpServers: { a: a.entry, broken } })
  expect(report.servers.added).toEqual(['a', 'broken'])
  expect(await client.call('a__t')).toBe('well')
})

test('a modern client is notified once that a tool is gone, and once that it is back', async () => {
  await using a = await scriptedHttp({ sessions: true })
  a.results.set('tools/list', tools('t', 'u'))
  await using running = await startGateway({ mcpServers: { a: a.entry } })
  const { gateway, origin } = running
  await using modern = new ModernHttp(origin)
  expect(await modern.request('1', 'tools/list')).toContain('"a__u"')
  const listening = await modern.post(
    '2',
    'subscriptions/listen',
    withEnvelope('{"notifications":{"toolsListChanged":true}}'),
  )
  await listening.events.take(({ data }) => data.includes('acknowledged'))
  const changed = (): number =>
    listening.events.all.filter(({ data }) => data.includes('notifications/tools/list_changed')).length
  await reload(gateway, { mcpServers: { a: { ...a.entry, tools: { u: { hidden: true } } } } })
  await expect.poll(changed).toBe(1)
  expect(await modern.request('3', 'tools/list')).not.toContain('"a__u"')
  expect(await modern.request('4', 'tools/call', '{"name":"a__u","arguments":{}}')).toContain('Unknown tool')
  await reload(gateway, { mcpServers: { a: a.entry } })
  await expect.poll(changed).toBe(2)
  expect(await modern.request('5', 'tools/list')).toContain('"a__u"')
  listening.destroy()
})

test('a call in flight at the swap ends by the rules that it began with', async () => {
  await using a = await scriptedHttp({ sessions: true })
  await using running = await startGateway({ mcpServers: { a: a.entry } })
  const { gateway, origin } = running
  await using client = await LegacySession.open(origin)
  const answer = client.request('1', 'tools/call', '{"name":"a__t","arguments":{}}')
  const call = await a.called('t')
  await reload(gateway, { mcpServers: { a: a.entry }, gateway: { policy: { deny: ['a/t'] } } })
  expect(await client.request('2', 'tools/call', '{"name":"a__t","arguments":{}}')).toContain('Unknown tool')
  call.answer('"result":{"content":[{"type":"text","text":"allowed then"}]}')
  expect(await answer).toContain('allowed then')
})
