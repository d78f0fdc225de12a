import { expect, test } from 'vitest'
import { EventBus, UNHEARD } from '../../../../src/core/event-bus.ts'
import type { GatewayEvent } from '../../../../src/core/events.ts'
import type { GatewayError } from '../../../../src/core/errors.ts'
import { SILENT } from '../../../../src/core/logger.ts'
import { LOCAL, type Principal } from '../../../../src/core/principal.ts'
import { Credentials } from '../../../../src/credentials/accounts/credentials.ts'
import type { TokenSet } from '../../../../src/credentials/oauth/token-set.ts'
import {
  bearerOf,
  loginScene,
  messageOf,
  REDIRECT,
  serverOf,
  tokensIn,
} from '../../../helpers/login-scene.ts'
import { startOddServer, type Oddities } from '../../../helpers/odd-authorization-server.ts'

/** Logins at servers and authorization servers with the habits of real ones. */

const QUOTED = 's3cr3t'

test('an address alone is enough where the gateway may register itself', async () => {
  await using at = await loginScene()
  expect(await at.headers()).toEqual([])
  const refusal = await at.refused('Bearer')
  expect(refusal).toMatchObject({ code: 'needs_login', server: 'odd' })
  const url = await at.login()
  expect(Object.fromEntries(url.searchParams)).toMatchObject({
    response_type: 'code',
    code_challenge_method: 'S256',
    redirect_uri: REDIRECT,
    resource: at.odd.url,
  })
  expect(url.searchParams.has('scope')).toBe(false)
  const list = await at.headers()
  expect(list[0]).toBe('authorization')
  expect(at.odd.isGood(bearerOf(list))).toBe(true)
  expect(at.account.headers({ method: 'POST', url: at.odd.url })).toBe(list)
  expect(at.odd.registered).toMatchObject([
    { client_name: 'mcp-manifold', redirect_uris: [REDIRECT], token_endpoint_auth_method: 'none' },
  ])
  for (const headers of at.odd.headersSeen)
    expect(Object.keys(headers).filter(name => name.startsWith('mcp-'))).toEqual([])
})

test('a registration is kept, and made anew for another redirect address', async () => {
  await using at = await loginScene()
  await at.login()
  await at.login()
  expect(at.odd.registered).toHaveLength(1)
  await at.login('http://127.0.0.1:8977/callback')
  expect(at.odd.registered).toHaveLength(2)
  const renamed = await serverOf(at.odd.url, { clientName: 'Another' })
  at.credentials.reconfigure([renamed])
  await at.credentials.authorizer.begin(renamed, 'gateway', 'http://127.0.0.1:8977/callback')
  expect(at.odd.registered.at(-1)).toMatchObject({ client_name: 'Another' })
})

test('without registration, the error names the key to set', async () => {
  await using at = await loginScene({ registration: 'none' })
  const message = await messageOf(at.login())
  expect(message).toContain('"mcpServers.odd.oauth.clientId"')
  expect(message).toContain(REDIRECT)
  await using known = await loginScene({ registration: 'none' }, { clientId: 'by-hand' })
  await known.login()
  expect(known.odd.isGood(bearerOf(await known.headers()))).toBe(true)
})

test('a registration refused by name says which keys help, and the right name is let in', async () => {
  await using at = await loginScene({ registration: { names: ['Example Editor'] } })
  const message = await messageOf(at.login())
  expect(message).toContain('(status 403)')
  expect(message).toContain('"oauth.clientName"')
  expect(message).toContain('oauth.clientId"')
  await using named = await loginScene(
    { registration: { names: ['Example Editor'] } },
    { clientName: 'Example Editor' },
  )
  await named.login()
  expect((await named.headers())[0]).toBe('authorization')
})

test('a document describes the gateway where that is supported', async () => {
  const clientMetadataUrl = 'https://gateway.example/client.json'
  await using at = await loginScene(
    { metadata: { client_id_metadata_document_supported: true } },
    { clientMetadataUrl },
  )
  expect((await at.login()).searchParams.get('client_id')).toBe(clientMetadataUrl)
  expect(at.odd.registered).toEqual([])
})

test('an issuer with a path is found at its path, and its registration in whichever document has it', async () => {
  await using at = await loginScene({ path: '/tenant', registrationInOpenId: true })
  await at.login()
  expect(at.odd.registered).toHaveLength(1)
})

