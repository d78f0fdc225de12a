import { request as httpsRequest } from 'node:https'
import { afterAll, describe, expect, test } from 'vitest'
import { keyDigestOf } from '../../../src/auth/key-records.ts'
import { rawAt } from '../../../src/protocol/json-text.ts'
import { bearer, keyOf, withKeys } from '../../helpers/callers.ts'
import { makeAuthority } from '../../helpers/certificates.ts'
import { startGateway } from '../../helpers/gateway.ts'
import { reload } from '../../helpers/reload.ts'
import { form } from '../../helpers/rounds.ts'
import { makeScratch } from '../../helpers/scratch.ts'
import { scriptedHttp, scriptedStdio, type ScriptedServer } from '../../helpers/scripted-servers.ts'
import {
  type ClientOptions,
  JSON_HEADERS,
  LegacySession,
  ModernHttp,
  requestText,
  withEnvelope,
} from '../../helpers/wire-clients.ts'

/** Rights, profiles, names and rules of results that change while clients use what they are about. */

const CALL = '{"name":"a__t","arguments":{}}'
const DONE = '"result":{"content":[{"type":"text","text":"done"}]}'
const GONE = 'the credentials of \\"ci\\" are no longer valid'
const as = (name: string): ClientOptions => ({ headers: bearer(keyOf(name)) })

type File = Readonly<Record<string, unknown>> & { readonly gateway?: Readonly<Record<string, unknown>> }

const SCRATCH = makeScratch()
afterAll(() => SCRATCH[Symbol.asyncDispose]())

async function listening(client: ModernHttp, filter: string) {
  const stream = await client.post(
    '"listen"',
    'subscriptions/listen',
    withEnvelope(`{"notifications":${filter}}`),
  )
  await stream.events.take(({ data }) => data.includes('acknowledged'), 'the acknowledgement')
  return stream
}

describe('a profile', () => {
  const profiles = (servers: readonly string[]): object => ({ profiles: { p: { servers } } })

  test('that is added, changed and removed while sessions are open at it is followed by both eras', async () => {
    await using a = await scriptedHttp({ sessions: true })
    await using b = await scriptedHttp({ sessions: true })
    const mcpServers = { a: a.entry, b: b.entry }
    await using running = await startGateway({ mcpServers })
    const { gateway, origin } = running
    await gateway.warmUp()
    await expect(LegacySession.open(origin, { path: '/mcp/p' })).rejects.toThrow('404')
    await reload(gateway, { mcpServers, ...profiles(['a']) })
    const session = await LegacySession.open(origin, { path: '/mcp/p' })
    const stream = await session.listen()
    const modern = new ModernHttp(origin, '/mcp/p')
    const listen = await listening(modern, '{"toolsListChanged":true}')
    expect(await session.request('1', 'tools/list')).toContain('a__t')
    expect(await session.request('1', 'tools/list')).not.toContain('b__t')

    await reload(gateway, { mcpServers, ...profiles(['b']) })
    await stream.events.take(({ data }) => data.includes('tools/list_changed'), 'the change')
    await listen.events.take(({ data }) => data.includes('tools/list_changed'), 'the change')
    for (const client of [session, modern]) {
      const list = await client.request('2', 'tools/list')
      expect([list.includes('a__t'), list.includes('b__t')]).toEqual([false, true])
      expect(await client.request('3', 'tools/call', CALL)).toContain('Unknown tool')
    }

    const answer = session.request('4', 'tools/call', '{"name":"b__t","arguments":{}}')
    await b.called('t')
    await reload(gateway, { mcpServers })
    const nothing = 'There is nothing at \\"p\\"'
    expect(await answer).toContain(nothing)
    expect(await listen.body).toContain(nothing)
    await stream.body
    expect((await session.post(requestText('5', 'ping', undefined))).status).toBe(404)
    expect(gateway.sessions).toBe(0)
  })
})

