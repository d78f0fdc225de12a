import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { exportJWK, exportPKCS8, generateKeyPair } from 'jose'
import { describe, expect, test } from 'vitest'
import type { ServerEntry } from '../../../../../src/config/options/file.ts'
import { DpopKey } from '../../../../../src/credentials/oauth/dpop-key.ts'
import { OAuthFailure } from '../../../../../src/credentials/oauth/failure.ts'
import { grantsWithoutPerson } from '../../../../../src/credentials/oauth/grants/grants.ts'
import type { TokenSet } from '../../../../../src/credentials/oauth/token-set.ts'
import { startAuthorizationServer } from '../../../../helpers/authorization-server.ts'
import { grantContext } from '../../../../helpers/grant-context.ts'
import { startIssuer } from '../../../../helpers/issuer.ts'
import { startProtectedServer } from '../../../../helpers/protected-server.ts'
import { makeScratch } from '../../../../helpers/scratch.ts'

const EXCHANGE = 'urn:ietf:params:oauth:grant-type:token-exchange'
const BEARER = 'urn:ietf:params:oauth:grant-type:jwt-bearer'
const SECRET = 'se cret:+%&of the gateway'
const gateway = (
  changes: object = {},
): { client_id: string; client_secret: string; grant_types: string[] } => ({
  client_id: 'gateway',
  client_secret: SECRET,
  grant_types: ['client_credentials', EXCHANGE, BEARER],
  ...changes,
})
type OAuth = Exclude<NonNullable<ServerEntry['oauth']>, false>
const known: OAuth = { clientId: 'gateway', clientSecret: SECRET, scopes: 'mcp' }
const grants = (): ReturnType<typeof grantsWithoutPerson> => grantsWithoutPerson(() => fetch)

/** Calls a tool with a token, as the gateway would. */
async function whoami(url: string, { accessToken, tokenType }: TokenSet, dpop?: DpopKey): Promise<string> {
  const ask = (): Promise<Response> =>
    fetch(url, {
      method: 'POST',
      headers: {
        authorization: `${tokenType} ${accessToken}`,
        'content-type': 'application/json',
        accept: 'application/json, text/event-stream',
        ...(dpop && { dpop: dpop.proof('POST', url, accessToken) }),
      },
      body: JSON.stringify({ jsonrpc: '2.0', id: 1, method: 'tools/call', params: { name: 'whoami' } }),
    })
  const answer = await ask()
  if (answer.status === 401 && dpop?.noteNonce(url, answer.headers.get('dpop-nonce')))
    return await (await ask()).text()
  return await answer.text()
}

