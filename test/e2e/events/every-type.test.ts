import { expect, test } from 'vitest'
import { ConfigFile } from '../../../src/admin/config-file.ts'
import { listenOnSocket } from '../../../src/admin/listener.ts'
import { GatewayAdmin } from '../../../src/cli/gateway-admin.ts'
import { configFrom } from '../../../src/config/load/load.ts'
import { ReadingThreads } from '../../../src/config/source/reading-threads.ts'
import { API_KEY_PREFIX } from '../../../src/auth/key-records.ts'
import { EVENT_TYPES } from '../../../src/core/event-bus.ts'
import { RecentRecords } from '../../../src/observe/recent-records.ts'
import type { EventOf, EventType, GatewayEvent } from '../../../src/core/events.ts'
import { SILENT } from '../../../src/core/logger.ts'
import { EventQueue } from '../../../src/observe/event-queue.ts'
import { freePort } from '../../helpers/served.ts'
import { startAuthorizationServer } from '../../helpers/authorization-server.ts'
import { askAdmin } from '../../helpers/admin-client.ts'
import { callAs, keyOf, withKeys, type Caller } from '../../helpers/callers.ts'
import { startGateway, type TestGateway } from '../../helpers/gateway.ts'
import { startProtectedServer } from '../../helpers/protected-server.ts'
import { RecordedEvents } from '../../helpers/recorded-events.ts'
import { reload } from '../../helpers/reload.ts'
import { makeScratch } from '../../helpers/scratch.ts'
import { scriptedHttp, scriptedStdio, toolText, type ScriptedServer } from '../../helpers/scripted-servers.ts'
import { http, JSON_HEADERS, LegacySession } from '../../helpers/wire-clients.ts'

/** Every type of event happens in a real gateway. A type without a scene does not compile, and its test fails. */

const CALL = '{"name":"a__t","arguments":{}}'
const OK = '"result":{"content":[]}'
const LIST_CHANGED = '{"jsonrpc":"2.0","method":"notifications/tools/list_changed"}'

/** Makes an event happen; the rest of what it causes is heard as well. */
type Scene = (heard: RecordedEvents) => Promise<void>

async function start(heard: RecordedEvents, file: Parameters<typeof startGateway>[0]): Promise<TestGateway> {
  const started = await startGateway(file)
  heard.listenTo(started.gateway)
  return started
}

/** A server, a gateway in front of it, and a modern client. */
async function withServer(
  heard: RecordedEvents,
  entry: object,
  use: (server: ScriptedServer, caller: Caller, gateway: TestGateway) => Promise<void>,
): Promise<void> {
  await using server = await scriptedHttp()
  await using gateway = await start(heard, { mcpServers: { a: { ...server.entry, ...entry } } })
  await gateway.gateway.warmUp()
  await using caller = await callAs(gateway.origin, undefined, { modern: true })
  await use(server, caller as Caller, gateway)
}

async function call(server: ScriptedServer, caller: Caller): Promise<void> {
  const answer = caller.request('tools/call', CALL)
  ;(await server.called('t')).answer(OK)
  await answer
}

const aCall: Scene = heard => withServer(heard, {}, call)

const aSession: Scene = async heard => {
  await using gateway = await start(heard, { mcpServers: {} })
  const session = await LegacySession.open(gateway.origin)
  await session.listen()
  await session[Symbol.asyncDispose]()
  await heard.until('stream.closed')
}

const cachedCalls: Scene = heard =>
  withServer(heard, { tools: { t: { cache: { ttl: '1m' } } } }, async (server, caller) => {
    await call(server, caller)
    await caller.request('tools/call', CALL)
    server.say(LIST_CHANGED)
    await heard.until('cache.invalidated')
  })

/** A replica that is out of reach, and then is not. */
const aReturn: Scene = async heard => {
  const port = await freePort()
  await using gateway = await start(heard, {
    mcpServers: { a: { type: 'http', url: `http://127.0.0.1:${port}/mcp` } },
  })
  await gateway.gateway.warmUp()
  await heard.until('replica.ejected')
  await using server = await scriptedHttp({ port })
  server.results.set('tools/call', '{"content":[]}')
  await using caller = await callAs(gateway.origin, undefined, { modern: true, endpoint: 'a' })
  await expect
    .poll(() => caller?.request('tools/call', '{"name":"t"}'), { timeout: 10_000 })
    .toContain('"content":[]')
  await heard.until('replica.returned')
}

