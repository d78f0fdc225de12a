import { Agent, request as httpRequest } from 'node:http'
import type { OutgoingHttpHeaders } from 'node:http'
import { connect } from 'node:net'
import { describe, expect, test } from 'vitest'
import { createKey, keyDigestOf, readAllKeys, removeKey, storeKey } from '../../src/auth/key-records.ts'
import { REREAD_MS } from '../../src/auth/api-keys.ts'
import { createMemoryStore } from '../../src/state/memory.ts'
import { startGateway, type TestGateway } from '../helpers/gateway.ts'
import {
  http,
  JSON_HEADERS,
  LegacySession,
  ModernHttp,
  requestText,
  withEnvelope,
} from '../helpers/wire-clients.ts'
import type { WireResponse } from '../helpers/wire-clients.ts'
import type { Store } from '../../src/state/store.ts'

/** Callers over HTTP: API keys, proxies, no credentials; and the owner of a session. Tokens and certificates have files of their own. */

const KEY = createKey()
const OTHER = createKey()
const CLIENTS = {
  ci: { keys: [`sha256:${keyDigestOf(KEY)}`] },
  cd: { keys: [`sha256:${keyDigestOf(OTHER)}`] },
}
const INITIALIZE = requestText('1', 'initialize', '{"protocolVersion":"2025-11-25","capabilities":{}}')
const PING = requestText('2', 'ping', undefined)
const bearer = (key: string): OutgoingHttpHeaders => ({ authorization: `Bearer ${key}` })

function gatewayFor(
  options: { clients?: object; auth?: object; http?: object; store?: Store } = {},
): Promise<TestGateway> {
  const { clients = CLIENTS, auth = {}, store } = options
  return startGateway(
    { mcpServers: {}, clients, gateway: { http: { port: 0, ...options.http }, auth } },
    store ? { store } : {},
  )
}

function post(
  origin: string,
  headers: OutgoingHttpHeaders,
  { body = INITIALIZE, path = '/mcp' } = {},
): Promise<WireResponse> {
  return http(origin + path, { headers: { ...JSON_HEADERS, ...headers }, body })
}

interface Refused {
  readonly status: number
  readonly challenge: string | undefined
  readonly code: unknown
  readonly message: string
}

async function refusalOf(response: WireResponse): Promise<Refused> {
  const { error } = JSON.parse(await response.body) as {
    error: { message: string; data?: { code?: string } }
  }
  const challenge = response.headers['www-authenticate']
  return { status: response.status, challenge, code: error.data?.code, message: error.message }
}

/** A session of the holder of the key. */
async function openAs(origin: string, key: string): Promise<string> {
  const response = await post(origin, bearer(key))
  await response.body
  expect(response.status).toBe(200)
  return response.headers['mcp-session-id'] as string
}

/** Resolves when the condition holds; there is no event for what another process does. */
const until = (holds: () => Promise<boolean>): Promise<void> => expect.poll(holds).toBe(true)

