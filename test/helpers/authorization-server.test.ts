import { createHash, randomBytes } from 'node:crypto'
import { decodeJwt } from 'jose'
import { expect, test } from 'vitest'
import {
  Browser,
  decide,
  decideDevice,
  spawnAuthorizationServer,
  startAuthorizationServer,
} from './authorization-server.ts'
import type { AuthorizationServer, AuthorizationServerOptions } from './authorization-server.ts'
import { assertNothingLeft, takeStock } from './leftovers.ts'
import { spawnProtectedServer, startProtectedServer } from './protected-server.ts'

const REDIRECT = 'http://127.0.0.1:9/callback'
type Answer = Record<string, unknown> & { status: number }

async function post(
  url: string,
  form: Record<string, string>,
  headers: Record<string, string> = {},
): Promise<Answer> {
  const answer = await fetch(url, { method: 'POST', body: new URLSearchParams(form), headers })
  return { ...((await answer.json()) as object), status: answer.status }
}

async function register(server: AuthorizationServer): Promise<string> {
  const { registration_endpoint } = await metadataOf(server)
  const answer = await fetch(String(registration_endpoint), {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({
      client_name: 'test',
      redirect_uris: [REDIRECT],
      token_endpoint_auth_method: 'none',
      application_type: 'native',
      grant_types: ['authorization_code', 'refresh_token', 'urn:ietf:params:oauth:grant-type:device_code'],
    }),
  })
  return String(((await answer.json()) as { client_id: string }).client_id)
}

const metadataOf = async (server: AuthorizationServer): Promise<Record<string, unknown>> =>
  (await (await fetch(server.metadataUrl)).json()) as Record<string, unknown>

/** A login by code, as a client does it. */
async function login(server: AuthorizationServer, clientId: string, resource?: string): Promise<Answer> {
  const { authorization_endpoint, token_endpoint } = await metadataOf(server)
  const verifier = randomBytes(32).toString('base64url')
  const url = new URL(String(authorization_endpoint))
  url.search = new URLSearchParams({
    client_id: clientId,
    response_type: 'code',
    redirect_uri: REDIRECT,
    scope: 'mcp',
    state: 'of-this-login',
    code_challenge: createHash('sha256').update(verifier).digest('base64url'),
    code_challenge_method: 'S256',
    ...(resource !== undefined && { resource }),
  }).toString()
  const back = new URL(await decide(url.href))
  expect(back.searchParams.get('state')).toBe('of-this-login')
  expect(back.searchParams.get('iss')).toBe(server.issuer)
  return await post(String(token_endpoint), {
    grant_type: 'authorization_code',
    client_id: clientId,
    code: String(back.searchParams.get('code')),
    redirect_uri: REDIRECT,
    code_verifier: verifier,
    ...(resource !== undefined && { resource }),
  })
}

const ask = (url: string, token: string, name = 'whoami'): Promise<Response> =>
  fetch(url, {
    method: 'POST',
    headers: {
      authorization: `Bearer ${token}`,
      'content-type': 'application/json',
      accept: 'application/json, text/event-stream',
      'mcp-protocol-version': '2025-11-25',
    },
    body: JSON.stringify({ jsonrpc: '2.0', id: 1, method: 'tools/call', params: { name, arguments: {} } }),
  })

const kinds: [string, AuthorizationServerOptions, boolean][] = [
  ['in this process', {}, false],
  ['with a path', { path: '/tenant' }, false],
  ['in a process of its own', {}, true],
  ['with JWTs as tokens', { tokens: 'jwt' }, false],
]

test.each(kinds)(
  'a person logs in at an authorization server %s, and a server knows the token',
  async (_, options, own) => {
    const before = takeStock()
    {
      await using server = await (own ? spawnAuthorizationServer : startAuthorizationServer)(options)
      await using resource = await (own ? spawnProtectedServer : startProtectedServer)({
        issuer: server.issuer,
        ...(options.tokens !== 'jwt' && { introspection: server.resourceServer }),
      })
      const unauthorized = await ask(resource.url, '')
      expect(unauthorized.status).toBe(401)
      expect(unauthorized.headers.get('www-authenticate')).toContain(
        `resource_metadata="${resource.metadataUrl}"`,
      )
      const clientId = await register(server)
      const tokens = await login(server, clientId, resource.url)
      expect(tokens).toMatchObject({ token_type: 'Bearer', scope: 'mcp' })
      const answer = await ask(resource.url, String(tokens['access_token']))
      expect(await answer.text()).toContain('"text":"ada"')
      expect((await ask(resource.url, String(tokens['access_token']), 'admin')).status).toBe(403)
      expect(await resource.requests()).toMatchObject([
        { status: 401 },
        { status: 200, subject: 'ada', clientId, tool: 'whoami' },
        { status: 403, subject: 'ada', tool: 'admin' },
      ])
      expect(await server.happened()).toMatchObject({
        registrations: 1,
        redemptions: { authorization_code: 1 },
      })
    }
    await assertNothingLeft(before)
  },
)