test('metadata of another issuer are refused, with both names', async () => {
  await using at = await loginScene({ calls: 'https://evil.example' })
  const message = await messageOf(at.login())
  expect(message).toContain('evil.example')
  expect(message).toContain('"oauth.issuer"')
})

test.each([
  ['at its root, under an issuer with a path', { path: '/oauth', metadataAt: 'root' }],
  ['nowhere', { metadataAt: 'nowhere' }],
] as const)(
  'a server that does not describe itself has its metadata %s; later starts renew',
  async (_, odd) => {
    await using at = await loginScene({ ...odd, isDescribed: false })
    await at.login()
    const first = bearerOf(await at.headers())
    expect(at.odd.isGood(first)).toBe(true)
    const later = new Credentials({ servers: [at.server], vault: at.vault, logger: SILENT, events: UNHEARD })
    const account = later.for(at.server, undefined)
    const sent = (await account?.headers({ method: 'POST', url: at.odd.url })) ?? []
    expect(bearerOf(sent)).toBe(first)
    expect(await account?.refused({ status: 401, wwwAuthenticate: 'Bearer', sent })).toBe(true)
    expect(at.odd.redeemed).toEqual({ code: 1, refresh: 1 })
    later.close()
  },
)

test('metadata at the root of a server that name another origin are refused', async () => {
  await using at = await loginScene({ isDescribed: false, calls: 'https://evil.example/oauth' })
  expect(await messageOf(at.login())).toContain('evil.example')
})

test('a fixed redirect address is named, and used when it is configured', async () => {
  const fixed = 'http://127.0.0.1:3118/callback'
  await using at = await loginScene({ redirect: fixed })
  expect(await messageOf(at.login())).toContain('"oauth.redirect"')
  await at.login(fixed)
  expect((await at.headers())[0]).toBe('authorization')
})

test('a refused resource is named, and left out with "none"', async () => {
  await using at = await loginScene({ refusesResource: true })
  const message = await messageOf(at.login())
  expect(message).toContain('"oauth.resource" to "none"')
  expect(message).not.toContain(QUOTED)
  await using none = await loginScene({ refusesResource: true }, { resource: 'none' })
  expect((await none.login()).searchParams.has('resource')).toBe(false)
})

test('a registration that was purged is made anew, with one new login', async () => {
  await using at = await loginScene()
  await at.login()
  at.odd.forgetClients()
  const message = await messageOf(at.login())
  expect(message).toContain('forgotten the registration')
  await at.login()
  expect(at.odd.registered).toHaveLength(2)
  at.odd.forgetClients()
  // The renewal finds out, and the next login registers anew.
  expect(await at.refused('Bearer')).toMatchObject({ code: 'needs_login' })
  await at.login()
  expect(at.odd.registered).toHaveLength(3)
})

test('the metadata that a refusal names count, where the authorization server has moved', async () => {
  await using at = await loginScene()
  await using other = await startOddServer()
  await at.login()
  at.odd.named = other.issuer
  const header = `Bearer resource_metadata="${at.odd.origin}/.well-known/oauth-protected-resource/mcp"`
  await at.vault.remove({ kind: 'tokens', server: 'odd', owner: 'gateway' })
  expect(await at.refused(header)).toMatchObject({ code: 'needs_login' })
  const { url } = await at.credentials.authorizer.begin(at.server, 'gateway', REDIRECT)
  expect(new URL(url).origin).toBe(other.origin)
  expect(other.registered).toHaveLength(1)
})

test.each([
  [{}, undefined, null],
  [{ serverScopes: [] }, undefined, null],
  [{ serverScopes: ['read'] }, undefined, 'read'],
  [{ serverScopes: ['read'], scopesSupported: ['read', 'offline_access'] }, undefined, 'read offline_access'],
  [{ serverScopes: ['read'] }, { scopes: ['own'] }, 'own'],
])('with %j and %j, the scope is %j', async (oddities, oauth, scope) => {
  await using at = await loginScene(oddities as Oddities, oauth)
  expect((await at.login()).searchParams.get('scope')).toBe(scope)
})

test('the scope of a refusal goes before that of the metadata', async () => {
  await using at = await loginScene({ serverScopes: ['read'] })
  await at.refused('Bearer scope="asked for"')
  expect((await at.login()).searchParams.get('scope')).toBe('asked for')
})