describe('API keys', () => {
  test('let their client in, in both eras, at every endpoint', async () => {
    await using gateway = await gatewayFor()
    expect((await post(gateway.origin, bearer(KEY))).status).toBe(200)
    await using modern = new ModernHttp(gateway.origin)
    const listed = await modern.post('1', 'tools/list', withEnvelope(), bearer(KEY))
    expect(listed.status).toBe(200)
    const sse = await http(`${gateway.origin}/sse`, { method: 'GET', headers: bearer(KEY) })
    expect(sse.status).toBe(200)
    sse.destroy()
  })

  test.each([
    ['nothing', {}, 401, 'Bearer', 'needed'],
    ['an unknown key', bearer(createKey()), 401, /^Bearer error="invalid_token"/, 'not known'],
    ['something else', bearer('something'), 401, /^Bearer error="invalid_token"/, 'not known'],
    ['a token', bearer('eyJh.eyJp.sig'), 401, /^Bearer error="invalid_token"/, 'not known'],
    [
      'another scheme',
      { authorization: 'Basic Y2k6Y2k=' },
      401,
      /invalid_token/,
      'Only "Authorization: Bearer"',
    ],
    ['nothing after the scheme', { authorization: 'Bearer' }, 401, /invalid_token/, 'Only'],
    ['an empty header', { authorization: '' }, 401, /invalid_token/, 'Only'],
  ])('%s is refused', async (_, headers, status, challenge, message) => {
    await using gateway = await gatewayFor()
    const refused = await refusalOf(await post(gateway.origin, headers))
    expect(refused).toMatchObject({ status, code: 'unauthenticated' })
    expect(refused.challenge).toMatch(challenge)
    expect(refused.message).toContain(message)
  })

  test.each([
    ['different', KEY, OTHER],
    ['equal', KEY, KEY],
  ])('two %s Authorization headers are refused', async (_, first, second) => {
    await using gateway = await gatewayFor()
    const { hostname, port } = new URL(gateway.origin)
    const socket = connect(Number(port), hostname)
    const lines = [
      'POST /mcp HTTP/1.1',
      `Host: ${hostname}`,
      'Content-Type: application/json',
      'Accept: application/json',
      `Authorization: Bearer ${first}`,
      `Authorization: Bearer ${second}`,
      `Content-Length: ${INITIALIZE.length}`,
      'Connection: close',
    ]
    socket.end(`${lines.join('\r\n')}\r\n\r\n${INITIALIZE}`)
    let answer = ''
    for await (const chunk of socket) answer += String(chunk)
    expect(answer).toMatch(/^HTTP\/1\.1 400 /)
    expect(answer).toContain('more than one Authorization header')
  })

  test.each(['access_token', 'key', 'x'])(
    'a key in the query (%s) is refused and stays out of the log',
    async name => {
      const said: string[] = []
      const say = (message: string, fields?: object): void =>
        void said.push(message + JSON.stringify(fields ?? {}))
      const logger = { error: say, warn: say, info: say, debug: say, child: () => logger }
      const config = { mcpServers: {}, clients: CLIENTS, gateway: { http: { port: 0 } } }
      await using gateway = await startGateway(config, { logger })
      for (const headers of [{}, bearer(KEY)]) {
        const refused = await refusalOf(await post(gateway.origin, headers, { path: `/mcp?${name}=${KEY}` }))
        expect(refused).toMatchObject({ status: 400, code: 'unauthenticated' })
        expect(refused.message).toContain('addresses are logged')
      }
      expect(said.join('\n')).not.toContain(KEY.slice(4))
    },
  )

  test('are looked at with each request of a connection', async () => {
    await using gateway = await gatewayFor()
    const agent = new Agent({ keepAlive: true, maxSockets: 1 })
    const status = (key: string | undefined): Promise<number> =>
      new Promise((resolve, reject) => {
        const headers = { ...JSON_HEADERS, ...(key === undefined ? {} : bearer(key)) }
        const sent = httpRequest(`${gateway.origin}/mcp`, { method: 'POST', agent, headers }, response => {
          response.resume().on('end', () => resolve(response.statusCode ?? 0))
        })
        sent.on('error', reject).end(INITIALIZE)
      })
    const seen: number[] = []
    for (const key of [KEY, KEY, 'wrong', undefined, OTHER, KEY]) seen.push(await status(key))
    expect(seen).toEqual([200, 200, 401, 401, 200, 200])
    agent.destroy()
  })

  test('made while the gateway runs count at once; of a client that is not configured never', async () => {
    const store = createMemoryStore()
    await using gateway = await gatewayFor({ store })
    const [made, orphaned] = [createKey(), createKey()]
    const record = { created: Date.now(), expires: undefined, note: undefined }
    await storeKey(store, { digest: keyDigestOf(made), client: 'ci', ...record })
    await storeKey(store, { digest: keyDigestOf(orphaned), client: 'gone', ...record })
    expect((await post(gateway.origin, bearer(made))).status).toBe(200)
    expect((await post(gateway.origin, bearer(orphaned))).status).toBe(401)
    expect(await readAllKeys(store)).toHaveLength(2)
  })

  test(
    'that are revoked end their sessions and streams',
    async () => {
      const store = createMemoryStore()
      await using gateway = await gatewayFor({ store })
      const made = createKey()
      const digest = keyDigestOf(made)
      await storeKey(store, {
        digest,
        client: 'ci',
        created: Date.now(),
        expires: undefined,
        note: undefined,
      })
      const id = await openAs(gateway.origin, made)
      const session = new LegacySession(`${gateway.origin}/mcp`, id, '2025-11-25')
      const stream = await http(session.url, {
        method: 'GET',
        headers: { ...session.headers, ...bearer(made) },
      })
      const sse = await http(`${gateway.origin}/sse`, { method: 'GET', headers: bearer(made) })
      await using modern = new ModernHttp(gateway.origin)
      const listen = await modern.post(
        '1',
        'subscriptions/listen',
        withEnvelope('{"notifications":{"toolsListChanged":true}}'),
        bearer(made),
      )
      // Those of another key go on.
      const other = await openAs(gateway.origin, OTHER)
      expect(gateway.gateway.sessions).toBe(3)

      await removeKey(store, digest)
      await Promise.all([stream.body, sse.body, listen.body])
      expect((await refusalOf(await post(gateway.origin, bearer(made), { body: PING }))).status).toBe(401)
      expect(gateway.gateway.sessions).toBe(1)
      const alive = await post(gateway.origin, { ...bearer(OTHER), 'mcp-session-id': other }, { body: PING })
      expect(alive.status).toBe(200)
    },
    REREAD_MS * 4,
  )

  test('that expire are refused from that moment on', async () => {
    const store = createMemoryStore()
    await using gateway = await gatewayFor({ store })
    const made = createKey()
    const expires = Date.now() + 1500
    await storeKey(store, {
      digest: keyDigestOf(made),
      client: 'ci',
      created: Date.now(),
      expires,
      note: undefined,
    })
    await openAs(gateway.origin, made)
    await until(async () => (await post(gateway.origin, bearer(made))).status === 401)
    expect(Date.now()).toBeGreaterThanOrEqual(expires)
    await until(async () => gateway.gateway.sessions === 0)
  })
})

