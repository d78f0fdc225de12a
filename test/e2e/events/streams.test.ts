import { expect, test } from 'vitest'
import type { GatewayEvent } from '../../../src/core/events.ts'
import { callAs, keyOf, withKeys } from '../../helpers/callers.ts'
import { startGateway } from '../../helpers/gateway.ts'
import { RecordedEvents } from '../../helpers/recorded-events.ts'
import { reload } from '../../helpers/reload.ts'
import { scriptedHttp, scriptedStdio, toolText } from '../../helpers/scripted-servers.ts'
import { DeprecatedSession, LegacySession } from '../../helpers/wire-clients.ts'

/** What begins and ends has two events: streams of clients, and links to servers. */

const types = (heard: RecordedEvents, ...wanted: GatewayEvent['type'][]): string[] =>
  heard.all.map(({ type }) => type).filter(type => wanted.includes(type))

test('the GET stream of a session and the one that replaces it are opened and closed once each', async () => {
  await using gateway = await startGateway({ mcpServers: {} })
  const heard = new RecordedEvents(gateway.gateway)
  const session = await LegacySession.open(gateway.origin)
  const first = await session.listen()
  await session.listen()
  await first.body
  await expect.poll(() => heard.of('stream.closed')).toHaveLength(1)
  await session[Symbol.asyncDispose]()
  await expect.poll(() => heard.of('stream.closed')).toHaveLength(2)
  const facts = { era: 'legacy', front: 'http', session: session.id.slice(0, 8), endpoint: '' }
  expect(heard.of('stream.opened')).toMatchObject([facts, facts])
  expect(heard.of('stream.closed')).toMatchObject([facts, facts])
  expect(heard.of('stream.closed')[0]?.durationMs).toBeGreaterThan(0)
})

test('the stream of HTTP+SSE is opened and closed within its session', async () => {
  await using gateway = await startGateway({ mcpServers: {} })
  const heard = new RecordedEvents(gateway.gateway)
  const session = await DeprecatedSession.open(gateway.origin)
  await session[Symbol.asyncDispose]()
  await heard.until('session.closed')
  expect(types(heard, 'stream.opened', 'session.opened', 'stream.closed', 'session.closed')).toEqual([
    'stream.opened',
    'session.opened',
    'stream.closed',
    'session.closed',
  ])
  const [opened] = heard.of('session.opened')
  const facts = { era: 'legacy', front: 'sse', session: opened?.session }
  expect(heard.of('stream.opened')).toMatchObject([facts])
})

test('the listen stream of a modern client is opened once it is acknowledged, and closed', async () => {
  await using gateway = await startGateway({ mcpServers: {}, clients: withKeys({ ci: {} }) })
  const heard = new RecordedEvents(gateway.gateway)
  const caller = await callAs(gateway.origin, keyOf('ci'), { modern: true })
  await caller?.listen('{"toolsListChanged":true}')
  await heard.until('stream.opened')
  await caller?.[Symbol.asyncDispose]()
  await heard.until('stream.closed')
  const facts = { era: 'modern', front: undefined, session: undefined, principal: { client: 'ci' } }
  expect(heard.of('stream.opened')).toMatchObject([facts])
  expect(heard.of('stream.closed')).toMatchObject([facts])
})

test('every link that was opened is lost or closed, once', { timeout: 30_000 }, async () => {
  await using server = await scriptedStdio()
  const heard = new RecordedEvents()
  {
    await using gateway = await startGateway({ mcpServers: { a: server.entry } })
    heard.listenTo(gateway.gateway)
    await gateway.gateway.warmUp()
    server.hangUp()
    await heard.until('link.lost')
    server.results.set('tools/call', '{"content":[]}')
    await using caller = await callAs(gateway.origin, undefined, { modern: true })
    // A server that has just gone is not started again at once.
    const call = (): Promise<unknown> =>
      expect
        .poll(() => caller?.request('tools/call', '{"name":"a__t"}'), { timeout: 10_000 })
        .toContain('"content":[]')
    await call()
    await gateway.gateway.operations.drain('a', undefined, true)
    await heard.until('link.closed')
    await gateway.gateway.operations.drain('a', undefined, false)
    await call()
    gateway.gateway.operations.restart('a')
    await expect.poll(() => heard.of('link.closed')).toHaveLength(2)
    await call()
  }
  const told = types(heard, 'link.opened', 'link.lost', 'link.closed')
  expect(told.slice(0, 3)).toEqual(['link.opened', 'link.lost', 'link.opened'])
  // The lists of a restarted server are fetched over a new link, perhaps before the old process has ended.
  expect(told.filter(type => type === 'link.lost')).toHaveLength(1)
  let open = 0
  for (const type of told) {
    open += type === 'link.opened' ? 1 : -1
    expect(open).toBeGreaterThanOrEqual(0)
  }
  expect(open).toBe(0)
  expect(told.filter(type => type === 'link.closed')).toHaveLength(3)
})

test('a reload tells once of the lists that it changes, whatever the number of clients', async () => {
  await using server = await scriptedHttp()
  await using other = await scriptedHttp()
  other.results.set('tools/list', `{"tools":[${toolText('u')}]}`)
  await using gateway = await startGateway({ mcpServers: { a: server.entry, b: other.entry } })
  const heard = new RecordedEvents(gateway.gateway)
  await gateway.gateway.warmUp()
  await using first = await LegacySession.open(gateway.origin)
  await using second = await LegacySession.open(gateway.origin)
  for (const session of [first, second]) await session.request('1', 'tools/list')
  await reload(gateway.gateway, { mcpServers: { a: server.entry } })
  await heard.until('list.changed')
  expect(heard.of('list.changed')).toMatchObject([{ endpoint: '', kinds: ['tools'] }])
  expect(types(heard, 'reload.applied', 'list.changed')).toEqual(['reload.applied', 'list.changed'])
})