describe('results that are kept', () => {
  const rule = (scope: string): object => ({ tools: { t: { cache: { ttl: '1m', scope } } } })

  test('are not shared with another client when the rule becomes stricter while one is fetched', async () => {
    await using a = await scriptedHttp({ sessions: true })
    const clients = withKeys({ one: {}, two: {} })
    const file = (scope: string): File => ({ mcpServers: { a: { ...a.entry, ...rule(scope) } }, clients })
    await using running = await startGateway(file('shared'))
    const { gateway, origin } = running
    await gateway.warmUp()
    const [one, two] = ['one', 'two'].map(name => new ModernHttp(origin, '/mcp', as(name)))
    const first = one?.request('1', 'tools/call', CALL)
    const fill = await a.called('t')
    await reload(gateway, file('client'))
    fill.answer(DONE.replace('done', 'of one'))
    expect(await first).toContain('of one')
    const second = two?.request('2', 'tools/call', CALL)
    ;(await a.called('t')).answer(DONE.replace('done', 'of two'))
    expect(await second).toContain('of two')
    // Nothing was kept for all by the former rule, or for all of what is for one.
    await reload(gateway, file('shared'))
    a.results.set('tools/call', DONE.slice('"result":'.length).replace('done', 'of all'))
    for (const client of [two, one])
      expect(await client?.request('3', 'tools/call', CALL)).toContain('of all')
  })

  test('are not kept when the rule is taken away while one is fetched', async () => {
    await using a = await scriptedHttp({ sessions: true })
    await using running = await startGateway({ mcpServers: { a: { ...a.entry, ...rule('shared') } } })
    const { gateway, origin } = running
    await gateway.warmUp()
    const client = new ModernHttp(origin)
    const first = client.request('1', 'tools/call', CALL)
    const fill = await a.called('t')
    await reload(gateway, { mcpServers: { a: a.entry } })
    fill.answer(DONE)
    expect(await first).toContain('done')
    const second = client.request('2', 'tools/call', CALL)
    ;(await a.called('t')).answer(DONE.replace('done', 'fresh'))
    expect(await second).toContain('fresh')
    // Nothing of the time without a rule is there when the rule is back.
    await reload(gateway, { mcpServers: { a: { ...a.entry, ...rule('shared') } } })
    a.results.set('tools/call', DONE.slice('"result":'.length).replace('done', 'after'))
    expect(await client.request('3', 'tools/call', CALL)).toContain('after')
  })

  test('of a server that changes while one is fetched are not given for the new server', async () => {
    await using old = await scriptedHttp({ sessions: true })
    await using next = await scriptedHttp({ sessions: true })
    const file = ({ entry }: ScriptedServer): File => ({
      mcpServers: { a: { ...entry, ...rule('shared') } },
    })
    await using running = await startGateway(file(old))
    const { gateway, origin } = running
    await gateway.warmUp()
    const client = new ModernHttp(origin)
    const first = client.request('1', 'tools/call', CALL)
    const fill = await old.called('t')
    await reload(gateway, file(next))
    fill.answer(DONE.replace('done', 'old'))
    expect(await first).toContain('old')
    const second = client.request('2', 'tools/call', CALL)
    ;(await next.called('t')).answer(DONE.replace('done', 'new'))
    expect(await second).toContain('new')
  })
})

test('a condition that does not compile any more is refused with its place and fix, and the rules of before stay', async () => {
  await using a = await scriptedHttp({ sessions: true })
  a.results.set('tools/call', DONE.slice('"result":'.length))
  const mcpServers = { a: a.entry }
  const clients = (when: string): object =>
    withKeys({ ci: { rules: [{ effect: 'deny', match: ['a/t'], when }] } })
  await using running = await startGateway({ mcpServers, clients: clients('args.x == 1') })
  const { gateway, origin } = running
  await using session = await LegacySession.open(origin, as('ci'))
  const refused = reload(gateway, {
    mcpServers: { ...mcpServers, b: a.entry },
    clients: clients('args.x =='),
  })
  await expect(refused).rejects.toThrow(/clients\.ci\.rules\[0\]\.when/)
  const unknown = reload(gateway, { mcpServers, clients: clients('nothing.like.this == 1') })
  await expect(unknown).rejects.toThrow(/clients\.ci\.rules\[0\]\.when.*nothing/s)
  expect(await session.request('1', 'tools/list')).not.toContain('b__t')
  expect(await session.request('2', 'tools/call', CALL.replace('{}', '{"x":2}'))).toContain('done')
  const denied = await session.request('3', 'tools/call', '{"name":"a__t","arguments":{"x":1}}')
  expect(denied).not.toContain('done')
})