describe('a session', () => {
  test('does not exist for another client', async () => {
    await using gateway = await gatewayFor()
    const id = await openAs(gateway.origin, KEY)
    const session = new LegacySession(`${gateway.origin}/mcp`, id, '2025-11-25')
    const as = (key: string): OutgoingHttpHeaders => ({ ...session.headers, ...bearer(key) })
    const last = await http(session.url, { headers: as(OTHER), body: PING })
    expect([last.status, await last.body]).toEqual([404, expect.stringContaining('Session not found')])
    expect((await http(session.url, { method: 'GET', headers: as(OTHER) })).status).toBe(404)
    expect((await http(session.url, { method: 'DELETE', headers: as(OTHER) })).status).toBe(404)
    expect((await http(session.url, { headers: as(KEY), body: PING })).status).toBe(200)
    // The same words as for one that never was.
    const never = await http(session.url, { headers: { ...as(KEY), 'mcp-session-id': 'x' }, body: PING })
    expect(await never.body).toBe(await last.body)
  })

  test('cannot be resumed by another client', async () => {
    await using gateway = await gatewayFor()
    const id = await openAs(gateway.origin, KEY)
    const headers = {
      ...JSON_HEADERS,
      'mcp-session-id': id,
      'mcp-protocol-version': '2025-11-25',
      'last-event-id': '0-0-0',
    }
    const stolen = await http(`${gateway.origin}/mcp`, {
      method: 'GET',
      headers: { ...headers, ...bearer(OTHER) },
    })
    expect(stolen.status).toBe(404)
    const own = await http(`${gateway.origin}/mcp`, {
      method: 'GET',
      headers: { ...headers, ...bearer(KEY) },
    })
    expect(own.status).toBe(400)
  })

  test('of the deprecated transport is bound to the client that opened its stream, not to its address', async () => {
    await using gateway = await gatewayFor()
    const stream = await http(`${gateway.origin}/sse`, { method: 'GET', headers: bearer(KEY) })
    const { data: path } = await stream.events.take()
    const send = (headers: OutgoingHttpHeaders): Promise<WireResponse> =>
      post(gateway.origin, headers, { body: INITIALIZE, path })
    expect((await send({})).status).toBe(401)
    expect((await send(bearer(OTHER))).status).toBe(404)
    expect(stream.events.left).toEqual([])
    expect((await send(bearer(KEY))).status).toBe(202)
    expect((await stream.events.take()).data).toContain('"protocolVersion"')
    stream.destroy()
  })
})

describe('callers without credentials', () => {
  test('are the anonymous client when there is one, and a wrong key is still wrong', async () => {
    await using gateway = await gatewayFor({
      clients: { ...CLIENTS, guest: {} },
      auth: { anonymous: 'guest' },
    })
    expect((await post(gateway.origin, {})).status).toBe(200)
    expect((await post(gateway.origin, bearer('wrong'))).status).toBe(401)
    expect((await post(gateway.origin, bearer(KEY))).status).toBe(200)
  })

  test('are all accepted when there are no clients; only an unknown key is refused', async () => {
    await using gateway = await gatewayFor({ clients: {} })
    expect((await post(gateway.origin, {})).status).toBe(200)
    expect((await post(gateway.origin, { authorization: 'Basic Y2k6Y2k=' })).status).toBe(200)
    expect((await post(gateway.origin, bearer(KEY))).status).toBe(401)
  })

  test('get a preflight answered, and a refusal that a page can read', async () => {
    await using gateway = await gatewayFor()
    const origin = { origin: 'http://localhost:8080' }
    const preflight = await http(`${gateway.origin}/mcp`, { method: 'OPTIONS', headers: origin })
    expect(preflight.status).toBe(204)
    const refused = await post(gateway.origin, origin)
    expect(refused.status).toBe(401)
    expect(refused.headers).toMatchObject({
      'access-control-allow-origin': origin.origin,
      'access-control-expose-headers': expect.stringContaining('www-authenticate'),
    })
  })

  test('do not learn which endpoints there are', async () => {
    await using gateway = await gatewayFor()
    expect((await post(gateway.origin, {}, { path: '/mcp/none' })).status).toBe(401)
    expect((await post(gateway.origin, bearer(KEY), { path: '/mcp/none' })).status).toBe(404)
  })

  test('find /healthz open, and in /readyz no names unless they are on this machine', async () => {
    const file = { mcpServers: { secret: { command: 'x' } }, clients: CLIENTS }
    await using gateway = await startGateway(file)
    const get = async (path: string, headers: OutgoingHttpHeaders = {}): Promise<unknown> =>
      JSON.parse(await (await http(gateway.origin + path, { method: 'GET', headers })).body)
    const far = { 'x-forwarded-for': '203.0.113.7' }
    expect(await get('/healthz')).toEqual({ status: 'ok' })
    expect(await get('/readyz')).toMatchObject({ ready: true, servers: [{ name: 'secret' }] })
    expect(await get('/readyz', far)).toEqual({ ready: true })
    expect(await get('/readyz', { ...far, ...bearer('wrong') })).toEqual({ ready: true })
    expect(await get('/readyz', { ...far, ...bearer(KEY) })).toMatchObject({ servers: [{ name: 'secret' }] })
  })
})

