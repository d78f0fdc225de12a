import { generateKeyPairSync } from 'node:crypto'
import { execFileSync } from 'node:child_process'
import { join } from 'node:path'
import { expect, onTestFinished, test } from 'vitest'
import { askAdmin, envOf, folderForTest, servingWithSocket } from '../../helpers/admin-client.ts'
import { runCommand } from '../../helpers/command-runs.ts'
import { startAuthorizationServer } from '../../helpers/authorization-server.ts'
import { logInAtLink } from '../../helpers/hosted-login.ts'
import { bearer, keyOf, withKeys } from '../../helpers/callers.ts'
import { startProtectedServer } from '../../helpers/protected-server.ts'
import { filesIn, found } from '../../helpers/secret-search.ts'
import { LegacySession, ModernHttp, type WireClient } from '../../helpers/wire-clients.ts'

/** Credentials of many kinds are used, and fail. None of them is in anything that the gateway writes or answers. */

const CHILD = new URL('../../fixtures/servers/slow.js', import.meta.url).pathname
/** Long enough that no other text holds it by chance. With characters that encodings change. */
const secretOf = (name: string): string => `s3cret/${name}+${name}=of?${name}-7d41`

test('the search finds a secret in every spelling', () => {
  const secret = secretOf('planted')
  const bytes = Buffer.from(secret)
  const texts = [
    secret,
    encodeURIComponent(secret),
    bytes.toString('hex'),
    bytes.toString('base64'),
    bytes.toString('base64url'),
    Buffer.from(`user:${secret}`).toString('base64'),
    Buffer.from(`ab:${secret}x`).toString('base64url'),
  ]
  for (const text of texts)
    expect(found(new Map([['planted', secret]]), new Map([['log', `before ${text} after`]])), text).toContain(
      'planted in log',
    )
  expect(found(new Map([['planted', secret]]), new Map([['log', secret.slice(1)]]))).toEqual([])
})