test('a changed prefix ends the old names with one error, and is reported', async () => {
  await using a = await scriptedHttp({ sessions: true })
  a.results.set('tools/call', DONE.slice('"result":'.length))
  await using running = await startGateway({ mcpServers: { a: a.entry } })
  const { gateway, origin } = running
  await gateway.warmUp()
  await using session = await LegacySession.open(origin)
  const stream = await session.listen()
  const modern = new ModernHttp(origin)
  const listen = await listening(modern, '{"toolsListChanged":true}')
  expect(await session.request('1', 'tools/call', CALL)).toContain('done')
  await reload(gateway, { mcpServers: { a: { ...a.entry, prefix: 'other' } } })
  for (const { events } of [stream, listen])
    await events.take(({ data }) => data.includes('tools/list_changed'), 'the change')
  for (const client of [session, modern]) {
    const old = await client.request('2', 'tools/call', CALL)
    expect(old).toContain('Unknown tool')
    expect(old).toContain('other__t')
    expect(await client.request('3', 'tools/call', '{"name":"other__t","arguments":{}}')).toContain('done')
  }
  listen.destroy()
})

describe('a resource that a client is subscribed to', () => {
  const URI = 'x://1'
  const withResources = (server: ScriptedServer): ScriptedServer => {
    server.results.set(
      'resources/list',
      `{"resources":[{"uri":"${URI}","name":"one"},{"uri":"x://2","name":"two"}]}`,
    )
    server.results.set('resources/subscribe', '{}')
    server.results.set('resources/unsubscribe', '{}')
    return server
  }
  const updated = (uri: string): string =>
    `{"jsonrpc":"2.0","method":"notifications/resources/updated","params":{"uri":"${uri}"}}`

  test('and may not see any more ends its subscription, whether by role or by policy', async () => {
    await using a = withResources(await scriptedStdio())
    const mcpServers = { a: a.entry }
    const file = (more: Record<string, unknown>, roles: object = {}): File => ({
      mcpServers,
      clients: withKeys({ ci: { default: 'allow', roles: ['r'] } }),
      roles: { r: roles },
      gateway: more,
    })
    await using running = await startGateway(file({}))
    const { gateway, origin } = running
    await gateway.warmUp()
    await using session = await LegacySession.open(origin, as('ci'))
    const stream = await session.listen()
    const modern = new ModernHttp(origin, '/mcp', as('ci'))
    const listen = await listening(modern, `{"resourceSubscriptions":["${URI}","x://2"]}`)
    for (const uri of [URI, 'x://2'])
      expect(await session.request('1', 'resources/subscribe', `{"uri":"${uri}"}`)).toContain('"result":{}')
    a.say(updated(URI))
    for (const { events } of [stream, listen])
      await events.take(({ data }) => data.includes('resources/updated'), 'the update')

    for (const denied of [
      file({}, { rules: [{ effect: 'deny', match: [`resource:a/${URI}`] }] }),
      file({ policy: { deny: [`resource:a/${URI}`] } }),
    ]) {
      await reload(gateway, denied)
      a.say(updated(URI))
      a.say(updated('x://2'))
      for (const { events } of [stream, listen]) {
        const next = await events.take(({ data }) => data.includes('resources/updated'), 'an update')
        expect(next.data).toContain('x://2')
      }
      expect(await session.request('2', 'resources/subscribe', `{"uri":"${URI}"}`)).toContain('"error"')
      expect(await session.request('3', 'resources/read', `{"uri":"${URI}"}`)).toContain('"error"')
      await reload(gateway, file({}))
      expect(await session.request('4', 'resources/subscribe', `{"uri":"${URI}"}`)).toContain('"result":{}')
    }
    listen.destroy()
  })
})