const aDrain: Scene = heard =>
  withServer(heard, {}, async (_server, _caller, { gateway }) => {
    await gateway.operations.drain('a', undefined, true)
    await gateway.operations.drain('a', undefined, false)
  })

/** A login that begins, and ends with the gateway. */
const aLogin: Scene = async heard => {
  await using authorization = await startAuthorizationServer()
  const { issuer, resourceServer: introspection } = authorization
  await using server = await startProtectedServer({ issuer, introspection })
  await using gateway = await start(heard, { mcpServers: { mail: { url: server.url } } })
  await gateway.gateway.operations.beginLogin('mail', 'gateway')
}

/** A call with a token that the server refuses, and then with one that it takes. */
const aRenewal: Scene = async heard => {
  const secret = 'secret-of-the-gateway'
  const machine = { client_id: 'gateway', client_secret: secret, grant_types: ['client_credentials'] }
  await using authorization = await startAuthorizationServer({ clients: [machine] })
  const { issuer, resourceServer: introspection } = authorization
  await using server = await startProtectedServer({ issuer, introspection })
  const oauth = { grant: 'client_credentials', clientId: 'gateway', clientSecret: secret, scopes: ['mcp'] }
  await using gateway = await start(heard, { mcpServers: { mail: { url: server.url, oauth } } })
  await gateway.gateway.warmUp()
  await using caller = await callAs(gateway.origin, undefined, { modern: true })
  const call = (): Promise<unknown> | undefined =>
    caller?.request('tools/call', '{"name":"mail__whoami","arguments":{}}')
  await authorization.revoke('AccessToken')
  await call()
  await server.refuse({ status: 401 })
  await call()
}