test('more permissions are asked for beside those that were granted, at most twice', async () => {
  await using at = await loginScene({ serverScopes: ['read'] })
  await at.login()
  const insufficient = (scope: string): Promise<true | GatewayError> =>
    at.refused(`Bearer error="insufficient_scope", scope="${scope}"`, 403)
  const list = await at.headers()
  expect(await insufficient('write')).toMatchObject({ code: 'needs_login' })
  expect(await at.headers()).toBe(list)
  expect((await at.login()).searchParams.get('scope')?.split(' ').sort()).toEqual(['read', 'write'])
  expect(await insufficient('write')).toMatchObject({ code: 'upstream_unauthorized' })
  expect(await insufficient('a')).toMatchObject({ code: 'needs_login' })
  expect(await insufficient('b')).toMatchObject({ code: 'needs_login' })
  // Many calls may wait for that login.
  for (let call = 0; call < 5; call++) expect(await insufficient('b')).toMatchObject({ code: 'needs_login' })
  expect(await insufficient('c')).toMatchObject({ code: 'upstream_unauthorized' })
})

test('a token is renewed before its end, saved before it is used, and once for all processes', async () => {
  await using at = await loginScene()
  await at.login()
  const saved: string[] = []
  at.vault.onWrite = ({ value }) => void saved.push((value as TokenSet).accessToken)
  const known = tokensIn(at.vault)
  if (!known) throw new Error('no tokens')
  const expired = { ...known, obtainedAt: Date.now() - 7_200_000, expiresAt: Date.now() - 3_600_000 }
  at.vault.records.set(JSON.stringify(['tokens', 'odd', 'gateway']), {
    issuer: at.odd.issuer,
    value: expired,
  })
  const told: GatewayEvent[] = []
  const events = new EventBus(SILENT)
  events.on('*', event => void told.push(event))
  const many = Array.from({ length: 12 }, () => {
    const credentials = new Credentials({
      servers: [at.server],
      vault: at.vault,
      logger: SILENT,
      events,
    })
    return credentials.for(at.server, undefined)
  })
  const lists = await Promise.all(
    many.flatMap(account => [0, 1].map(() => account?.headers({ method: 'POST', url: at.odd.url }))),
  )
  expect(at.odd.redeemed.refresh).toBe(1)
  expect(new Set(lists.map(list => bearerOf(list ?? [])))).toEqual(new Set(saved))
  expect(told).toMatchObject([{ type: 'credential.renewed', server: 'odd', owner: 'gateway', cause: 'due' }])
})

test('a refused token is renewed once; a server that refuses for ever gets no storm', async () => {
  await using at = await loginScene()
  await at.login()
  expect(await at.refused('Bearer')).toBe(true)
  expect(at.odd.redeemed.refresh).toBe(1)
  expect(await at.refused('Bearer')).toMatchObject({ code: 'upstream_unauthorized' })
  for (let times = 0; times < 50; times++) expect(await messageOf(at.headers())).toContain('just issued')
  expect(at.odd.redeemed.refresh).toBe(1)
})

test('parallel refusals of one token renew it once', async () => {
  await using at = await loginScene()
  await at.login()
  const sent = await at.headers()
  const refusals = Array.from({ length: 20 }, () =>
    at.account.refused({ status: 401, wwwAuthenticate: 'Bearer', sent }),
  )
  expect(new Set(await Promise.all(refusals))).toEqual(new Set([true]))
  expect(at.odd.redeemed.refresh).toBe(1)
})

test('tokens that another process has renewed are taken over, and never deleted by the loser', async () => {
  await using at = await loginScene()
  await at.login()
  await at.headers()
  const newer = {
    ...(tokensIn(at.vault) as TokenSet),
    accessToken: 'access-newer',
    refreshToken: 'refresh-newer',
  }
  const sent = await at.headers()
  at.vault.records.set(JSON.stringify(['tokens', 'odd', 'gateway']), { issuer: at.odd.issuer, value: newer })
  expect(await at.account.refused({ status: 401, wwwAuthenticate: 'Bearer', sent })).toBe(true)
  expect(bearerOf(await at.headers())).toBe('access-newer')
  expect(at.odd.redeemed.refresh).toBe(0)
})

test('a revoked login is deleted, and asked for anew', async () => {
  await using at = await loginScene()
  await at.login()
  const tokens = tokensIn(at.vault) as TokenSet
  const revoked = { ...tokens, refreshToken: 'refresh-unknown' }
  await at.vault.write(
    { kind: 'tokens', server: 'odd', owner: 'gateway' },
    { issuer: at.odd.issuer, value: revoked },
  )
  expect(await at.refused('Bearer')).toMatchObject({ code: 'needs_login' })
  expect(tokensIn(at.vault)).toBeUndefined()
  expect(at.log.join()).not.toContain('refresh-unknown')
})

