import { bearer, keyOf, withKeys } from '../../../helpers/callers.ts'
import { LegacySession } from '../../../helpers/wire-clients.ts'
import { startRawServer, type RawServer } from '../../../fixtures/servers/raw.js'
import { changeAt, ofFile, type KeyTest, type KeyTests, type Look } from './change.ts'
import { twoCalls } from './two-calls.ts'

/** What a change of each key of clients, roles, profiles and identity does. */

type Headers = Readonly<Record<string, string>>

/** What a caller with these headers gets for a request: the answer, or `refused` where there is no session. */
const asked =
  (headers: Headers, method: string, params: string, path = '/mcp'): Look =>
  async ({ origin }) => {
    const session = await LegacySession.open(origin, { headers, path }).catch(() => undefined)
    if (session === undefined) return 'refused'
    try {
      return await session.request('1', method, params)
    } finally {
      await session[Symbol.asyncDispose]()
    }
  }

const key = (name: string): Headers => bearer(keyOf(name)) as Headers

/** Whether the tool `t` is listed. */
const lists =
  (headers: Headers = key('ci'), path?: string): Look =>
  async scene => {
    const answer = String(await asked(headers, 'tools/list', '{}', path)(scene))
    return answer === 'refused' ? answer : answer.includes('a__t"')
  }

/** Whether a call is answered by the server. */
const calls =
  (headers: Headers = key('ci')): Look =>
  async scene =>
    String(await asked(headers, 'tools/call', '{"name":"a__t"}')(scene)).includes('well')

const client = (entry: object, more: object = {}): Record<string, unknown> => ({
  clients: withKeys({ ci: entry }),
  ...more,
})
const DENY = { deny: ['a/t'] }
const rule = (entry: object): Record<string, unknown> => client({ default: 'allow', rules: [entry] })
const match = ['a/t']
const limits = (limit: object): Record<string, unknown> => client({ limits: { 'a/*': limit } })
const proxy = (entry: object, users: object = { users: ['ada'] }): Record<string, unknown> => ({
  ...client(users),
  gateway: { auth: { proxy: { header: 'x-user', from: ['127.0.0.1'], ...entry } } },
})
const ADA = { 'x-user': 'ada' }
const role = (entry: object): Record<string, unknown> => client({ roles: ['r'] }, { roles: { r: entry } })

/** The header that a call of the client brings to the server. */
function valuesTest(): KeyTest {
  const file =
    (token: string) =>
    ({ url }: RawServer) => ({
      mcpServers: { a: { url, headers: { 'x-of-client': '${client.token}' } } },
      clients: withKeys({ ci: { values: { token } } }),
    })
  const start = async (): Promise<RawServer & AsyncDisposable> => {
    const server = await startRawServer()
    return Object.assign(server, { [Symbol.asyncDispose]: () => server.close() })
  }
  const look: Look<RawServer> = async ({ origin, server }) => {
    await using session = await LegacySession.open(origin, { headers: key('ci') })
    await session.request('1', 'tools/call', '{"name":"a__echo_raw"}')
    return server.requests.findLast(({ text }) => text.includes('"tools/call"'))?.headers['x-of-client']
  }
  return changeAt(start, [file('one'), file('two')], look, ['one', 'two'])
}