describe('a trusted proxy', () => {
  const clients = { ...CLIENTS, ada: { users: ['ada'] }, people: {} }
  const proxy = { header: 'X-User', from: ['127.0.0.0/8'] }

  test('names the client', async () => {
    await using gateway = await gatewayFor({ clients, auth: { proxy } })
    expect((await post(gateway.origin, { 'x-user': 'ada' })).status).toBe(200)
    expect((await refusalOf(await post(gateway.origin, { 'x-user': 'bob' }))).status).toBe(403)
    expect((await refusalOf(await post(gateway.origin, {}))).status).toBe(401)
    await using open = await gatewayFor({ clients, auth: { proxy: { ...proxy, client: 'people' } } })
    const response = await post(open.origin, { 'x-user': 'bob' })
    expect(response.status).toBe(200)
    const session = { 'mcp-session-id': response.headers['mcp-session-id'] as string }
    // Users share rules, not sessions.
    expect((await post(open.origin, { ...session, 'x-user': 'bob' }, { body: PING })).status).toBe(200)
    expect((await post(open.origin, { ...session, 'x-user': 'eve' }, { body: PING })).status).toBe(404)
  })

  test('is one from its own address only', async () => {
    await using gateway = await gatewayFor({
      clients,
      auth: { proxy: { ...proxy, from: ['10.0.0.0/8', '::1'] } },
    })
    for (const headers of [{}, bearer(KEY)]) {
      const refused = await refusalOf(await post(gateway.origin, { 'x-user': 'ada', ...headers }))
      expect(refused).toMatchObject({ status: 403, code: 'forbidden' })
    }
  })

  test('names one user', async () => {
    await using gateway = await gatewayFor({
      clients: { ...clients, pair: { users: ['ada, eve'] } },
      auth: { proxy },
    })
    const twice = await refusalOf(await post(gateway.origin, { 'x-user': ['ada', 'eve'] }))
    expect(twice).toMatchObject({ status: 400, message: expect.stringContaining('more than once') })
    expect((await post(gateway.origin, { 'x-user': 'ada, eve' })).status).toBe(200)
    expect((await post(gateway.origin, { 'x-user': '' })).status).toBe(400)
  })

  test('and a key have to agree', async () => {
    const both = { ...CLIENTS, ci: { ...CLIENTS.ci, users: ['ci'] }, ada: { users: ['ada'] } }
    await using gateway = await gatewayFor({ clients: both, auth: { proxy } })
    expect((await post(gateway.origin, { 'x-user': 'ci', ...bearer(KEY) })).status).toBe(200)
    const refused = await refusalOf(await post(gateway.origin, { 'x-user': 'ada', ...bearer(KEY) }))
    expect(refused).toMatchObject({
      status: 400,
      message: expect.stringContaining('two different identities'),
    })
  })
})

describe('an address that others reach', () => {
  test('needs clients, or --allow-anonymous', async () => {
    await expect(gatewayFor({ clients: {}, http: { host: '0.0.0.0' } })).rejects.toThrow(
      /Add "clients".*--allow-anonymous/,
    )
    await using gateway = await gatewayFor({ http: { host: '0.0.0.0' } })
    expect((await post(gateway.origin.replace('0.0.0.0', '127.0.0.1'), bearer(KEY))).status).toBe(200)
  })

  test('needs a name when tokens are issued for it', async () => {
    const auth = { jwt: [{ issuer: 'https://login.example' }] }
    await expect(gatewayFor({ auth, http: { host: '0.0.0.0' } })).rejects.toThrow(/gateway\.http\.publicUrl/)
  })
})