describe('client credentials', () => {
  test.each(['client_secret_basic', 'client_secret_post'] as const)('by %s', async method => {
    await using server = await startAuthorizationServer({
      clients: [gateway({ token_endpoint_auth_method: method })],
    })
    await using resource = await startProtectedServer({
      issuer: server.issuer,
      introspection: server.resourceServer,
    })
    const context = await grantContext(server, resource.url, {
      ...known,
      grant: 'client_credentials',
      authMethod: method,
    })
    const tokens = await grants().client_credentials(context)
    expect(tokens).toMatchObject({
      tokenType: 'Bearer',
      scope: 'mcp',
      clientId: 'gateway',
      resource: resource.url,
      serverUrl: resource.url,
    })
    expect(tokens.expiresAt).toBeGreaterThan(Date.now() + 3_500_000)
    expect(await whoami(resource.url, tokens)).toContain('"result"')
    expect(await resource.requests()).toMatchObject([{ clientId: 'gateway', status: 200 }])
  })

  test.each(['PEM', 'JWK'])('by a private key as %s', async form => {
    const { privateKey, publicKey } = await generateKeyPair('ES256', { extractable: true })
    const keys = [{ ...(await exportJWK(publicKey)), kid: 'k1', alg: 'ES256', use: 'sig' }]
    const client = gateway({
      token_endpoint_auth_method: 'private_key_jwt',
      jwks: { keys },
      client_secret: undefined,
    })
    await using server = await startAuthorizationServer({ clients: [client] })
    const written =
      form === 'PEM'
        ? await exportPKCS8(privateKey)
        : JSON.stringify({ ...(await exportJWK(privateKey)), kid: 'k1' })
    const oauth: OAuth = {
      clientId: 'gateway',
      privateKey: written,
      grant: 'client_credentials',
      scopes: 'mcp',
    }
    const tokens = await grants().client_credentials(
      await grantContext(server, 'https://files.example/mcp', oauth),
    )
    expect(tokens.scope).toBe('mcp')
    const [request] = (await server.happened()).tokenRequests
    expect(request?.form).not.toHaveProperty('client_secret')
    expect(request?.headers).not.toHaveProperty('authorization')
  })

  test('a wrong secret is one sentence without the secret, and no later attempt helps', async () => {
    await using server = await startAuthorizationServer({ clients: [gateway()] })
    const oauth: OAuth = { ...known, clientSecret: 'wrong-one', grant: 'client_credentials' }
    const failure = await failureOf(
      grants().client_credentials(await grantContext(server, 'https://files.example/mcp', oauth)),
    )
    const { host } = new URL(server.issuer)
    expect(failure.message).toBe(
      `The server "files": the grant "client_credentials" was refused by ${host} (invalid_client). Fix: check oauth.clientId and what authenticates it.`,
    )
    expect(failure).toMatchObject({ code: 'invalid_client', isTransient: false })
  })

  test('a private key that is none is not quoted', async () => {
    await using server = await startAuthorizationServer({ clients: [gateway()] })
    const oauth: OAuth = {
      clientId: 'gateway',
      privateKey: 'not-a-key-but-secret',
      grant: 'client_credentials',
    }
    const failure = await failureOf(
      grants().client_credentials(await grantContext(server, 'https://files.example/mcp', oauth)),
    )
    expect(failure.message).toContain('oauth.privateKey is no private key')
    expect(JSON.stringify([failure.message, failure.detail, String(failure.cause)])).not.toContain(
      'but-secret',
    )
  })
})

const LIES: [string, { status: number; headers?: Record<string, string>; body: string }, RegExp, boolean][] =
  [
    ['HTML', { status: 403, body: '<html>' }, /\(status 403, and what came is no JSON\)/, false],
    [
      'an error that quotes the secret',
      { status: 400, body: JSON.stringify({ error: SECRET, error_description: `you sent ${SECRET}` }) },
      /\(status 400\)/,
      false,
    ],
    ['an overloaded server', { status: 503, body: '{}' }, /\(status 503\)\. Fix: try again later/, true],
    ['no token', { status: 200, body: '{"token_type":"bearer"}' }, /no usable access token/, false],
    [
      'a token that no header can carry',
      { status: 200, body: '{"token_type":"bearer","access_token":"a\\r\\nb: c"}' },
      /no usable access token/,
      false,
    ],
    ['no type', { status: 200, body: '{"access_token":"a"}' }, /of which type/, false],
    [
      'an unknown type',
      { status: 200, body: '{"access_token":"a","token_type":"mac"}' },
      /of an unknown type/,
      false,
    ],
    ['a list', { status: 200, body: '[]' }, /no JSON object/, false],
  ]

test.each(LIES)('a token endpoint that answers %s', async (_, answer, said, isTransient) => {
  await using server = await startAuthorizationServer({ clients: [gateway()] })
  await server.behave('/token', { headers: { 'content-type': 'application/json' }, ...answer })
  const context = await grantContext(server, 'https://files.example/mcp', {
    ...known,
    grant: 'client_credentials',
  })
  const failure = await failureOf(grants().client_credentials(context))
  expect(failure.message).toMatch(said)
  expect(failure.isTransient).toBe(isTransient)
  expect(`${failure.message} ${failure.detail}`).not.toContain(SECRET)
})