describe('a client that is removed', () => {
  test('has its calls, its question, its place in the queue and its streams ended, and frees their places', async () => {
    await using a = await scriptedStdio()
    const mcpServers = { a: { ...a.entry, maxConcurrentCalls: 1 } }
    const clients = withKeys({ ci: {}, other: {} })
    await using running = await startGateway({ mcpServers, clients })
    const { gateway, origin } = running
    await gateway.warmUp()
    const session = await LegacySession.open(origin, { ...as('ci'), capabilities: '{"elicitation":{}}' })
    const stream = await session.listen()
    const modern = new ModernHttp(origin, '/mcp', as('ci'))
    const listen = await listening(modern, '{"toolsListChanged":true}')
    const first = session.request('1', 'tools/call', CALL)
    await a.called('t')
    const queued = session.request('2', 'tools/call', CALL)
    const alone = modern.request('3', 'tools/call', CALL)
    await expect.poll(() => waiting(gateway)).toBe(2)
    await using other = await LegacySession.open(origin, as('other'))
    const others = other.request('4', 'tools/call', CALL)
    await expect.poll(() => waiting(gateway)).toBe(3)
    await reload(gateway, { mcpServers, clients: withKeys({ other: {} }) })
    for (const answer of [first, queued, alone]) expect(await answer).toContain(GONE)
    expect(await listen.body).toContain(GONE)
    await stream.body
    expect(gateway.sessions).toBe(1)
    // The server hears of the end of the call in flight, and then the place is that of the other client.
    await a.notifications.take(text => text.includes('notifications/cancelled'), 'the cancellation')
    await answered(a, others)
    expect(waiting(gateway)).toBe(0)
  })

  test('may not answer what it was asked, and neither may a client of its name that shows another key', async () => {
    await using a = await scriptedStdio()
    const mcpServers = { a: a.entry }
    await using running = await startGateway({ mcpServers, clients: withKeys({ ci: {}, other: {} }) })
    const { gateway, origin } = running
    await gateway.warmUp()
    const modern = new ModernHttp(origin, '/mcp', as('ci'))
    const capable = (params: string): string =>
      withEnvelope(params).replace(
        '/clientCapabilities":{}',
        '/clientCapabilities":{"elicitation":{"form":{}}}',
      )
    const asked = modern.post('1', 'tools/call', capable(CALL))
    const call = await a.called('t')
    call.say(`{"jsonrpc":"2.0","id":"q","method":"elicitation/create","params":${form('sure?')}}`)
    const body = await (await asked).body
    const text = body.slice(body.indexOf('{"jsonrpc"'))
    const state = rawAt(text, 'result', 'requestState')
    const key = Object.keys(JSON.parse(rawAt(text, 'result', 'inputRequests') ?? '{}') as object)[0]
    const retry = CALL.replace(
      /\}$/,
      `,"inputResponses":{"${key}":{"action":"decline"}},"requestState":${state}}`,
    )
    await reload(gateway, { mcpServers, clients: withKeys({ other: {} }) })
    expect((await modern.post('2', 'tools/call', capable(retry))).status).toBe(401)
    const stranger = new ModernHttp(origin, '/mcp', as('other'))
    expect(await (await stranger.post('3', 'tools/call', capable(retry))).body).toMatch(/requestState/)
  })

  test('and added again with another key is let in with that key alone, and what is used up stays so', async () => {
    await using a = await scriptedHttp({ sessions: true })
    a.results.set('tools/call', DONE.slice('"result":'.length))
    const mcpServers = { a: a.entry }
    const quota = { budget: { calls: '2/day' } }
    await using running = await startGateway({ mcpServers, clients: withKeys({ ci: quota, other: {} }) })
    const { gateway, origin } = running
    const session = await LegacySession.open(origin, as('ci'))
    expect(await session.request('1', 'tools/call', CALL)).toContain('done')
    await reload(gateway, { mcpServers, clients: withKeys({ other: {} }) })
    const keys = [`sha256:${keyDigestOf(keyOf('new'))}`]
    await reload(gateway, { mcpServers, clients: { ci: { keys, ...quota }, ...withKeys({ other: {} }) } })
    expect((await session.post(requestText('2', 'ping', undefined))).status).toBe(401)
    await using again = await LegacySession.open(origin, as('new'))
    expect(await again.request('3', 'tools/call', CALL)).toContain('done')
    expect(await again.request('4', 'tools/call', CALL)).not.toContain('done')
    // The session of the former key belongs to that key.
    const taken = new LegacySession(`${origin}/mcp`, session.id, '2025-11-25', as('new'))
    expect((await taken.post(requestText('5', 'ping', undefined))).status).toBe(404)
  })
})

