import { describe, expect, test } from 'vitest'
import { rawAt } from '../../../src/protocol/json-text.ts'
import { startGateway } from '../../helpers/gateway.ts'
import { reload } from '../../helpers/reload.ts'
import { modernServer } from '../../helpers/rounds.ts'
import {
  scriptedDeprecated,
  scriptedHttp,
  scriptedStdio,
  toolText,
  type ScriptedServer,
} from '../../helpers/scripted-servers.ts'
import { DeprecatedSession, LegacySession, ModernHttp, type WireClient } from '../../helpers/wire-clients.ts'

/** Links of every transport and clients of every front, when their server stays, changes, or changes into one that does not start. */

const CALL = '{"name":"a__t","arguments":{}}'
const done = (what: string): string => `"result":{"content":[{"type":"text","text":"${what}"}]}`

const SERVERS: readonly (readonly [string, () => Promise<ScriptedServer>])[] = [
  ['HTTP with sessions', () => scriptedHttp({ sessions: true })],
  ['HTTP without sessions', () => scriptedHttp()],
  ['modern HTTP', modernServer],
  ['stdio', scriptedStdio],
  ['HTTP+SSE', scriptedDeprecated],
]
const CLIENTS: readonly (readonly [string, (origin: string) => Promise<WireClient>])[] = [
  ['a session', origin => LegacySession.open(origin)],
  ['a modern client', origin => Promise.resolve(new ModernHttp(origin))],
  ['a client over /sse', origin => DeprecatedSession.open(origin)],
]
const greetings = ({ messages }: ScriptedServer): number =>
  messages.all.filter(text => /"method":"(initialize|server\/discover)"/.test(text)).length

describe.each(SERVERS)('a server over %s', (_, serverOf) => {
  test('that stays keeps its links and the call in flight, while others come, change and go', async () => {
    await using a = await serverOf()
    await using b = await scriptedHttp()
    await using running = await startGateway({ mcpServers: { a: a.entry } })
    const { gateway, origin } = running
    await gateway.warmUp()
    await using session = await LegacySession.open(origin)
    const answer = session.request('1', 'tools/call', CALL)
    const call = await a.called('t')
    const greeted = greetings(a)
    await reload(gateway, { mcpServers: { a: a.entry, b: b.entry } })
    await reload(gateway, {
      mcpServers: { a: { ...a.entry, timeout: '20s', retries: 0 }, b: { ...b.entry, roots: [] } },
    })
    await reload(gateway, { mcpServers: { a: a.entry }, gateway: { log: 'warn', policy: { deny: ['b/*'] } } })
    call.answer(done('kept'))
    expect(await answer).toContain('kept')
    const again = session.request('2', 'tools/call', CALL)
    ;(await a.called('t')).answer(done('same'))
    expect(await again).toContain('same')
    expect(greetings(a)).toBe(greeted)
  })
})

describe.each(SERVERS)('a server over %s that is changed', (_, serverOf) => {
  test('answers the call in flight on the old link, and new calls on the new one', async () => {
    await using old = await serverOf()
    await using next = await serverOf()
    await using running = await startGateway({ mcpServers: { a: old.entry } })
    const { gateway, origin } = running
    await gateway.warmUp()
    await using session = await LegacySession.open(origin)
    const answer = session.request('1', 'tools/call', CALL)
    const call = await old.called('t')
    await reload(gateway, { mcpServers: { a: next.entry } })
    const later = session.request('2', 'tools/call', CALL)
    ;(await next.called('t')).answer(done('new'))
    expect(await later).toContain('new')
    call.answer(done('old'))
    expect(await answer).toContain('old')
  })
})

describe.each(CLIENTS)('%s', (_, open) => {
  test('continues through reloads, and gets its answers', async () => {
    await using a = await scriptedHttp()
    await using running = await startGateway({ mcpServers: { a: a.entry } })
    const { gateway, origin } = running
    await gateway.warmUp()
    await using client = await open(origin)
    expect(await client.request('1', 'tools/list')).toContain('a__t')
    const answer = client.request('2', 'tools/call', CALL)
    const call = await a.called('t')
    await reload(gateway, { mcpServers: { a: { ...a.entry, tools: { t: { timeout: '9s' } } }, b: a.entry } })
    call.say('{"jsonrpc":"2.0","method":"notifications/message","params":{"level":"info","data":1}}')
    call.answer(done('well'))
    expect(await answer).toContain('well')
    await expect.poll(() => client.request(`"${Math.random()}"`, 'tools/list')).toContain('b__t')
  })
})

