import { createSecretKey } from 'node:crypto'
import type { OutgoingHttpHeaders } from 'node:http'
import { Client, StreamableHTTPClientTransport } from '@modelcontextprotocol/client'
import type { OAuthClientProvider } from '@modelcontextprotocol/client'
import { base64url, exportJWK, exportSPKI, generateKeyPair, importJWK, SignJWT } from 'jose'
import { describe, expect, test } from 'vitest'
import { startGateway, type TestGateway } from '../helpers/gateway.ts'
import { startIssuer, type Issuer } from '../helpers/issuer.ts'
import { scriptedHttp } from '../helpers/scripted-servers.ts'
import {
  http,
  JSON_HEADERS,
  LegacySession,
  ModernHttp,
  requestText,
  withEnvelope,
} from '../helpers/wire-clients.ts'
import type { WireResponse } from '../helpers/wire-clients.ts'
import type { Principal } from '../../src/core/principal.ts'

/** The gateway as a resource server of OAuth 2.1, against an issuer on this machine. */

const INITIALIZE = requestText('1', 'initialize', '{"protocolVersion":"2025-11-25","capabilities":{}}')
const PING = requestText('2', 'ping', undefined)
const AUDIENCE = 'https://mcp.example/mcp'
const now = (): number => Math.floor(Date.now() / 1000)
const bearer = (token: string): OutgoingHttpHeaders => ({ authorization: `Bearer ${token}` })

/** Subjects have the rules of the client `people` unless told otherwise. */
function gatewayFor(
  issuer: Issuer,
  {
    jwt = {},
    ...more
  }: { jwt?: object; clients?: object; roles?: object; http?: object; mcpServers?: object } = {},
): Promise<TestGateway> {
  const entry = { issuer: issuer.url, audience: [AUDIENCE], client: 'people', ...jwt }
  return startGateway({
    mcpServers: more.mcpServers ?? { a: { command: 'a' } },
    clients: { people: {}, ...more.clients },
    roles: more.roles ?? {},
    gateway: { http: { port: 0, ...more.http }, auth: { jwt: [JSON.parse(JSON.stringify(entry))] } },
  })
}

function post(origin: string, token: string, { path = '/mcp', body = INITIALIZE, headers = {} } = {}) {
  return http(origin + path, { headers: { ...JSON_HEADERS, ...bearer(token), ...headers }, body })
}

async function refusalOf(
  response: WireResponse,
): Promise<{ status: number; challenge: string; message: string }> {
  const { error } = JSON.parse(await response.body) as { error: { message: string } }
  return {
    status: response.status,
    challenge: response.headers['www-authenticate'] ?? '',
    message: error.message,
  }
}

test('a right token lets its subject in, found through the metadata of its issuer', async () => {
  await using issuer = await startIssuer()
  await using gateway = await gatewayFor(issuer)
  for (let at = 0; at < 3; at++) expect((await post(gateway.origin, await issuer.token())).status).toBe(200)
  expect(issuer.asked).toEqual(['/.well-known/oauth-authorization-server', '/keys'])
})

test('keys can be named, and then nothing is looked for', async () => {
  await using issuer = await startIssuer()
  await using gateway = await gatewayFor(issuer, { jwt: { jwks: `${issuer.url}/keys` } })
  expect((await post(gateway.origin, await issuer.token())).status).toBe(200)
  expect(issuer.asked).toEqual(['/keys'])
})