test.each<[string, Oddities, RegExp]>([
  ['a page', { token: { status: 200, type: 'text/html', body: '<html>s3cr3t</html>' } }, /no JSON/],
  ['403', { token: { status: 403, type: 'text/html', body: '<html>s3cr3t</html>' } }, /status 403/],
  [
    'no token',
    { token: { status: 200, type: 'application/json', body: '{"token_type":"Bearer"}' } },
    /access token/,
  ],
  [
    'a token with a line break',
    {
      token: {
        status: 200,
        type: 'application/json',
        body: '{"access_token":"a\\nb","token_type":"Bearer"}',
      },
    },
    /access token/,
  ],
])('a token endpoint that answers with %s gets one sentence, and no tokens', async (_, oddities, words) => {
  await using at = await loginScene(oddities)
  const message = await messageOf(at.login())
  expect(message).toMatch(words)
  expect(message).toMatch(/Fix: /)
  expect(message).not.toContain(QUOTED)
  expect(tokensIn(at.vault)).toBeUndefined()
})

test.each<[string, (back: URLSearchParams) => void, RegExp]>([
  ['another state', back => back.set('state', 'x'), /state that is not its own/],
  ['another issuer', back => back.set('iss', 'https://evil.example'), /another authorization server/],
  ['no issuer', back => back.delete('iss'), /without the issuer/],
  ['no code', back => back.delete('code'), /without a code/],
  ['a refusal', back => back.set('error', 'access_denied'), /access_denied/],
  ['an unknown refusal', back => back.set('error', 's3cr3t'), /refused the login\./],
])('a callback with %s is refused', async (_, change, words) => {
  await using at = await loginScene({ iss: true })
  const { authorizer } = at.credentials
  const { url, pending } = await authorizer.begin(at.server, 'gateway', REDIRECT)
  const back = at.odd.agree(url)
  change(back)
  const message = await messageOf(authorizer.finish(pending, back))
  expect(message).toMatch(words)
  expect(message).not.toContain(QUOTED)
  expect(at.odd.redeemed.code).toBe(0)
})

test('tokens are not sent to another origin, nor used with another issuer or identifier', async () => {
  await using at = await loginScene()
  await at.login()
  await using other = await startOddServer()
  for (const [url, oauth] of [
    [other.url, undefined],
    [at.odd.url, { issuer: other.issuer }],
    [at.odd.url, { clientId: 'by-hand' }],
  ] as const) {
    at.credentials.reconfigure([await serverOf(url, oauth)])
    expect(await at.headers()).toEqual([])
  }
  at.credentials.reconfigure([at.server])
  expect((await at.headers())[0]).toBe('authorization')
  at.credentials.reconfigure([])
  expect(await at.headers()).toEqual([])
  expect(at.credentials.for(at.server, undefined)).toBeUndefined()
})

test('a login that a command deletes is out of use', async () => {
  await using at = await loginScene()
  await at.login()
  expect(await at.headers()).not.toEqual([])
  await at.vault.remove({ kind: 'tokens', server: 'odd', owner: 'gateway' })
  expect(await at.headers()).toEqual([])
})

test('a machine gets tokens without a person, and keeps them in memory', async () => {
  const oauth = {
    grant: 'client_credentials',
    clientId: 'by-hand',
    clientSecret: 's',
    authMethod: 'client_secret_post',
  }
  await using at = await loginScene({}, oauth)
  const list = await at.headers()
  expect(at.odd.isGood(bearerOf(list))).toBe(true)
  expect(tokensIn(at.vault)).toBeUndefined()
  expect(await at.refused('Bearer')).toBe(true)
  expect(await at.refused('Bearer')).toMatchObject({ code: 'upstream_unauthorized' })
  expect(at.odd.tokenForms).toHaveLength(2)
})