test('a session over /sse is notified of changed lists, and gets an error at its end when nothing is left for it', async () => {
  await using a = await scriptedHttp()
  await using running = await startGateway({ mcpServers: { a: a.entry } })
  const { gateway, origin } = running
  await gateway.warmUp()
  await using session = await DeprecatedSession.open(origin)
  await reload(gateway, { mcpServers: { a: { ...a.entry, tools: { t: { hidden: true } } } } })
  await session.events.take(({ data }) => data.includes('tools/list_changed'), 'the change')
  expect(await session.request('1', 'tools/list')).not.toContain('a__t')
  // From now on there are clients, and this one shows nothing.
  await reload(gateway, { mcpServers: { a: a.entry }, clients: { ci: {} } })
  await session.body
  await expect(session.post('{"jsonrpc":"2.0","id":2,"method":"ping"}')).rejects.toThrow(/not taken: 40[14]/)
})

describe('a server that is changed into one that does not start', () => {
  test.each([
    ['stdio', { command: process.execPath, args: ['-e', 'process.exit(1)'] }],
    ['HTTP', { url: 'http://127.0.0.1:9/mcp' }],
  ])(
    'over %s fails by itself: calls in flight end on the old link, and it works once it is mended',
    async (_, broken) => {
      await using a = await scriptedStdio()
      await using b = await scriptedHttp()
      b.results.set('tools/call', done('from b').slice('"result":'.length))
      await using running = await startGateway({ mcpServers: { a: a.entry, b: b.entry } })
      const { gateway, origin } = running
      await gateway.warmUp()
      await using session = await LegacySession.open(origin)
      const answer = session.request('1', 'tools/call', CALL)
      const call = await a.called('t')
      const report = await reload(gateway, {
        mcpServers: { a: { ...broken, retries: 0, required: true }, b: b.entry },
      })
      expect(report).toMatchObject({ applied: true, servers: { changed: ['a'] } })
      const failed = await session.request('2', 'tools/call', CALL)
      expect(failed).toContain('"isError":true')
      expect(failed).toMatch(/server \\"a\\"/i)
      expect(await session.request('3', 'tools/call', '{"name":"b__t","arguments":{}}')).toContain('from b')
      // The tools that were known are still listed.
      expect(await session.request('4', 'tools/list')).toContain('a__t')
      expect((await fetch(`${origin}/readyz`)).status).toBe(503)
      call.answer(done('old'))
      expect(await answer).toContain('old')
      await reload(gateway, { mcpServers: { a: { ...a.entry, required: true }, b: b.entry } })
      await expect.poll(async () => (await fetch(`${origin}/readyz`)).status, { timeout: 10_000 }).toBe(200)
      const mended = session.request('5', 'tools/call', CALL)
      ;(await a.called('t')).answer(done('mended'))
      expect(await mended).toContain('mended')
    },
  )
})

test('a server that is changed while it is listed for the first time is listed as what it is now', async () => {
  await using old = await scriptedHttp()
  await using next = await scriptedHttp()
  old.results.delete('tools/list')
  next.results.set('tools/list', `{"tools":[${toolText('new')}]}`)
  await using running = await startGateway({ mcpServers: {} })
  const { gateway, origin } = running
  await using session = await LegacySession.open(origin)
  // Beyond the time of this test.
  const catalog = { firstListTimeout: '10m' }
  await reload(gateway, { mcpServers: { a: old.entry }, gateway: { catalog } })
  const list = session.request('1', 'tools/list')
  const listing = await old.requests.take(({ method }) => method === 'tools/list', 'the list')
  await reload(gateway, { mcpServers: { a: next.entry }, gateway: { catalog } })
  expect(await list).toContain('a__new')
  listing.answer(`"result":{"tools":[${toolText('old')}]}`)
  await session.request('2', 'ping')
  const lists = await session.request('3', 'tools/list')
  expect(rawAt(lists, 'result', 'tools')).toContain('a__new')
  expect(lists).not.toContain('a__old')
})