describe('refused is a token', () => {
  const cases: [string, (issuer: Issuer) => Promise<string>, RegExp][] = [
    [
      'whose signature was changed',
      async issuer => {
        const [header, payload, signature = ''] = (await issuer.token()).split('.')
        const bytes = base64url.decode(signature)
        bytes[10] = (bytes[10] ?? 0) ^ 1
        return [header, payload, base64url.encode(bytes)].join('.')
      },
      /signature/,
    ],
    [
      'whose claims were changed',
      async issuer => {
        const [header, payload = '', signature] = (await issuer.token()).split('.')
        const claims = JSON.parse(Buffer.from(payload, 'base64url').toString()) as object
        return [header, base64url.encode(JSON.stringify({ ...claims, sub: 'root' })), signature].join('.')
      },
      /signature/,
    ],
    [
      'signed with another key under the same name',
      async issuer => {
        await issuer.rotate({ publish: false })
        return await issuer.token({}, { kid: 'key-1' })
      },
      /signature/,
    ],
    [
      'signed with a key that is not published',
      async issuer => {
        await issuer.rotate({ publish: false })
        return await issuer.token()
      },
      /does not publish/,
    ],
    ['that has expired', issuer => issuer.token({ exp: now() - 31 }), /expired/],
    ['that is not valid yet', issuer => issuer.token({ nbf: now() + 60 }), /not valid yet/],
    ['without an expiry', issuer => issuer.token({ exp: undefined }), /claim.*exp/],
    ['for another audience', issuer => issuer.token({ aud: 'https://other.example' }), /something else/],
    ['for a part of an audience', issuer => issuer.token({ aud: AUDIENCE.slice(0, -1) }), /something else/],
    ['without an audience', issuer => issuer.token({ aud: undefined }), /claim.*aud/],
    ['of another issuer', issuer => issuer.token({ iss: 'https://other.example' }), /issuer/],
    ['of an issuer with a slash more', issuer => issuer.token({ iss: `${issuer.url}/` }), /issuer/],
    ['without an issuer', issuer => issuer.token({ iss: undefined }), /issuer/],
    ['without a subject', issuer => issuer.token({ sub: undefined }), /claim.*sub/],
    ['with an empty subject', issuer => issuer.token({ sub: '' }), /subject/],
    ['that is no access token', issuer => issuer.token({}, { typ: 'logout+jwt' }), /typ/],
    ['that is bound to a key', issuer => issuer.token({ cnf: { jkt: 'x' } }), /bound to a key/],
    ['that is too long', issuer => issuer.token({ filler: 'x'.repeat(7000) }), /longer than/],
    [
      'that is not signed',
      async issuer => {
        const [, payload] = (await issuer.token()).split('.')
        return `${base64url.encode('{"alg":"none","typ":"at+jwt"}')}.${payload}.`
      },
      /algorithm|not valid/,
    ],
    [
      'signed with the public key as a secret',
      async issuer => {
        const jwk = issuer.keys[0]
        const pem = await exportSPKI(
          (await importJWK({ ...jwk }, 'ES256', { extractable: true })) as Issuer['privateKey'],
        )
        const [, payload = ''] = (await issuer.token()).split('.')
        const claims = JSON.parse(Buffer.from(payload, 'base64url').toString()) as Record<string, unknown>
        return await new SignJWT(claims)
          .setProtectedHeader({ alg: 'HS256', typ: 'at+jwt', kid: jwk?.kid as string })
          .sign(createSecretKey(Buffer.from(pem)))
      },
      /algorithm/,
    ],
    [
      'with an extension that must be understood',
      async issuer =>
        await new SignJWT({ iss: issuer.url, aud: AUDIENCE, sub: 'ada', exp: now() + 60 })
          .setProtectedHeader({ alg: 'ES256', typ: 'at+jwt', kid: 'key-1', crit: ['strange'], strange: 1 })
          .sign(issuer.privateKey, { crit: { strange: true } }),
      /not valid/,
    ],
    ['that is none', async () => 'a.b.c', /no JWT/],
  ]

  test.each(cases)('%s', async (_, make, reason) => {
    await using issuer = await startIssuer()
    await using gateway = await gatewayFor(issuer)
    expect((await post(gateway.origin, await issuer.token())).status).toBe(200)
    // Not the remembered verdict of the right one.
    const refused = await refusalOf(await post(gateway.origin, await make(issuer)))
    expect(refused.status).toBe(401)
    expect(refused.message).toMatch(reason)
    expect(refused.challenge).toContain('error="invalid_token"')
  })

  test.each(['jwk', 'jku', 'x5u'])('that brings its own key (%s), which is not fetched', async where => {
    await using issuer = await startIssuer()
    await using evil = await startIssuer()
    await using gateway = await gatewayFor(issuer)
    const { publicKey, privateKey } = await generateKeyPair('ES256', { extractable: true })
    const jwk = { ...(await exportJWK(publicKey)), kid: 'evil' }
    evil.keys = [jwk]
    const header = { jwk: { jwk }, jku: { jku: `${evil.url}/keys` }, x5u: { x5u: `${evil.url}/cert` } }[where]
    const token = await new SignJWT({ iss: issuer.url, aud: AUDIENCE, sub: 'ada', exp: now() + 60 })
      .setProtectedHeader({ alg: 'ES256', typ: 'at+jwt', kid: 'evil', ...header })
      .sign(privateKey)
    const refused = await refusalOf(await post(gateway.origin, token))
    expect(refused).toMatchObject({ status: 401, message: expect.stringContaining('does not publish') })
    expect(evil.asked).toEqual([])
  })
})

