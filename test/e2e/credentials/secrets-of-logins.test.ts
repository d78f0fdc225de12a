import { readFileSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, onTestFinished, test } from 'vitest'
import { converseWith } from '../../../src/cli/running-gateways.ts'
import { SILENT } from '../../../src/core/logger.ts'
import type { TokenSet } from '../../../src/credentials/oauth/token-set.ts'
import { KeyRing } from '../../../src/state/key-ring.ts'
import { openStore } from '../../../src/state/open.ts'
import { SealedVault } from '../../../src/vault/sealed-vault.ts'
import { askAdmin, folderForTest, servingWithSocket } from '../../helpers/admin-client.ts'
import { decideDevice, startAuthorizationServer } from '../../helpers/authorization-server.ts'
import { bearer, keyOf, withKeys } from '../../helpers/callers.ts'
import { startGateway } from '../../helpers/gateway.ts'
import { logInAtLink } from '../../helpers/hosted-login.ts'
import { startProtectedServer } from '../../helpers/protected-server.ts'
import { RecordedEvents } from '../../helpers/recorded-events.ts'
import { hasRedis, startRedis } from '../../helpers/redis-server.ts'
import { filesIn, found } from '../../helpers/secret-search.ts'
import { ModernHttp, withEnvelope } from '../../helpers/wire-clients.ts'

/**
 * Logins in a browser and by a code, with tokens that are bound to a key: what they are made of is in no answer, event,
 * log or byte of the state. What is sealed opens with the key of the file alone, which no other user can read.
 */

interface Place {
  /** `gateway.state`. */
  readonly state: string
  /** Has the store write everything to its folder. */
  readonly flush: () => Promise<void>
}

const PLACES: readonly [string, boolean, (folder: string) => Promise<Place>][] = [
  [
    'LMDB',
    true,
    async folder =>
      await Promise.resolve({ state: `lmdb:${join(folder, 'state')}`, flush: () => Promise.resolve() }),
  ],
  [
    'Redis',
    hasRedis(),
    async folder => {
      const redis = await startRedis(undefined, ['--dir', folder, '--appendonly', 'yes', '--save', '3600 1'])
      onTestFinished(() => redis.stop())
      const { createClient } = await import('@redis/client')
      const flush = async (): Promise<void> => {
        const client = createClient({ url: redis.url })
        await client.connect()
        await client.sendCommand(['SAVE'])
        await client.close()
      }
      return { state: redis.url, flush }
    },
  ],
]

const call = (client: ModernHttp, id: number, server: string): Promise<string> =>
  client.request(String(id), 'tools/call', withEnvelope(`{"name":"${server}__whoami","arguments":{}}`))

/** A person completes the login behind the link of a hosted page. */
async function complete(
  link: string,
): Promise<{ readonly pages: string[]; readonly secrets: Map<string, string> }> {
  const { page, back, done } = await logInAtLink(link)
  const query = new URL(back).searchParams
  return {
    pages: [page, done],
    secrets: new Map([
      ['state of the login', query.get('state') ?? ''],
      ['code of the login', query.get('code') ?? ''],
    ]),
  }
}

/** All that the gateway says in a conversation on its socket: what it offers, and the result of a call. */
async function conversation(socket: string, tool: string): Promise<string> {
  const connection = await converseWith({ socket, pid: 0 }, {})
  let said = ''
  connection.on('data', (chunk: Buffer) => (said += chunk.toString()))
  const clientInfo = { name: 't', version: '1' }
  const messages: readonly [string, object][] = [
    ['initialize', { protocolVersion: '2025-11-25', capabilities: {}, clientInfo }],
    ['tools/list', {}],
    ['resources/list', {}],
    ['tools/call', { name: tool, arguments: {} }],
  ]
  for (const [id, [method, params]] of messages.entries()) {
    connection.write(`${JSON.stringify({ jsonrpc: '2.0', id, method, params })}\n`)
    await expect.poll(() => said, { timeout: 10_000 }).toMatch(new RegExp(`"id":${id}\\b`))
  }
  connection.destroy()
  expect(said).toContain('"text":"ada"')
  return said
}