describe('quotas', () => {
  const limited = (entry: object): object => withKeys({ ci: entry })

  test('that are taken away and put back count what was used before, and another period by itself', async () => {
    await using a = await scriptedHttp({ sessions: true })
    a.results.set('tools/call', DONE.slice('"result":'.length))
    const mcpServers = { a: a.entry }
    const file = (entry: object): File => ({ mcpServers, clients: limited(entry) })
    await using running = await startGateway(file({ budget: { calls: '3/day' } }))
    const { gateway, origin } = running
    await using session = await LegacySession.open(origin, as('ci'))
    let id = 0
    const lets = async (): Promise<boolean> =>
      (await session.request(`${++id}`, 'tools/call', CALL)).includes('"done"')
    expect([await lets(), await lets()]).toEqual([true, true])
    await reload(gateway, file({}))
    expect([await lets(), await lets()]).toEqual([true, true])
    await reload(gateway, file({ budget: { calls: '3/day' } }))
    // Calls without a quota were counted nowhere.
    expect([await lets(), await lets()]).toEqual([true, false])
    await reload(gateway, file({ budget: { calls: '2/month' } }))
    expect([await lets(), await lets(), await lets()]).toEqual([true, true, false])
    await reload(gateway, file({ budget: { calls: '1/day' } }))
    expect(await lets()).toBe(false)
    await reload(gateway, file({ budget: { calls: '4/day' } }))
    expect([await lets(), await lets()]).toEqual([true, false])
  })

  test('of calls at once that are lowered below what runs let none in until fewer run', async () => {
    await using a = await scriptedHttp({ sessions: true })
    const mcpServers = { a: a.entry }
    const file = (limits: object): File => ({ mcpServers, clients: limited({ limits: { '*/*': limits } }) })
    await using running = await startGateway(file({ concurrency: 3 }))
    const { gateway, origin } = running
    await using session = await LegacySession.open(origin, as('ci'))
    const running3 = ['1', '2', '3'].map(id => session.request(id, 'tools/call', CALL))
    const calls = [await a.called('t'), await a.called('t'), await a.called('t')]
    await reload(gateway, file({ concurrency: 1 }))
    expect(await session.request('4', 'tools/call', CALL)).toMatch(/1 call at once/)
    for (const call of calls) call.answer(DONE)
    for (const answer of running3) expect(await answer).toContain('done')
    const next = session.request('5', 'tools/call', CALL)
    ;(await a.called('t')).answer(DONE)
    expect(await next).toContain('done')
  })
})

test('a client certificate that belongs to no client any more, or to another one, ends its session', async () => {
  const authority = makeAuthority(SCRATCH, 'authority')
  const server = authority.sign('gateway')
  const shown = authority.sign('ci.example')
  const tls = { cert: server.certFile, key: server.keyFile, ca: authority.certFile }
  const gateway = { http: { port: 0, tls } }
  await using a = await scriptedHttp({ sessions: true })
  const mcpServers = { a: a.entry }
  const file = (clients: object): File => ({ mcpServers, clients, gateway })
  await using running = await startGateway(file({ ci: { certificates: ['ci.example'] }, cd: {} }))
  const post = (body: string, session?: string): Promise<{ status: number; session: string | undefined }> =>
    new Promise((resolve, reject) => {
      const headers = { ...JSON_HEADERS, ...(session !== undefined && { 'mcp-session-id': session }) }
      const options = {
        method: 'POST',
        agent: false,
        ca: authority.cert,
        cert: shown.cert,
        key: shown.key,
        headers,
      }
      const sent = httpsRequest(`${running.origin}/mcp`, options, response => {
        response.resume()
        const id = response.headers['mcp-session-id'] as string | undefined
        response.on('end', () => resolve({ status: response.statusCode ?? 0, session: id }))
      })
      sent.on('error', reject).end(body)
    })
  const INITIALIZE = requestText('1', 'initialize', '{"protocolVersion":"2025-11-25","capabilities":{}}')
  const { session } = await post(INITIALIZE)
  expect((await post(requestText('2', 'ping', undefined), session)).status).toBe(200)
  // Still the same client.
  await reload(running.gateway, file({ ci: { certificates: ['ci.example', 'more.example'] }, cd: {} }))
  expect((await post(requestText('3', 'ping', undefined), session)).status).toBe(200)
  await reload(running.gateway, file({ ci: {}, cd: { certificates: ['ci.example'] } }))
  expect((await post(requestText('4', 'ping', undefined), session)).status).toBe(404)
  const { session: other } = await post(INITIALIZE)
  expect(other).toBeDefined()
  await reload(running.gateway, file({ ci: {}, cd: {} }))
  expect((await post(requestText('5', 'ping', undefined), other)).status).toBe(403)
})

/** Number of calls that wait for their turn. */
function waiting(gateway: object): number {
  return (gateway as { runtime: { limiter: { waiting: number } } }).runtime.limiter.waiting
}

async function answered(server: ScriptedServer, answer: Promise<string>): Promise<void> {
  ;(await server.called('t')).answer(DONE)
  expect(await answer).toContain('done')
}