test.each([
  // Made by the test: it may run long after the file was read.
  ['the tolerance for clocks', () => ({ exp: now() - 5 })],
  ['a list of audiences', () => ({ aud: ['https://other.example', AUDIENCE] })],
])('accepted is a token with %s', async (_, claims) => {
  await using issuer = await startIssuer()
  await using gateway = await gatewayFor(issuer)
  expect((await post(gateway.origin, await issuer.token(claims()))).status).toBe(200)
})

test('accepted is a token without a type, or with the long form of it', async () => {
  await using issuer = await startIssuer()
  await using gateway = await gatewayFor(issuer)
  for (const typ of ['JWT', 'application/at+jwt', 'AT+JWT'])
    expect((await post(gateway.origin, await issuer.token({}, { typ }))).status).toBe(200)
})

describe('the keys of an issuer', () => {
  test('that cannot be fetched are said to be missing, and are fetched when it is back', async () => {
    await using issuer = await startIssuer()
    issuer.up = false
    await using gateway = await gatewayFor(issuer)
    const refused = await refusalOf(await post(gateway.origin, await issuer.token()))
    expect(refused).toMatchObject({ status: 503, message: expect.stringContaining('cannot be fetched') })
  })

  test('go on when it is down', async () => {
    await using issuer = await startIssuer()
    await using gateway = await gatewayFor(issuer)
    expect((await post(gateway.origin, await issuer.token())).status).toBe(200)
    issuer.up = false
    expect((await post(gateway.origin, await issuer.token({ sub: 'eve' }))).status).toBe(200)
  })
})