describe.each(PLACES)('over %s', (_, possible, open) => {
  test.runIf(possible)('what logins are made of is written nowhere', async () => {
    const folder = folderForTest()
    const place = await open(folder.path)
    await using authorization = await startAuthorizationServer({ accessTokenSeconds: 2 })
    const { issuer, resourceServer: introspection } = authorization
    await using server = await startProtectedServer({ issuer, introspection, scopesSupported: ['mcp'] })
    const audit = join(folder.path, 'audit.jsonl')
    const file = folderForTest().write('servers.json', {
      mcpServers: {
        mail: { url: server.url, oauth: { dpop: true } },
        tv: { url: server.url, oauth: { grant: 'device', dpop: true } },
      },
      clients: withKeys({ ann: {} }),
      gateway: {
        http: { port: 0 },
        state: place.state,
        vault: { keySource: 'file' },
        audit: { file: audit },
        log: 'debug',
      },
    })
    const { served, socket } = await servingWithSocket(folder, file)
    const written = new Map<string, string>()
    const keep = (where: string, text: string): string => {
      written.set(`${where} (${written.size})`, text)
      return text
    }
    const secrets = new Map([['key of ann', keyOf('ann')]])
    const stored = async (): Promise<void> => {
      await place.flush()
      for (const [path, bytes] of filesIn(folder.path)) if (!path.endsWith('vault.key')) keep(path, bytes)
    }

    const begin = async (name: string) => {
      const begun = await askAdmin(socket, { method: 'POST', path: `/admin/servers/${name}/login`, body: {} })
      expect(begun).toMatchObject({ status: 200 })
      return begun.body as { readonly url: string; readonly code?: string }
    }
    const device = await begin('tv')
    const login = await begin('mail')
    // Both are pending: the code of the device, the verifier and the state are in memory and sealed.
    await expect
      .poll(async () => JSON.stringify(await authorization.happened()), { timeout: 20_000 })
      .toContain('device_code')
    await stored()
    const { pages, secrets: ofLogin } = await complete(login.url)
    for (const page of pages) keep('page', page)
    for (const [name, secret] of ofLogin) secrets.set(name, secret)
    secrets.set('link of the login', login.url.split('/').at(-1) ?? '')
    await decideDevice(device.url, device.code ?? '', { user: 'bob' })

    await using client = new ModernHttp(served.origin, '/mcp', { headers: bearer(keyOf('ann')) })
    let ids = 0
    const whoami = async (name: string): Promise<string> =>
      keep(`answer of ${name}`, await call(client, ++ids, name))
    await expect.poll(() => whoami('mail'), { timeout: 20_000 }).toContain('"text":"ada"')
    await expect.poll(() => whoami('tv'), { timeout: 20_000 }).toContain('"text":"bob"')
    await stored()
    // The tokens end, and are renewed.
    await new Promise(resolve => setTimeout(resolve, 2500))
    for (const name of ['mail', 'tv']) expect(await whoami(name)).not.toContain('needs a login')

    // What is sealed is read with the key of the file alone.
    const [keyPath = '', ...others] = filesIn(folder.path).flatMap(([path]) =>
      path.endsWith('vault.key') ? [path] : [],
    )
    expect(others).toEqual([])
    const { mode } = statSync(keyPath)
    expect((mode & 0o777).toString(8)).toBe('600')
    const key = readFileSync(keyPath, 'utf8')
    expect(key).toMatch(/^[A-Za-z0-9+/]{43}=\n$/)
    const store = await openStore(place.state, SILENT)
    const vault = new SealedVault({
      store,
      logger: SILENT,
      keys: { ring: () => Promise.resolve(new KeyRing([Buffer.from(key.trim(), 'base64')])) },
    })
    for (const name of ['mail', 'tv']) {
      const record = await vault.read<TokenSet>({ kind: 'tokens', server: name, owner: 'gateway' })
      const { accessToken = '', refreshToken = '', dpopKey } = record?.value ?? {}
      secrets.set(`access token of ${name}`, accessToken)
      secrets.set(`refresh token of ${name}`, refreshToken)
      secrets.set(`private key of ${name}`, dpopKey?.d ?? '')
    }
    await vault.close()
    await store.close()
    secrets.set('data key', key.trim())

    for (const path of ['status', 'config', 'credentials', 'logs', 'openapi.json'])
      expect((await askAdmin(socket, { path: `/admin/${path}` })).status, path).toBe(200)
    for (const path of ['status', 'config', 'credentials', 'logs', 'openapi.json'])
      keep(`admin ${path}`, (await askAdmin(socket, { path: `/admin/${path}` })).text)
    keep('conversation', await conversation(socket, 'mail__whoami'))
    for (const path of ['metrics', 'healthz', 'readyz'])
      keep(path, await (await fetch(`${served.origin}/${path}`)).text())
    keep(
      'logout',
      (await askAdmin(socket, { method: 'POST', path: '/admin/servers/mail/logout', body: {} })).text,
    )
    expect(await whoami('mail')).toContain('needs a login')
    await client[Symbol.asyncDispose]()
    await served.stop()
    await stored()
    keep('log', served.said)
    expect(served.said).toContain('debug')
    expect([...written.keys()].some(where => where.startsWith(audit))).toBe(true)

    const { tokenRequests, redemptions } = await authorization.happened()
    for (const [at, { form, headers }] of tokenRequests.entries()) {
      for (const name of ['code', 'code_verifier', 'refresh_token', 'device_code', 'client_secret'])
        if (form[name] !== undefined) secrets.set(`${name} ${at}`, form[name])
      if (typeof headers['dpop'] === 'string') secrets.set(`proof ${at}`, headers['dpop'])
    }
    for (const [at, { authorization: header }] of (await server.requests()).entries())
      if (header !== undefined) secrets.set(`token ${at}`, header.replace(/^\w+ /, ''))
    expect(Object.keys(redemptions).sort()).toEqual([
      'authorization_code',
      'refresh_token',
      'urn:ietf:params:oauth:grant-type:device_code',
    ])
    for (const [name, secret] of secrets) expect(secret.length, name).toBeGreaterThan(15)
    for (const kind of ['device_code', 'code_verifier', 'refresh_token'])
      expect([...secrets.keys()].some(name => name.startsWith(kind))).toBe(true)
    // The link is what the admin API answers with; here its answer is not kept.
    const unique = new Map(
      [...new Map([...secrets].map(([name, value]) => [value, name]))].map(([v, n]) => [n, v]),
    )
    expect(found(unique, written)).toEqual([])
    const planted = Buffer.from(secrets.get('private key of tv') ?? '').toString('base64')
    expect(found(unique, new Map([['planted', planted]]))).toEqual(['private key of tv in planted'])
  })
})