const SCENES: { readonly [T in EventType]: readonly [Scene, Partial<Record<keyof EventOf<T>, unknown>>] } = {
  'request.began': [aCall, { era: 'modern', endpoint: '', routed: true }],
  'request.ended': [aCall, { result: 'ok', error: undefined }],
  'attempt.ended': [aCall, { server: 'a', name: 't', error: undefined }],
  'quota.refused': [
    async heard => {
      await using server = await scriptedHttp()
      await using gateway = await start(heard, {
        mcpServers: { a: server.entry },
        clients: withKeys({ ci: { budget: { calls: '1/day' } } }),
      })
      await gateway.gateway.warmUp()
      await using caller = await callAs(gateway.origin, keyOf('ci'), { modern: true })
      await call(server, caller as Caller)
      await caller?.request('tools/call', CALL)
    },
    { limit: 'calls/day' },
  ],
  'access.refused': [
    async heard => {
      await using gateway = await start(heard, { mcpServers: {}, clients: withKeys({ ci: {} }) })
      const refused = await http(`${gateway.origin}/mcp`, { headers: JSON_HEADERS, body: '{}' })
      await refused.body
    },
    { status: 401 },
  ],
  'access.checked': [
    async heard => {
      await using gateway = await start(heard, { mcpServers: {}, clients: withKeys({ ci: {} }) })
      // A key that the file does not have is looked for in the state.
      const headers = { ...JSON_HEADERS, authorization: `Bearer ${API_KEY_PREFIX}${'x'.repeat(43)}` }
      const refused = await http(`${gateway.origin}/mcp`, { headers, body: '{}' })
      await refused.body
    },
    { durationMs: expect.any(Number) },
  ],
  'credential.login_began': [aLogin, { server: 'mail', owner: 'gateway' }],
  'credential.login_ended': [aLogin, { server: 'mail', owner: 'gateway', outcome: 'abandoned' }],
  'credential.renewed': [aRenewal, { server: 'mail', owner: 'gateway', cause: 'refused' }],
  'credential.refused': [
    aRenewal,
    {
      server: 'mail',
      owner: 'gateway',
      status: 401,
      error: expect.objectContaining({ code: 'upstream_unauthorized' }),
    },
  ],
  'session.opened': [aSession, { era: 'legacy', front: 'http', endpoint: '' }],
  'session.closed': [aSession, { era: 'legacy', front: 'http', endpoint: '' }],
  'stream.opened': [aSession, { era: 'legacy', front: 'http', endpoint: '' }],
  'stream.closed': [aSession, { era: 'legacy', front: 'http', endpoint: '' }],
  'link.opened': [aCall, { server: 'a', era: 'legacy', reopened: false }],
  'link.lost': [
    async heard => {
      await using server = await scriptedStdio()
      await using gateway = await start(heard, { mcpServers: { a: server.entry } })
      await gateway.gateway.warmUp()
      server.hangUp()
      await heard.until('link.lost')
    },
    { server: 'a', error: expect.objectContaining({ code: 'upstream_closed' }) },
  ],
  'link.closed': [aDrain, { server: 'a' }],
  'link.failed': [aReturn, { server: 'a', error: expect.objectContaining({ code: 'upstream_unreachable' }) }],
  'replica.ejected': [aReturn, { server: 'a' }],
  'replica.returned': [aReturn, { server: 'a' }],
  'replica.drained': [aDrain, { server: 'a' }],
  'replica.resumed': [aDrain, { server: 'a' }],
  'list.changed': [
    heard =>
      withServer(heard, {}, async (server, _caller, { origin }) => {
        await using session = await LegacySession.open(origin)
        await session.request('1', 'tools/list')
        server.results.set('tools/list', `{"tools":[${toolText('t')},${toolText('u')}]}`)
        server.say(LIST_CHANGED)
        await heard.until('list.changed')
      }),
    { endpoint: '', kinds: ['tools'] },
  ],
  'cache.stored': [cachedCalls, { server: 'a', tool: 't' }],
  'cache.hit': [cachedCalls, { server: 'a', tool: 't', from: 'memory' }],
  'cache.invalidated': [cachedCalls, { server: 'a' }],
  'reload.applied': [
    async heard => {
      await using gateway = await start(heard, { mcpServers: {} })
      await reload(gateway.gateway, { mcpServers: { b: { url: 'http://127.0.0.1:9/mcp' } } })
    },
    { servers: { added: ['b'], removed: [], changed: [] }, notReloadable: [] },
  ],
  'reload.refused': [
    async heard => {
      await using gateway = await start(heard, { mcpServers: {} })
      gateway.gateway.handler()
      const jwt = [{ issuer: 'https://127.0.0.1:9' }]
      const refused = (): Promise<unknown> =>
        reload(gateway.gateway, { mcpServers: {}, gateway: { auth: { jwt } } }).catch(
          (error: unknown) => error,
        )
      await expect.poll(refused).toMatchObject({ code: 'config' })
    },
    { error: expect.objectContaining({ code: 'config' }) },
  ],
  'admin.acted': [
    heard =>
      withServer(heard, {}, async (_server, _caller, { gateway }) => {
        await using scratch = makeScratch()
        const service = new GatewayAdmin({
          gateway,
          config: await configFrom({ mcpServers: {} }, { env: {} }),
          overrides: undefined,
          reloader: undefined,
          allowsCommands: false,
          recent: new RecentRecords(),
          threads: new ReadingThreads(),
          logger: SILENT,
        })
        const config = (): Promise<ConfigFile> => Promise.resolve(new ConfigFile(service))
        const at = { folder: scratch.path, file: 'servers.json' }
        const admin = await listenOnSocket(at, { service, config, logger: SILENT })
        await askAdmin(admin.at, { method: 'POST', path: '/admin/restart', body: { server: 'a' } })
        await admin.close()
      }),
    { action: 'POST /admin/restart', status: 200 },
  ],
  'shutdown.began': [
    async heard => {
      await using gateway = await start(heard, { mcpServers: {} })
      await gateway.gateway.stop()
    },
    {},
  ],
  'events.lost': [
    heard =>
      withServer(heard, {}, async (server, caller, { gateway }) => {
        const take = (events: readonly GatewayEvent[]): void => void heard.all.push(...events)
        const queue = new EventQueue({ logger: SILENT, take, maxEvents: 1 })
        const off = gateway.on('*', queue.listener)
        await call(server, caller)
        off()
        await queue.close()
      }),
    {},
  ],
}

test.each(EVENT_TYPES)('a running gateway tells of %s', { timeout: 20_000 }, async type => {
  const [scene, expected] = SCENES[type]
  const heard = new RecordedEvents()
  await scene(heard)
  const [event] = heard.of(type)
  expect(event).toMatchObject(expected)
  expect(event?.time).toBeGreaterThan(1_700_000_000_000)
})