describe('what a token allows', () => {
  const roles = { reader: { allow: ['a/*'] }, writer: {} }

  test('needs the scopes that are asked for', async () => {
    await using issuer = await startIssuer()
    await using gateway = await gatewayFor(issuer, { jwt: { requiredScopes: ['mcp', 'tools'] } })
    const refused = await refusalOf(await post(gateway.origin, await issuer.token({ scope: 'mcp' })))
    expect(refused.status).toBe(403)
    expect(refused.challenge).toMatch(
      /error="insufficient_scope".*scope="mcp tools".*resource_metadata="http/,
    )
    for (const scopes of [{ scope: 'tools mcp' }, { scp: ['mcp', 'tools'] }, { scp: 'mcp tools' }])
      expect((await post(gateway.origin, await issuer.token(scopes))).status).toBe(200)
  })

  test('comes from roles of scopes when no client is meant; without any it allows nothing', async () => {
    await using issuer = await startIssuer()
    const jwt = { client: undefined, scopes: { read: ['reader'], write: ['writer', 'reader'] } }
    await using gateway = await gatewayFor(issuer, { jwt, roles })
    expect((await post(gateway.origin, await issuer.token({ scope: 'read x' }))).status).toBe(200)
    const refused = await refusalOf(await post(gateway.origin, await issuer.token({ scope: 'x toString' })))
    expect(refused.status).toBe(403)
    expect(refused.challenge).toMatch(/error="insufficient_scope".*scope="read write"/)
  })

  test('is nothing for an unknown subject', async () => {
    await using issuer = await startIssuer()
    await using gateway = await gatewayFor(issuer, {
      jwt: { client: undefined },
      clients: { ada: { subjects: ['ada'] } },
    })
    expect((await post(gateway.origin, await issuer.token())).status).toBe(200)
    const refused = await refusalOf(await post(gateway.origin, await issuer.token({ sub: 'Ada' })))
    expect(refused).toMatchObject({ status: 403, message: expect.stringContaining('not known') })
  })

  test('reaches the gateway as a principal: the client that lists the subject, else the subject', async () => {
    await using issuer = await startIssuer()
    const jwt = { scopes: { read: ['reader'], write: ['writer', 'reader'] } }
    await using gateway = await gatewayFor(issuer, { jwt, roles, clients: { ada: { subjects: ['ada'] } } })
    const seen: Principal[] = []
    gateway.gateway.viewOf = (_, principal) => void seen.push(principal) as undefined
    const show = async (claims: object): Promise<Principal | undefined> => {
      await (
        await post(gateway.origin, await issuer.token({ ...claims }))
      ).body
      return seen.at(-1)
    }
    expect(await show({})).toEqual({
      kind: 'client',
      id: 'client:ada',
      name: 'ada',
      client: 'ada',
      roles: [],
    })
    expect(await show({ scope: 'write' })).toMatchObject({ id: 'client:ada', roles: ['reader', 'writer'] })
    const eve = {
      kind: 'user',
      id: `user:${issuer.url} eve`,
      name: 'eve',
      client: 'people',
      roles: ['reader'],
    }
    expect(await show({ sub: 'eve', scope: 'read' })).toEqual(eve)
    // The same rights are the same object, so that nothing has to be compared.
    const first = seen.at(-1)
    expect(await show({ sub: 'eve', scope: 'read', exp: now() + 99 })).toBe(first)
  })
})

describe('a session', () => {
  test('goes on with a refreshed token, for the same subject only', async () => {
    await using issuer = await startIssuer()
    await using gateway = await gatewayFor(issuer)
    const opened = await post(gateway.origin, await issuer.token())
    const headers = { 'mcp-session-id': opened.headers['mcp-session-id'] as string }
    const refreshed = await issuer.token({ exp: now() + 900 })
    expect((await post(gateway.origin, refreshed, { body: PING, headers })).status).toBe(200)
    const other = await issuer.token({ sub: 'eve' })
    expect((await post(gateway.origin, other, { body: PING, headers })).status).toBe(404)
  })

  test('is notified of changed lists when the new token has other rights, and of nothing that it may not see any more', async () => {
    await using issuer = await startIssuer()
    await using server = await scriptedHttp()
    server.results.set('resources/list', '{"resources":[{"uri":"x://1","name":"one"}]}')
    server.results.set('resources/subscribe', '{}')
    server.results.set('resources/unsubscribe', '{}')
    const jwt = { scopes: { all: ['reader'] } }
    const mcpServers = { a: server.entry, b: { command: 'b' } }
    await using gateway = await gatewayFor(issuer, { jwt, roles: { reader: {} }, mcpServers })
    await gateway.gateway.warmUp()
    // How roles make a view is no matter of this test: with the role everything is seen, without it one server that offers nothing.
    gateway.gateway.viewOf = (_, principal) => (principal.roles.length > 0 ? '' : 'b')
    const all = { scope: 'all' }
    const opened = await post(gateway.origin, await issuer.token(all))
    const headers = {
      'mcp-session-id': opened.headers['mcp-session-id'] as string,
      'mcp-protocol-version': '2025-11-25',
    }
    const send = async (claims: object, body = PING): Promise<string> =>
      await (
        await post(gateway.origin, await issuer.token({ ...claims }), { body, headers })
      ).body
    const stream = await http(`${gateway.origin}/mcp`, {
      method: 'GET',
      headers: { ...JSON_HEADERS, ...bearer(await issuer.token(all)), ...headers },
    })
    expect(await send(all, requestText('3', 'resources/subscribe', '{"uri":"x://1"}'))).toContain('"result"')
    expect(await send({ ...all, exp: now() + 900 }, requestText('4', 'tools/list', undefined))).toContain(
      'a__t',
    )
    expect(stream.events.all).toEqual([])

    expect(await send({}, requestText('5', 'tools/list', undefined))).not.toContain('a__t')
    const heard = [await stream.events.take(), await stream.events.take()].map(({ data }) => data)
    expect(heard.join()).toContain('notifications/tools/list_changed')
    expect(heard.join()).toContain('notifications/resources/list_changed')
    await server.messages.take(text => text.includes('resources/unsubscribe'), 'the end of the subscription')
    expect(gateway.gateway.sessions).toBe(1)
    stream.destroy()
  })

  test('outlives its token, but its streams do not', async () => {
    await using issuer = await startIssuer()
    await using gateway = await gatewayFor(issuer, { jwt: { clockTolerance: 0 } })
    const short = (): Promise<string> => issuer.token({ exp: now() + 2 })
    const opened = await post(gateway.origin, await short())
    const id = opened.headers['mcp-session-id'] as string
    const session = new LegacySession(`${gateway.origin}/mcp`, id, '2025-11-25')
    const stream = await http(session.url, {
      method: 'GET',
      headers: { ...session.headers, ...bearer(await short()) },
    })
    await using modern = new ModernHttp(gateway.origin)
    const filter = withEnvelope('{"notifications":{"toolsListChanged":true}}')
    const listen = await modern.post('1', 'subscriptions/listen', filter, bearer(await short()))
    expect([stream.status, listen.status]).toEqual([200, 200])
    await Promise.all([stream.body, listen.body])
    expect(gateway.gateway.sessions).toBe(1)
    const again = await http(session.url, {
      headers: { ...session.headers, ...bearer(await issuer.token()) },
      body: PING,
    })
    expect(again.status).toBe(200)
  })
})