test('a lifetime as a text is read, and one that is no number is unknown', async () => {
  await using server = await startAuthorizationServer({ clients: [gateway()] })
  const context = await grantContext(server, 'https://files.example/mcp', {
    ...known,
    grant: 'client_credentials',
  })
  const answer = (expires: unknown): Promise<void> =>
    server.behave('/token', {
      status: 200,
      body: JSON.stringify({ access_token: 'a', token_type: 'Bearer', expires_in: expires }),
    })
  await answer('60')
  const before = Date.now()
  expect((await grants().client_credentials(context)).expiresAt).toBeGreaterThanOrEqual(before + 60_000)
  await answer('soon')
  expect((await grants().client_credentials(context)).expiresAt).toBeUndefined()
  await answer(1e300)
  expect(
    new Date((await grants().client_credentials(context)).expiresAt ?? Number.NaN).getTime(),
  ).not.toBeNaN()
})

describe('JWT bearer', () => {
  test('the JWT of a workload, read anew each time from its file', async () => {
    await using workloads = await startIssuer()
    await using server = await startAuthorizationServer({
      clients: [gateway()],
      trusts: { [workloads.url]: `${workloads.url}/keys` },
    })
    await using resource = await startProtectedServer({
      issuer: server.issuer,
      introspection: server.resourceServer,
    })
    await using scratch = makeScratch()
    const file = join(scratch.path, 'token')
    const context = await grantContext(server, resource.url, {
      ...known,
      grant: 'jwt_bearer',
      idp: { subjectToken: `file:${file}` },
    })
    for (const sub of ['first', 'second']) {
      writeFileSync(file, `${await workloads.token({ sub, aud: server.issuer })}\n`)
      expect(await whoami(resource.url, await grants().jwt_bearer(context))).toContain(`"text":"${sub}"`)
    }
    writeFileSync(file, 'opaque')
    expect((await failureOf(grants().jwt_bearer(context))).message).toContain(
      'a subject token that is no JWT',
    )
  })

  test('a file that is not there', async () => {
    await using server = await startAuthorizationServer({ clients: [gateway()] })
    const idp = { subjectToken: 'file:/does/not/exist' }
    const context = await grantContext(server, 'https://files.example/mcp', {
      ...known,
      grant: 'jwt_bearer',
      idp,
    })
    expect((await failureOf(grants().jwt_bearer(context))).message).toBe(
      'The server "files": the grant "jwt_bearer" cannot read its subject token from /does/not/exist: there is no such file. Fix: check oauth.idp.subjectToken.',
    )
  })

  test('the token of a caller is never an assertion', async () => {
    await using server = await startAuthorizationServer({ clients: [gateway()] })
    const context = await grantContext(
      server,
      'https://files.example/mcp',
      { ...known, grant: 'jwt_bearer', idp: { subjectToken: 'caller' } },
      { callerToken: 'e30.e30.e30' },
    )
    expect((await failureOf(grants().jwt_bearer(context))).message).toContain(
      'would send the token of a caller',
    )
    expect((await server.happened()).tokenRequests).toEqual([])
  })
})