export const CLIENT_KEYS: KeyTests = {
  clients: ofFile({}, client({}), lists({}), [true, 'refused']),
  'clients.*.keys': ofFile(client({}), { clients: withKeys({ other: {} }) }, lists(), [true, 'refused']),
  'clients.*.values': valuesTest(),
  'clients.*.users': ofFile(proxy({}, {}), proxy({}), lists(ADA), ['refused', true]),
  'clients.*.roles': ofFile(
    client({}, { roles: { r: DENY } }),
    client({ roles: ['r'] }, { roles: { r: DENY } }),
    lists(),
    [true, false],
  ),
  'clients.*.allow': ofFile(client({ allow: ['a/u'] }), client({ allow: ['a/t'] }), lists(), [false, true]),
  'clients.*.deny': ofFile(client({ deny: ['a/u'] }), client(DENY), lists(), [true, false]),
  'clients.*.default': ofFile(
    client({ default: 'allow' }),
    client({ default: 'deny', allow: ['a/u'] }),
    lists(),
    [true, false],
  ),
  'clients.*.shadow': ofFile(client({ ...DENY, shadow: true }), client({ ...DENY, shadow: false }), lists(), [
    true,
    false,
  ]),
  'clients.*.rules.*.effect': ofFile(
    rule({ effect: 'allow', match }),
    rule({ effect: 'deny', match }),
    lists(),
    [true, false],
  ),
  'clients.*.rules.*.match': ofFile(
    rule({ effect: 'deny', match: ['a/u'] }),
    rule({ effect: 'deny', match }),
    lists(),
    [true, false],
  ),
  'clients.*.rules.*.when': ofFile(
    rule({ effect: 'deny', match, when: 'principal.client == "other"' }),
    rule({ effect: 'deny', match, when: 'principal.client == "ci"' }),
    calls(),
    [true, false],
  ),
  'clients.*.rules.*.shadow': ofFile(
    rule({ effect: 'deny', match, shadow: true }),
    rule({ effect: 'deny', match, shadow: false }),
    lists(),
    [true, false],
  ),
  'clients.*.rate': ofFile(client({}), client({ rate: '1/hour' }), calls(), [true, false]),
  'clients.*.concurrency': ofFile(client({}), client({ concurrency: 1 }), twoCalls(key('ci')), [
    'both',
    'refused',
  ]),
  'clients.*.budget': ofFile(client({}), client({ budget: { calls: '1/month' } }), calls(), [true, false]),
  'clients.*.budget.calls': ofFile(
    client({ budget: { calls: '1000/month' } }),
    client({ budget: { calls: '1/month' } }),
    calls(),
    [true, false],
  ),
  'clients.*.budget.compute': ofFile(
    client({ budget: { compute: '1h/month' } }),
    client({ budget: { compute: '1ms/month' } }),
    calls(),
    [true, false],
  ),
  'clients.*.budget.cost': ofFile(
    client({ budget: { cost: '1000/month' } }),
    client({ budget: { cost: '1/month' } }),
    calls(),
    [true, false],
  ),
  'clients.*.budget.bytes': ofFile(
    client({ budget: { bytes: '1MiB/month' } }),
    client({ budget: { bytes: '10B/month' } }),
    calls(),
    [true, false],
  ),
  'clients.*.limits.*.rate': ofFile(limits({ rate: '1000/hour' }), limits({ rate: '1/hour' }), calls(), [
    true,
    false,
  ]),
  'clients.*.limits.*.concurrency': ofFile(
    limits({ concurrency: 2 }),
    limits({ concurrency: 1 }),
    twoCalls(key('ci')),
    ['both', 'refused'],
  ),
  'clients.*.limits.*.budget': ofFile(
    limits({ budget: { calls: '1000/month' } }),
    limits({ budget: { calls: '1/month' } }),
    calls(),
    [true, false],
  ),
  roles: ofFile(
    client({ roles: ['r'] }, { roles: { r: {} } }),
    client({ roles: ['r'] }, { roles: { r: DENY } }),
    lists(),
    [true, false],
  ),
  'roles.*.allow': ofFile(role({ allow: ['a/t'] }), role({ allow: ['a/t', 'a/u'] }), lists(), [true, true]),
  'roles.*.deny': ofFile(role({ deny: ['a/u'] }), role(DENY), lists(), [true, false]),
  'roles.*.rules': ofFile(
    role({ rules: [{ effect: 'deny', match: ['a/u'] }] }),
    role({ rules: [{ effect: 'deny', match }] }),
    lists(),
    [true, false],
  ),
  profiles: ofFile({}, { profiles: { p: {} } }, lists({}, '/mcp/p'), ['refused', true]),
  'profiles.*.servers': ofFile(
    { profiles: { p: { servers: [] } } },
    { profiles: { p: { servers: ['a'] } } },
    lists({}, '/mcp/p'),
    ['refused', true],
  ),
  'profiles.*.tools': ofFile(
    { profiles: { p: { tools: ['a/u'] } } },
    { profiles: { p: { tools: ['a/t'] } } },
    lists({}, '/mcp/p'),
    [false, true],
  ),
  'gateway.policy': ofFile({ gateway: {} }, { gateway: { policy: DENY } }, lists({}), [true, false]),
  'gateway.auth.anonymous': ofFile(
    client({}),
    client({}, { gateway: { auth: { anonymous: 'ci' } } }),
    lists({}),
    ['refused', true],
  ),
  'gateway.auth.proxy': ofFile(client({}), proxy({ client: 'ci' }, {}), lists(ADA), ['refused', true]),
  'gateway.auth.proxy.header': ofFile(proxy({ header: 'x-who' }), proxy({}), lists(ADA), ['refused', true]),
  'gateway.auth.proxy.from': ofFile(proxy({ from: ['10.0.0.0/8'] }), proxy({}), lists(ADA), [
    'refused',
    true,
  ]),
  'gateway.auth.proxy.client': ofFile(proxy({}, {}), proxy({ client: 'ci' }, {}), lists(ADA), [
    'refused',
    true,
  ]),
}