test('credentials of every kind are in no log, audit line, answer, status, state file or list of processes', async () => {
  const folder = folderForTest()
  const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' })
  const jwk = publicKey.export({ format: 'jwk' })
  const pem = privateKey.export({ format: 'pem', type: 'pkcs8' }) as string
  const secrets = new Map(
    ['header', 'file', 'exec', 'value', 'child', 'machine', 'broken'].map(name => [name, secretOf(name)]),
  )
  secrets.set('private key', privateKey.export({ format: 'jwk' }).d as string)
  secrets.set('line of the private key', pem.split('\n')[1] as string)
  for (const name of ['ann', 'bob']) secrets.set(`key of ${name}`, keyOf(name))
  const secret = (name: string): string => secrets.get(name) as string

  const machine = {
    client_id: 'machine',
    client_secret: secret('machine'),
    grant_types: ['client_credentials'],
  }
  const signer = {
    client_id: 'signer',
    grant_types: ['client_credentials'],
    token_endpoint_auth_method: 'private_key_jwt',
    jwks: { keys: [{ ...jwk, kid: 'signer', alg: 'ES256', use: 'sig' }] },
  }
  const authorization = await startAuthorizationServer({ clients: [machine, signer], accessTokenSeconds: 2 })
  const failing = await startAuthorizationServer({ clients: [machine] })
  const { issuer, resourceServer: introspection } = authorization
  const server = await startProtectedServer({ issuer, introspection, scopesSupported: ['mcp'] })
  const lost = await startProtectedServer({
    issuer: failing.issuer,
    introspection: failing.resourceServer,
  })
  onTestFinished(async () => {
    for (const one of [server, lost, failing, authorization]) await one[Symbol.asyncDispose]()
  })
  await failing.behave('/token', {
    status: 400,
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({
      error: 'invalid_client',
      error_description: `the secret ${secret('broken')} is wrong`,
    }),
  })

  // What the operator writes is not searched. What the gateway writes is below `made`.
  const given = folderForTest()
  const fromFile = given.write('file', secret('file'))
  const fromExec = given.write('exec', secret('exec'))
  const keyFile = given.write('key.pem', pem)
  const audit = join(folder.path, 'audit.jsonl')
  const file = given.write('servers.json', {
    mcpServers: {
      fixed: {
        url: server.url,
        headers: {
          Authorization: 'Bearer ${HEADER_SECRET}',
          'X-From-File': `\${file:${fromFile}}`,
          'X-From-Exec': `\${exec:cat ${fromExec}}`,
        },
      },
      values: { url: server.url, headers: { Authorization: 'Bearer ${client.token}' } },
      mail: { url: server.url, oauth: { per: 'client' } },
      machine: {
        url: server.url,
        oauth: {
          grant: 'client_credentials',
          clientId: 'machine',
          clientSecret: '${MACHINE_SECRET}',
          scopes: ['mcp'],
        },
      },
      signer: {
        url: server.url,
        oauth: {
          grant: 'client_credentials',
          clientId: 'signer',
          privateKey: `\${file:${keyFile}}`,
          scopes: ['mcp'],
        },
      },
      broken: {
        url: lost.url,
        oauth: { grant: 'client_credentials', clientId: 'machine', clientSecret: '${BROKEN_SECRET}' },
      },
      child: { command: process.execPath, args: [CHILD], env: { CHILD_KEY: '${CHILD_SECRET}' } },
    },
    clients: withKeys({ ann: { values: { token: '${VALUE_SECRET}' } }, bob: {} }),
    gateway: {
      http: { port: 0 },
      state: `lmdb:${join(folder.path, 'state')}`,
      vault: { keySource: 'file' },
      audit: { file: audit },
      log: 'debug',
    },
  })
  const env = {
    HEADER_SECRET: secret('header'),
    VALUE_SECRET: secret('value'),
    CHILD_SECRET: secret('child'),
    MACHINE_SECRET: secret('machine'),
    BROKEN_SECRET: secret('broken'),
  }
  const { served, socket } = await servingWithSocket(folder, file, { env })

  const written = new Map<string, string>()
  const keep = (where: string, text: string): string => {
    written.set(`${where} (${written.size})`, text)
    return text
  }
  const connect = async (name: string): Promise<readonly WireClient[]> => {
    const options = { headers: bearer(keyOf(name)) }
    return [new ModernHttp(served.origin, '/mcp', options), await LegacySession.open(served.origin, options)]
  }
  const clients = [...(await connect('ann')), ...(await connect('bob'))]
  let ids = 0
  const callAll = async (): Promise<string> => {
    let all = ''
    for (const client of clients) {
      all += keep('list', await client.request(String(++ids), 'tools/list', '{}'))
      for (const name of ['fixed', 'values', 'mail', 'machine', 'signer', 'broken', 'child'])
        for (const tool of ['log_in', 'whoami'])
          all += keep(
            `answer of ${name}`,
            await client.request(String(++ids), 'tools/call', `{"name":"${name}__${tool}","arguments":{}}`),
          )
    }
    return all
  }
  const askAll = async (): Promise<void> => {
    for (const path of ['status', 'servers', 'config', 'clients', 'credentials', 'events', 'catalog'])
      if (path !== 'events') keep(`admin ${path}`, (await askAdmin(socket, { path: `/admin/${path}` })).text)
    keep('healthz', await (await fetch(`${served.origin}/healthz`)).text())
    keep('metrics', await (await fetch(`${served.origin}/metrics`)).text())
    keep('processes', execFileSync('ps', ['-eo', 'pid,args'], { encoding: 'utf8' }))
  }

  const first = await callAll()
  const link = /http:\/\/127\.0\.0\.1:\d+\/oauth\/login\/[\w-]+/.exec(first)?.[0] ?? ''
  const { page, done } = await logInAtLink(link)
  keep('page', page)
  expect(keep('page', done)).toContain('You are logged in to mail')
  await expect.poll(callAll).toContain('"text":"ada"')
  await askAll()
  // The tokens end and are renewed.
  await new Promise(resolve => setTimeout(resolve, 2500))
  await callAll()
  keep(
    'credentials list',
    JSON.stringify(await runCommand(['-c', file, 'credentials', 'list'], { ...envOf(folder), ...env })),
  )
  keep('reload', (await askAdmin(socket, { method: 'POST', path: '/admin/reload' })).text)
  await callAll()
  const out = await askAdmin(socket, {
    method: 'POST',
    path: '/admin/servers/mail/logout',
    body: { client: 'ann' },
  })
  expect(out.status, keep('logout', out.text)).toBe(200)
  await callAll()
  await askAll()
  for (const client of clients) await client[Symbol.asyncDispose]()
  await served.stop()

  // What was got during all that is as secret.
  const { tokenRequests, redemptions } = await authorization.happened()
  for (const [at, { form, headers }] of tokenRequests.entries()) {
    for (const name of ['code', 'code_verifier', 'refresh_token', 'client_secret', 'client_assertion'])
      if (form[name] !== undefined) secrets.set(`${name} ${at}`, form[name])
    if (headers['authorization'] !== undefined)
      secrets.set(`authorization ${at}`, String(headers['authorization']).replace(/^\w+ /, ''))
  }
  for (const [at, { authorization: header }] of (await server.requests()).entries())
    if (header !== undefined) secrets.set(`token ${at}`, header.replace(/^\w+ /, ''))
  expect(Object.keys(redemptions).sort()).toEqual([
    'authorization_code',
    'client_credentials',
    'refresh_token',
  ])
  const sentTokens = new Set((await server.requests()).map(request => request.authorization))
  for (const name of ['header', 'value']) expect(sentTokens).toContain(`Bearer ${secret(name)}`)
  expect((await failing.happened()).asked.filter(asked => asked.endsWith('/token')).length).toBeGreaterThan(0)

  keep('log', served.said)
  expect(served.said).toContain('debug')
  for (const [path, bytes] of filesIn(folder.path)) if (!path.endsWith('vault.key')) keep(path, bytes)
  expect([...written.keys()].some(where => where.startsWith(audit))).toBe(true)
  const unique = new Map(
    [...new Map([...secrets].map(([name, value]) => [value, name]))].map(([v, n]) => [n, v]),
  )
  expect(found(unique, written)).toEqual([])
  expect(
    found(unique, new Map([...written, ['planted', Buffer.from(secret('exec')).toString('base64')]])),
  ).toEqual(['exec in planted'])
})