test('what logins are made of is in no event', async () => {
  await using authorization = await startAuthorizationServer({ accessTokenSeconds: 2 })
  const { issuer, resourceServer: introspection } = authorization
  await using server = await startProtectedServer({ issuer, introspection, scopesSupported: ['mcp'] })
  await using running = await startGateway({
    mcpServers: { mail: { url: server.url, oauth: { dpop: true } } },
  })
  const heard = new RecordedEvents(running.gateway)
  const link = await running.gateway.operations.beginLogin('mail', 'gateway')
  const { secrets } = await complete(link.url)
  secrets.set('link', link.url.split('/').at(-1) ?? '')
  await using client = new ModernHttp(running.origin)
  await expect.poll(() => call(client, 1, 'mail'), { timeout: 20_000 }).toContain('"text":"ada"')
  await new Promise(resolve => setTimeout(resolve, 2500))
  await call(client, 2, 'mail')
  await heard.until('credential.renewed')
  await authorization.revoke('AccessToken')
  await authorization.revoke('RefreshToken')
  await call(client, 3, 'mail')
  await heard.until('credential.refused')
  for (const [at, { form }] of (await authorization.happened()).tokenRequests.entries())
    for (const name of ['code', 'code_verifier', 'refresh_token'])
      if (form[name] !== undefined) secrets.set(`${name} ${at}`, form[name])
  for (const [at, { authorization: header }] of (await server.requests()).entries())
    if (header !== undefined) secrets.set(`token ${at}`, header.replace(/^\w+ /, ''))
  const told = heard.all.map(event =>
    JSON.stringify(event, (_, value: unknown) =>
      value instanceof Error ? { ...value, message: value.message, cause: String(value.cause) } : value,
    ),
  )
  expect(new Set(heard.all.map(({ type }) => type))).toContain('credential.login_ended')
  expect(secrets.size).toBeGreaterThan(6)
  expect(found(secrets, new Map([['events', told.join('\n')]]))).toEqual([])
})