describe('protected resource metadata', () => {
  const get = (url: string, headers: OutgoingHttpHeaders = {}): Promise<WireResponse> =>
    http(url, { method: 'GET', headers })

  test('is there for each endpoint, for every page, and named in the refusal', async () => {
    await using issuer = await startIssuer()
    const jwt = { audience: undefined, requiredScopes: ['mcp'], scopes: { read: [] } }
    await using gateway = await gatewayFor(issuer, { jwt })
    for (const path of ['/mcp', '/mcp/a', '/mcp/none', '/sse']) {
      const refused = await http(gateway.origin + path, {
        method: path === '/sse' ? 'GET' : 'POST',
        headers: JSON_HEADERS,
        body: path === '/sse' ? '' : INITIALIZE,
      })
      const address = `${gateway.origin}/.well-known/oauth-protected-resource${path}`
      expect(refused.headers['www-authenticate']).toBe(`Bearer scope="mcp", resource_metadata="${address}"`)
      const document = await get(address, { origin: 'https://anywhere.example' })
      expect(document.headers['access-control-allow-origin']).toBe('*')
      expect(JSON.parse(await document.body)).toEqual({
        resource: gateway.origin + path,
        authorization_servers: [issuer.url],
        scopes_supported: ['mcp', 'read'],
        bearer_methods_supported: ['header'],
        resource_name: 'Manifold',
      })
    }
    const root = await get(`${gateway.origin}/.well-known/oauth-protected-resource`)
    expect(JSON.parse(await root.body)).toMatchObject({ resource: `${gateway.origin}/mcp` })
    const odd = await get(`${gateway.origin}/.well-known/oauth-protected-resource/admin`)
    expect(odd.status).toBe(404)
  })

  test('names the public address, or the name this machine was called by', async () => {
    await using issuer = await startIssuer()
    await using open = await gatewayFor(issuer, { http: { publicUrl: 'https://mcp.example/' } })
    const path = '/.well-known/oauth-protected-resource/mcp'
    const publicly = await get(open.origin + path, { host: 'evil.example' })
    expect(JSON.parse(await publicly.body)).toMatchObject({ resource: 'https://mcp.example/mcp' })
    await using local = await gatewayFor(issuer)
    const { port } = new URL(local.origin)
    const named = await get(local.origin + path, { host: `localhost:${port}` })
    expect(JSON.parse(await named.body)).toMatchObject({ resource: `http://localhost:${port}/mcp` })
    const strange = await get(local.origin + path, { host: 'evil.example' })
    expect(JSON.parse(await strange.body)).toMatchObject({ resource: `${local.origin}/mcp` })
  })

  test('is not there without an issuer', async () => {
    await using gateway = await startGateway({ mcpServers: {}, clients: { ci: {} } })
    expect((await get(`${gateway.origin}/.well-known/oauth-protected-resource/mcp`)).status).toBe(404)
    const refused = await http(`${gateway.origin}/mcp`, { headers: JSON_HEADERS, body: INITIALIZE })
    expect(refused.headers['www-authenticate']).toBe('Bearer')
  })

  test('says for which endpoints a token counts', async () => {
    await using issuer = await startIssuer()
    await using gateway = await gatewayFor(issuer, { jwt: { audience: undefined } })
    const { port } = new URL(gateway.origin)
    const status = async (aud: string, path: string): Promise<number> =>
      (await post(gateway.origin, await issuer.token({ aud }), { path })).status
    expect(await status(`${gateway.origin}/mcp`, '/mcp')).toBe(200)
    expect(await status(`${gateway.origin}/mcp/`, '/mcp')).toBe(200)
    expect(await status(`http://localhost:${port}/mcp`, '/mcp')).toBe(200)
    // A token for everything is one for each part, and not the other way round.
    expect(await status(`${gateway.origin}/mcp`, '/mcp/a')).toBe(200)
    expect(await status(`${gateway.origin}/mcp/a`, '/mcp/a')).toBe(200)
    expect(await status(`${gateway.origin}/mcp/a`, '/mcp')).toBe(401)
    expect(await status(`${gateway.origin}/mcp/b`, '/mcp/a')).toBe(401)
    expect(await status(gateway.origin, '/mcp')).toBe(401)
    expect(await status('http://localhost:1/mcp', '/mcp')).toBe(401)
    // Also when it was just accepted elsewhere on the same connection.
    const token = await issuer.token({ aud: `${gateway.origin}/mcp/a` })
    const statuses: number[] = []
    for (const path of ['/mcp/a', '/mcp', '/mcp/a'])
      statuses.push(
        (
          await fetch(gateway.origin + path, {
            method: 'DELETE',
            headers: { authorization: `Bearer ${token}` },
          })
        ).status,
      )
    expect(statuses).toEqual([400, 401, 400])
  })

  test('is found by the official client, which then goes to the issuer', async () => {
    await using issuer = await startIssuer()
    await using gateway = await gatewayFor(issuer, { jwt: { audience: undefined, requiredScopes: ['mcp'] } })
    let login: URL | undefined
    const authProvider: OAuthClientProvider = {
      redirectUrl: 'http://localhost:1/callback',
      clientMetadata: { redirect_uris: ['http://localhost:1/callback'], client_name: 'test' },
      clientInformation: () => ({ client_id: 'test' }),
      tokens: () => undefined,
      saveTokens: () => {},
      redirectToAuthorization: url => void (login = url),
      saveCodeVerifier: () => {},
      codeVerifier: () => 'verifier',
    }
    const transport = new StreamableHTTPClientTransport(new URL(`${gateway.origin}/mcp`), { authProvider })
    const client = new Client({ name: 'test', version: '1' })
    await expect(client.connect(transport)).rejects.toThrow(/[Uu]nauthorized/)
    expect(login?.origin).toBe(issuer.url)
    expect(login?.searchParams.get('resource')).toBe(`${gateway.origin}/mcp`)
    expect(login?.searchParams.get('scope')).toBe('mcp')
    await client.close()
  })
})