test('a refresh token that is redeemed twice revokes the login', async () => {
  await using server = await startAuthorizationServer()
  const clientId = await register(server)
  const { token_endpoint } = await metadataOf(server)
  const tokens = await login(server, clientId)
  const refresh = (token: unknown): Promise<Answer> =>
    post(String(token_endpoint), {
      grant_type: 'refresh_token',
      client_id: clientId,
      refresh_token: String(token),
    })
  const second = await refresh(tokens['refresh_token'])
  expect(second.status).toBe(200)
  expect(second['refresh_token']).not.toBe(tokens['refresh_token'])
  expect(await refresh(tokens['refresh_token'])).toMatchObject({ error: 'invalid_grant' })
  expect(await refresh(second['refresh_token'])).toMatchObject({ error: 'invalid_grant' })
  expect((await server.happened()).redemptions).toEqual({ authorization_code: 1, refresh_token: 1 })
})

test('a device that polls too fast is told so, and gets its tokens once a person has agreed', async () => {
  await using server = await startAuthorizationServer()
  const clientId = await register(server)
  const { device_authorization_endpoint, token_endpoint } = await metadataOf(server)
  const device = await post(String(device_authorization_endpoint), { client_id: clientId, scope: 'mcp' })
  expect(device).toMatchObject({ interval: 1 })
  const poll = (): Promise<Answer> =>
    post(String(token_endpoint), {
      grant_type: 'urn:ietf:params:oauth:grant-type:device_code',
      client_id: clientId,
      device_code: String(device['device_code']),
    })
  expect(await poll()).toMatchObject({ error: 'authorization_pending' })
  expect(await poll()).toMatchObject({ error: 'slow_down' })
  await decideDevice(String(device['verification_uri']), String(device['user_code']), { user: 'bob' })
  expect(await poll()).toMatchObject({ token_type: 'Bearer', scope: 'mcp' })
})

test('an identity token becomes an ID-JAG, and that a token at another authorization server', async () => {
  const exchanging = {
    client_id: 'gateway',
    client_secret: 'secret',
    token_endpoint_auth_method: 'client_secret_post',
    grant_types: [
      'urn:ietf:params:oauth:grant-type:token-exchange',
      'urn:ietf:params:oauth:grant-type:jwt-bearer',
      'client_credentials',
    ],
  }
  await using idp = await startAuthorizationServer({ clients: [exchanging] })
  await using server = await startAuthorizationServer({
    clients: [exchanging],
    trusts: { [idp.issuer]: idp.jwksUrl },
  })
  await using resource = await startProtectedServer({
    issuer: server.issuer,
    introspection: server.resourceServer,
  })
  const known = { client_id: 'gateway', client_secret: 'secret' }
  const jag = await post(`${idp.issuer}/token`, {
    ...known,
    grant_type: 'urn:ietf:params:oauth:grant-type:token-exchange',
    subject_token: await idp.identityToken('carol', 'gateway'),
    subject_token_type: 'urn:ietf:params:oauth:token-type:id_token',
    requested_token_type: 'urn:ietf:params:oauth:token-type:id-jag',
    audience: server.issuer,
    resource: resource.url,
    scope: 'mcp',
  })
  expect(decodeJwt(String(jag['access_token']))).toMatchObject({
    sub: 'carol',
    aud: server.issuer,
    client_id: 'gateway',
  })
  const tokens = await post(`${server.issuer}/token`, {
    ...known,
    grant_type: 'urn:ietf:params:oauth:grant-type:jwt-bearer',
    assertion: String(jag['access_token']),
  })
  expect(await (await ask(resource.url, String(tokens['access_token']))).text()).toContain('"text":"carol"')
  const wrong = {
    ...known,
    grant_type: 'urn:ietf:params:oauth:grant-type:jwt-bearer',
    assertion: 'e30.e30.e30',
  }
  expect(await post(`${server.issuer}/token`, wrong)).toMatchObject({ error: 'invalid_grant' })
})

test('what options deny is denied', async () => {
  await using refusing = await startAuthorizationServer({
    registration: 'refused',
    iss: false,
    resources: 'refused',
  })
  const metadata = await metadataOf(refusing)
  expect(metadata).not.toHaveProperty('authorization_response_iss_parameter_supported')
  expect((await fetch(String(metadata['registration_endpoint']), { method: 'POST' })).status).toBe(403)
  await using silent = await startAuthorizationServer({ registration: false })
  expect(await metadataOf(silent)).not.toHaveProperty('registration_endpoint')
  await silent.behave('/token', { status: 503, body: 'no', times: 1 })
  expect((await fetch(`${silent.issuer}/token`, { method: 'POST' })).status).toBe(503)
  expect((await fetch(`${silent.issuer}/token`, { method: 'POST' })).status).toBe(400)
})

test('a client id that is a URL is looked up where it is served', async () => {
  await using server = await startAuthorizationServer({
    clientMetadata: { 'https://gateway.example': 'http://127.0.0.1:9' },
  })
  expect(await metadataOf(server)).toMatchObject({ client_id_metadata_document_supported: true })
  const url = `${server.issuer}/auth?client_id=https%3A%2F%2Fgateway.example%2Fid&response_type=code`
  expect((await new Browser().go(url)).page).toContain('invalid_client')
})
