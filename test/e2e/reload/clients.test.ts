import { expect, test } from 'vitest'
import { startGateway } from '../../helpers/gateway.ts'
import { startIssuer } from '../../helpers/issuer.ts'
import { reload } from '../../helpers/reload.ts'
import { keyDigestOf, removeKey, storeKey } from '../../../src/auth/key-records.ts'
import { createMemoryStore } from '../../../src/state/memory.ts'
import { scriptedHttp } from '../../helpers/scripted-servers.ts'
import { LegacySession, ModernHttp, withEnvelope } from '../../helpers/wire-clients.ts'

const KEY = 'mfd_' + 'a'.repeat(43)
const OTHER = 'mfd_' + 'b'.repeat(43)
const headers = { authorization: `Bearer ${KEY}` }
const clients = {
  ci: { keys: [`sha256:${keyDigestOf(KEY)}`] },
  other: { keys: [`sha256:${keyDigestOf(OTHER)}`] },
}
const RESULT = '"result":{"content":[{"type":"text","text":"done"}]}'

test('a client that is removed gets an error in its session and on its stream, and is refused afterwards', async () => {
  await using a = await scriptedHttp({ sessions: true })
  const mcpServers = { a: a.entry }
  await using running = await startGateway({ mcpServers, clients })
  const { gateway, origin } = running
  const session = await LegacySession.open(origin, { headers })
  const modern = new ModernHttp(origin, '/mcp', { headers })
  const listening = await modern.post(
    '1',
    'subscriptions/listen',
    withEnvelope('{"notifications":{"toolsListChanged":true}}'),
  )
  await listening.events.take(({ data }) => data.includes('acknowledged'))
  const answer = session.request('2', 'tools/call', '{"name":"a__t","arguments":{}}')
  await a.called('t')
  await reload(gateway, { mcpServers, clients: { other: clients.other } })
  expect(await answer).toContain('the credentials of \\"ci\\" are no longer valid')
  expect(await listening.body).toContain('the credentials of \\"ci\\" are no longer valid')
  expect((await session.post('{"jsonrpc":"2.0","id":3,"method":"tools/list"}')).status).toBe(401)
  expect(gateway.sessions).toBe(0)
})

test('a key that is taken from a client ends what it opened, and its other key goes on', async () => {
  await using a = await scriptedHttp({ sessions: true })
  const mcpServers = { a: a.entry }
  const both = [...clients.ci.keys, ...clients.other.keys]
  await using running = await startGateway({ mcpServers, clients: { ci: { keys: both } } })
  const { gateway, origin } = running
  const gone = await LegacySession.open(origin, { headers })
  await using kept = await LegacySession.open(origin, { headers: { authorization: `Bearer ${OTHER}` } })
  await reload(gateway, { mcpServers, clients: { ci: { keys: clients.other.keys } } })
  expect((await gone.post('{"jsonrpc":"2.0","id":1,"method":"ping"}')).status).toBe(401)
  expect(await kept.request('2', 'tools/list')).toContain('a__t')
})

test('a call in flight and its session go on when another client is added', async () => {
  await using a = await scriptedHttp({ sessions: true })
  const mcpServers = { a: a.entry }
  await using running = await startGateway({ mcpServers, clients })
  const { gateway, origin } = running
  await using session = await LegacySession.open(origin, { headers })
  const answer = session.request('1', 'tools/call', '{"name":"a__t","arguments":{}}')
  const call = await a.called('t')
  await reload(gateway, { mcpServers, clients: { ...clients, third: { keys: [] } } })
  call.answer(RESULT)
  expect(await answer).toContain('done')
  expect(await session.request('2', 'tools/list')).toContain('a__t')
})

test('what is used up of a budget stays used up, whether its limit is raised or lowered', async () => {
  await using a = await scriptedHttp({ sessions: true })
  a.results.set('tools/call', '{"content":[{"type":"text","text":"done"}]}')
  const mcpServers = { a: a.entry }
  const limited = (calls: number): object => ({ ci: { ...clients.ci, budget: { calls: `${calls}/day` } } })
  await using running = await startGateway({ mcpServers, clients: limited(3) })
  const { gateway, origin } = running
  await using session = await LegacySession.open(origin, { headers })
  let id = 0
  const call = (): Promise<string> =>
    session.request(String(++id), 'tools/call', '{"name":"a__t","arguments":{}}')
  for (let times = 0; times < 3; times++) expect(await call()).toContain('done')
  expect(await call()).not.toContain('done')
  await reload(gateway, { mcpServers, clients: limited(4) })
  expect(await call()).toContain('done')
  expect(await call()).not.toContain('done')
  await reload(gateway, { mcpServers, clients: limited(2) })
  expect(await call()).not.toContain('done')
})

test('a token is accepted after another client is added while its issuer cannot be reached, and the keys are forgotten with the issuer', async () => {
  await using issuer = await startIssuer()
  const file = (jwt: readonly object[] | undefined, more: object = {}): Record<string, object> => ({
    mcpServers: {},
    clients: { people: {}, ...more },
    gateway: { auth: jwt && { jwt } },
  })
  const jwt = [{ issuer: issuer.url, audience: ['https://mcp.example/mcp'], client: 'people' }]
  await using running = await startGateway(file(jwt))
  const { gateway, origin } = running
  const opened = async (): Promise<string> => {
    const options = { headers: { authorization: `Bearer ${await issuer.token()}` } }
    const session = await LegacySession.open(origin, options).catch((error: Error) => error)
    if (session instanceof Error) return session.message
    await session[Symbol.asyncDispose]()
    return 'open'
  }
  expect(await opened()).toBe('open')
  issuer.up = false
  await reload(gateway, file(jwt, clients))
  expect(await opened()).toBe('open')
  await reload(gateway, file(undefined, clients))
  await reload(gateway, file(jwt, clients))
  expect(await opened()).toContain('no session: 503')
})

test('a key from the store is accepted after a reload while the store is away, and not once it is revoked', async () => {
  await using a = await scriptedHttp({ sessions: true })
  const store = createMemoryStore()
  const [getMany, keys] = [store.getMany.bind(store), store.keys.bind(store)]
  const record = {
    digest: keyDigestOf(KEY),
    client: 'ci',
    created: Date.now(),
    expires: undefined,
    note: undefined,
  }
  await storeKey(store, record)
  const file = (more: object): Record<string, object> => ({
    mcpServers: { a: a.entry },
    clients: { ci: {}, ...more },
  })
  await using running = await startGateway(file({}), { store })
  const { gateway, origin } = running
  const list = async (): Promise<string> =>
    await (
      await new ModernHttp(origin, '/mcp', { headers }).post('1', 'tools/list', withEnvelope('{}'))
    ).body
  expect(await list()).toContain('a__t')
  const away = (): never => {
    throw new Error('away')
  }
  store.getMany = store.keys = away
  await reload(gateway, file({ other: {} }))
  expect(await list()).toContain('a__t')
  Object.assign(store, { getMany, keys })
  await removeKey(store, keyDigestOf(KEY))
  await reload(gateway, file({ third: {} }))
  await expect.poll(list, { timeout: 10_000 }).toContain('not known here')
})