describe('token exchange', () => {
  test('at the authorization server of the server', async () => {
    await using workloads = await startIssuer()
    await using server = await startAuthorizationServer({
      clients: [gateway()],
      trusts: { [workloads.url]: `${workloads.url}/keys` },
    })
    await using resource = await startProtectedServer({
      issuer: server.issuer,
      introspection: server.resourceServer,
    })
    const idp = { subjectToken: await workloads.token({ sub: 'dora', aud: 'anything' }) }
    const context = await grantContext(server, resource.url, { ...known, grant: 'token_exchange', idp })
    expect(await whoami(resource.url, await grants().token_exchange(context))).toContain('"text":"dora"')
    expect((await server.happened()).tokenRequests[0]?.form).toMatchObject({
      subject_token_type: 'urn:ietf:params:oauth:token-type:access_token',
      resource: resource.url,
    })
  })

  test('at an identity provider that also issues the tokens of the server, for the caller', async () => {
    await using idp = await startAuthorizationServer({ path: '/tenant', clients: [gateway()] })
    await using resource = await startProtectedServer({
      issuer: idp.issuer,
      introspection: idp.resourceServer,
    })
    const oauth: OAuth = {
      ...known,
      grant: 'token_exchange',
      per: 'client',
      idp: { issuer: idp.issuer, clientId: 'gateway', clientSecret: SECRET, subjectToken: 'caller' },
    }
    const all = grants()
    for (const user of ['ada', 'bob']) {
      const callerToken = await idp.identityToken(user, 'gateway')
      const tokens = await all.token_exchange(await grantContext(idp, resource.url, oauth, { callerToken }))
      expect(await whoami(resource.url, tokens)).toContain(`"text":"${user}"`)
    }
    const without = await grantContext(idp, resource.url, oauth)
    expect((await failureOf(all.token_exchange(without))).message).toContain(
      'needs the token with which the caller has logged in',
    )
  })

  test('the token of a caller does not go to the authorization server of the server', async () => {
    await using server = await startAuthorizationServer({ clients: [gateway()] })
    const oauth: OAuth = { ...known, grant: 'token_exchange', idp: { subjectToken: 'caller' } }
    const context = await grantContext(server, 'https://files.example/mcp', oauth, {
      callerToken: 'e30.e30.e30',
    })
    expect((await failureOf(grants().token_exchange(context))).message).toContain('Fix: set oauth.idp.issuer')
    expect((await server.happened()).tokenRequests).toEqual([])
  })
})

describe('ID-JAG', () => {
  test('the identity of a caller becomes an assertion, which is used until it ends, and that a token', async () => {
    await using idp = await startAuthorizationServer({
      clients: [gateway({ client_id: 'sso' })],
      assertionSeconds: 300,
      clientIds: {},
    })
    await using server = await startAuthorizationServer({
      clients: [gateway({ client_id: 'sso' })],
      trusts: { [idp.issuer]: idp.jwksUrl },
    })
    await using resource = await startProtectedServer({
      issuer: server.issuer,
      introspection: server.resourceServer,
    })
    const oauth: OAuth = {
      ...known,
      clientId: 'sso',
      grant: 'id_jag',
      per: 'client',
      idp: { issuer: idp.issuer, clientId: 'sso', clientSecret: SECRET, subjectToken: 'caller' },
    }
    const all = grants()
    const tokensOf = async (user: string, callerToken: string): Promise<TokenSet> => {
      const principal = {
        kind: 'user',
        id: `user:${user}`,
        name: user,
        client: undefined,
        roles: [],
      } as const
      return await all.id_jag(await grantContext(server, resource.url, oauth, { callerToken, principal }))
    }
    const ada = await idp.identityToken('ada', 'sso')
    const bob = await idp.identityToken('bob', 'sso')
    expect(await whoami(resource.url, await tokensOf('ada', ada))).toContain('"text":"ada"')
    expect(await whoami(resource.url, await tokensOf('ada', ada))).toContain('"text":"ada"')
    expect(await whoami(resource.url, await tokensOf('bob', bob))).toContain('"text":"bob"')
    expect((await idp.happened()).redemptions).toEqual({ [EXCHANGE]: 2 })
    expect((await server.happened()).redemptions).toEqual({ [BEARER]: 3 })
    const seen = (await server.happened()).tokenRequests.map(({ form }) => JSON.stringify(form)).join()
    expect(seen).not.toContain(ada)
    expect(seen).not.toContain(bob)
    // An assertion that is refused is replaced once.
    await server.behave('/token', { status: 400, body: '{"error":"invalid_grant"}', times: 1 })
    expect(await whoami(resource.url, await tokensOf('ada', ada))).toContain('"text":"ada"')
    expect((await idp.happened()).redemptions).toEqual({ [EXCHANGE]: 3 })
    // The identity provider hears of a gateway with another secret, and refuses it.
    const replaced: OAuth = { ...oauth, idp: { ...oauth.idp, clientSecret: 'replaced' } }
    const principal = { kind: 'user', id: 'user:ada', name: 'ada', client: undefined, roles: [] } as const
    const context = await grantContext(server, resource.url, replaced, { callerToken: ada, principal })
    expect((await failureOf(all.id_jag(context))).message).toContain('the identity provider was refused by')
  })

  test('an identity provider whose metadata are of another issuer is not used', async () => {
    await using idp = await startAuthorizationServer({ path: '/a', clients: [gateway()] })
    await using server = await startAuthorizationServer({ clients: [gateway()] })
    const { origin } = new URL(idp.issuer)
    const oauth: OAuth = {
      ...known,
      grant: 'id_jag',
      idp: { issuer: `${origin}/b`, subjectToken: 'e30.e30.e30' },
    }
    const failure = await failureOf(
      grants().id_jag(await grantContext(server, 'https://files.example/mcp', oauth)),
    )
    expect(failure.message).toContain('found no metadata of the identity provider')
    expect((await idp.happened()).tokenRequests).toEqual([])
  })

  test('an identity provider that refuses', async () => {
    await using idp = await startAuthorizationServer({ clients: [gateway()] })
    await using server = await startAuthorizationServer({ clients: [gateway()] })
    const idpKeys = {
      issuer: idp.issuer,
      clientId: 'gateway',
      clientSecret: SECRET,
      subjectToken: 'e30.e30.e30',
    }
    const context = await grantContext(server, 'https://files.example/mcp', {
      ...known,
      grant: 'id_jag',
      idp: idpKeys,
    })
    const failure = await failureOf(grants().id_jag(context))
    expect(failure.message).toMatch(
      /^The server "files": the grant "id_jag": the request to the identity provider was refused by 127/,
    )
    expect(failure.code).toBe('invalid_grant')
  })
})