test('each client has tokens of its own', async () => {
  await using at = await loginScene({}, { per: 'client' })
  const principal = (name: string) =>
    ({ kind: 'client', id: `client:${name}`, name, client: name, roles: [] }) as const
  const { authorizer } = at.credentials
  for (const name of ['ada', 'bob']) {
    const { url, pending } = await authorizer.begin(at.server, `client:${name}`, REDIRECT)
    await authorizer.finish(pending, at.odd.agree(url))
  }
  const sent = await Promise.all(
    ['ada', 'bob', 'eve'].map(
      async name =>
        await at.credentials.for(at.server, principal(name))?.headers({ method: 'POST', url: at.odd.url }),
    ),
  )
  expect(sent[2]).toEqual([])
  expect(sent[0]).not.toEqual(sent[1])
})

/** The payload of the proof in a list of headers. */
const proofIn = (list: readonly string[]): Record<string, unknown> =>
  JSON.parse(
    Buffer.from(`${list[list.indexOf('dpop') + 1]}`.split('.')[1] ?? '', 'base64url').toString(),
  ) as Record<string, unknown>

test('tokens are bound to a key where the challenge of a server asks for proofs', async () => {
  await using at = await loginScene()
  expect(await at.refused('DPoP algs="ES256"')).toMatchObject({ code: 'needs_login' })
  await at.login()
  expect(at.odd.proofs).toHaveLength(1)
  const [first, second] = [await at.headers(), await at.headers()]
  expect(first[1]).toMatch(/^DPoP access-/)
  expect(proofIn(first)).toMatchObject({ htm: 'POST', htu: at.odd.url })
  expect(proofIn(first)['jti']).not.toBe(proofIn(second)['jti'])
})

test.each([
  ['Bearer realm="DPoP"', undefined, undefined, false],
  ['Bearer, DPoP algs="ES256 PS256"', undefined, undefined, true],
  ['Bearer error="invalid_token", DPoP', undefined, undefined, true],
  ['DPoP', { dpop: false }, undefined, false],
  ['DPoP', undefined, ['RS256'], false],
  ['DPoP', undefined, ['RS256', 'ES256'], true],
  ['Bearer', undefined, ['ES256'], false],
  ['Bearer', { dpop: true }, undefined, true],
])(
  'the challenge %s with %j, at algorithms %j, leads to bound tokens: %s',
  async (header, oauth, algorithms, isBound) => {
    await using at = await loginScene(
      algorithms ? { metadata: { dpop_signing_alg_values_supported: algorithms } } : {},
      oauth,
    )
    await at.refused(header)
    await at.login()
    expect((await at.headers()).includes('dpop')).toBe(isBound)
  },
)

test('a machine gets bound tokens once a server asks for proofs', async () => {
  const oauth = {
    grant: 'client_credentials',
    clientId: 'by-hand',
    clientSecret: 's',
    authMethod: 'client_secret_post',
  }
  await using at = await loginScene({}, oauth)
  expect((await at.headers())[1]).toMatch(/^Bearer /)
  expect(await at.refused('DPoP')).toBe(true)
  expect((await at.headers())[1]).toMatch(/^DPoP /)
})

test('every request that lacks the nonce of a server is made again with it, without a renewal', async () => {
  await using at = await loginScene({}, { dpop: true })
  await at.login()
  const header = 'DPoP error="use_dpop_nonce"'
  const sent = [await at.headers(), await at.headers()]
  for (const list of sent) {
    at.account.answered?.({ 'dpop-nonce': 'n1' })
    expect(await at.account.refused({ status: 401, wwwAuthenticate: header, sent: list })).toBe(true)
  }
  expect(proofIn(await at.headers())).toMatchObject({ nonce: 'n1' })
  expect(at.odd.redeemed).toEqual({ code: 1, refresh: 0 })
})

test.each([
  [true, 'gateway', undefined, /run "mcp-manifold login odd", or call a tool/],
  [false, 'gateway', undefined, /Fix: call a tool of it again and follow the link/],
  [true, 'client:ann', 'client', /run "mcp-manifold login odd --client ann", or call a tool/],
  [true, 'user:idp ann', 'client', /Fix: call a tool of it again and follow the link/],
])(
  'a login that is missing is begun by what reaches the state: shared %s, of %s',
  async (isShared, id, per, fix) => {
    await using at = await loginScene({}, per === undefined ? undefined : { per })
    at.vault.isShared = isShared
    const principal: Principal = { ...LOCAL, id }
    const account = at.credentials.for(at.server, principal)
    const refusal = await account?.refused({ status: 401, wwwAuthenticate: 'Bearer', sent: [] })
    expect(refusal).toMatchObject({ code: 'needs_login', message: expect.stringMatching(fix) as string })
  },
)