describe('proof of possession', () => {
  test.each(['required', 'nonce'] as const)('where the server says "%s"', async dpop => {
    const clients = [gateway({ dpop_bound_access_tokens: true })]
    await using server = await startAuthorizationServer({
      clients,
      dpop: dpop === 'nonce' ? 'nonce' : 'accepted',
    })
    await using resource = await startProtectedServer({
      issuer: server.issuer,
      introspection: server.resourceServer,
      dpop,
    })
    const key = DpopKey.generate()
    const oauth: OAuth = { ...known, grant: 'client_credentials', dpop: true }
    const tokens = await grants().client_credentials(
      await grantContext(server, resource.url, oauth, { dpop: key }),
    )
    expect(tokens).toMatchObject({ tokenType: 'DPoP', dpopKey: key.jwk })
    const kept = DpopKey.from(tokens.dpopKey ?? {})
    expect(await whoami(resource.url, tokens, kept)).toContain('"result"')
    expect(await whoami(resource.url, tokens, kept)).toContain('"result"')
    expect(await whoami(resource.url, tokens, DpopKey.generate())).toMatch(/invalid_token|use_dpop_nonce/)
    expect(await whoami(resource.url, tokens)).not.toContain('"result"')
  })

  test('a bearer token is refused where the configuration wants proofs', async () => {
    await using server = await startAuthorizationServer({ clients: [gateway()], dpop: 'none' })
    const oauth: OAuth = { ...known, grant: 'client_credentials', dpop: true }
    const context = await grantContext(server, 'https://files.example/mcp', oauth, {
      dpop: DpopKey.generate(),
    })
    expect((await failureOf(grants().client_credentials(context))).message).toContain('gave a bearer token')
  })
})

async function failureOf(granting: Promise<unknown>): Promise<OAuthFailure> {
  const error: unknown = await granting.then(
    () => undefined,
    (reason: unknown) => reason,
  )
  if (!(error instanceof OAuthFailure)) throw new Error(`no OAuthFailure: ${String(error)}`)
  return error
}
