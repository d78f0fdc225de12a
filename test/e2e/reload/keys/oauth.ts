import { generateKeyPairSync } from 'node:crypto'
import { clientPrincipal } from '../../../../src/core/principal.ts'
import { startOddServer, type OddServer } from '../../../helpers/odd-authorization-server.ts'
import { scriptedHttp, type ScriptedServer } from '../../../helpers/scripted-servers.ts'
import { call, changeAt, WELL, type KeyTest, type KeyTests, type Look } from './change.ts'

/** What a change of each key of a login does: seen in the address of a login, or in a request for tokens. */

interface Place extends AsyncDisposable {
  readonly server: ScriptedServer
  readonly odd: OddServer
  readonly other: OddServer
}

async function place(): Promise<Place> {
  const server = await scriptedHttp()
  server.results.set('tools/call', WELL)
  const odd = await startOddServer({
    metadata: { client_id_metadata_document_supported: true },
    mcp: String((server.entry as { url?: unknown }).url),
  })
  const other = await startOddServer()
  return {
    server,
    odd,
    other,
    [Symbol.asyncDispose]: async () => {
      await Promise.all([server, odd, other].map(each => each[Symbol.asyncDispose]()))
    },
  }
}

/** The address of a login that begins now. `undefined`: none can begin. */
const beginning: Look<Place> = async ({ gateway }) => {
  const { logins } = gateway['runtime'].serverLogins
  logins.abandon('a')
  try {
    const { url } = await gateway.operations.beginLogin('a', 'gateway')
    logins.abandon('a')
    return new URL(url)
  } catch {
    return undefined
  }
}
const asked =
  (name: string): Look<Place> =>
  async scene =>
    ((await beginning(scene)) as URL | undefined)?.searchParams.get(name)
const registered =
  (member: string): Look<Place> =>
  async scene => {
    await beginning(scene)
    return scene.server.odd.registered.at(-1)?.[member]
  }
/** A parameter of the last request for tokens of a call. */
const token =
  (name: string): Look<Place> =>
  async scene => {
    await call()(scene as never)
    return scene.server.odd.tokenForms.at(-1)?.[name]
  }

type Entry = (at: Place) => object
/** A port of this machine: the address of a hosted login would be a page of the gateway. */
const PORT = { port: 18_903 }

function ofEntry(
  [before, after]: readonly [Entry, Entry],
  look: Look<Place>,
  seen: readonly [unknown, unknown],
): KeyTest {
  const file = (entry: Entry) => (at: Place) => ({
    mcpServers: { a: { url: at.odd.url, ...entry(at) } },
  })
  return changeAt(place, [file(before), file(after)], look, seen)
}

const oauthOf =
  (keys: object): Entry =>
  ({ odd }) => ({ oauth: { issuer: odd.issuer, clientId: 'by-hand', redirect: PORT, ...keys } })
const ofOAuth = (
  before: object,
  after: object,
  look: Look<Place>,
  seen: readonly [unknown, unknown],
): KeyTest => ofEntry([oauthOf(before), oauthOf(after)], look, seen)
const unregistered = { clientId: undefined }

/** How many logins two clients need. */
const logins: Look<Place> = async ({ gateway }) => {
  const { serverLogins } = gateway['runtime']
  for (const name of ['ada', 'bob']) await serverLogins.beginLogin('a', clientPrincipal(name))
  const { size } = serverLogins.logins
  serverLogins.logins.abandon('a')
  return size
}
/** A parameter of the last request for tokens at the identity provider. */
const atIdp =
  (name: string): Look<Place> =>
  async scene => {
    await call()(scene as never)
    return scene.server.other.tokenForms.at(-1)?.[name]
  }
function ofIdp(before: Entry, after: Entry, look: Look<Place>, seen: readonly [unknown, unknown]): KeyTest {
  const entry =
    (idp: Entry): Entry =>
    at =>
      oauthOf({ grant: 'id_jag', idp: { subjectToken: 's', ...idp(at) } })(at)
  return ofEntry([entry(before), entry(after)], look, seen)
}

/** Tokens in the form of a JWT. */
const [JWT_ONE, JWT_TWO] = ['one', 'two'].map(subject =>
  [{ alg: 'ES256' }, { sub: subject }, {}]
    .map(part => Buffer.from(JSON.stringify(part)).toString('base64url'))
    .join('.'),
) as [string, string]
const MACHINE = { grant: 'client_credentials', clientSecret: 's', authMethod: 'client_secret_post' }
const PEM = generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey.export({
  format: 'pem',
  type: 'pkcs8',
})
const [ONE, TWO] = ['http://127.0.0.1:18901/one', 'http://127.0.0.1:18902/two']

export const OAUTH_KEYS: KeyTests = {
  'mcpServers.*.oauth': ofEntry(
    [() => ({ oauth: false }), oauthOf(MACHINE)],
    // Over a link that was opened without a login.
    token('grant_type'),
    [undefined, 'client_credentials'],
  ),
  'mcpServers.*.oauth.clientId': ofOAuth(
    { clientId: 'by-hand-1' },
    { clientId: 'by-hand-2' },
    asked('client_id'),
    ['by-hand-1', 'by-hand-2'],
  ),
  'mcpServers.*.oauth.client_id': ofOAuth(
    { ...unregistered, client_id: 'by-hand-1' },
    { ...unregistered, client_id: 'by-hand-2' },
    asked('client_id'),
    ['by-hand-1', 'by-hand-2'],
  ),
  'mcpServers.*.oauth.clientSecret': ofOAuth(
    { ...MACHINE, clientSecret: 'one' },
    { ...MACHINE, clientSecret: 'two' },
    token('client_secret'),
    ['one', 'two'],
  ),
  'mcpServers.*.oauth.privateKey': ofOAuth(
    MACHINE,
    { grant: 'client_credentials', privateKey: PEM },
    async scene => (await token('client_assertion')(scene)) !== undefined,
    [false, true],
  ),
  'mcpServers.*.oauth.authMethod': ofOAuth(
    { ...MACHINE, authMethod: 'none' },
    MACHINE,
    token('client_secret'),
    [undefined, 's'],
  ),
  'mcpServers.*.oauth.scopes': ofOAuth({ scopes: ['one'] }, { scopes: ['two', 'three'] }, asked('scope'), [
    'one',
    'two three',
  ]),
  'mcpServers.*.oauth.scope': ofOAuth({ scope: 'one' }, { scope: 'two' }, asked('scope'), ['one', 'two']),
  'mcpServers.*.oauth.redirect': ofOAuth({ redirect: ONE }, { redirect: TWO }, asked('redirect_uri'), [
    ONE,
    TWO,
  ]),
  'mcpServers.*.oauth.redirect.port': ofOAuth(
    { redirect: { port: 18_901 } },
    { redirect: { port: 18_902 } },
    asked('redirect_uri'),
    ['http://127.0.0.1:18901/callback', 'http://127.0.0.1:18902/callback'],
  ),
  'mcpServers.*.oauth.redirect.path': ofOAuth(
    { redirect: { port: 18_901, path: '/one' } },
    { redirect: { port: 18_901, path: '/two' } },
    asked('redirect_uri'),
    [ONE, 'http://127.0.0.1:18901/two'],
  ),
  'mcpServers.*.oauth.redirectUri': ofOAuth(
    { redirect: undefined, redirectUri: ONE },
    { redirect: undefined, redirectUri: TWO },
    asked('redirect_uri'),
    [ONE, TWO],
  ),
  'mcpServers.*.oauth.callbackPort': ofOAuth(
    { redirect: undefined, callbackPort: 18_901 },
    { redirect: undefined, callbackPort: 18_902 },
    asked('redirect_uri'),
    ['http://127.0.0.1:18901/callback', 'http://127.0.0.1:18902/callback'],
  ),
  'mcpServers.*.oauth.clientName': ofOAuth(
    { ...unregistered, clientName: 'One' },
    { ...unregistered, clientName: 'Two' },
    registered('client_name'),
    ['One', 'Two'],
  ),
  'mcpServers.*.oauth.clientMetadataUrl': ofOAuth(
    { ...unregistered, clientMetadataUrl: 'https://one.example/client' },
    { ...unregistered, clientMetadataUrl: 'https://two.example/client' },
    asked('client_id'),
    ['https://one.example/client', 'https://two.example/client'],
  ),
  'mcpServers.*.oauth.resource': ofOAuth(
    { resource: 'none' },
    { resource: 'https://two.example' },
    asked('resource'),
    [null, 'https://two.example'],
  ),
  'mcpServers.*.oauth.issuer': ofEntry(
    [oauthOf({}), ({ other }) => ({ oauth: { issuer: other.issuer, clientId: 'by-hand', redirect: PORT } })],
    async scene => ((await beginning(scene)) as URL | undefined)?.origin === scene.server.odd.origin,
    [true, false],
  ),
  'mcpServers.*.oauth.extraParams': ofOAuth(
    { extraParams: { audience: 'one' } },
    { extraParams: { audience: 'two' } },
    asked('audience'),
    ['one', 'two'],
  ),
  'mcpServers.*.oauth.grant': ofOAuth(
    {},
    MACHINE,
    async scene => (await token('grant_type')(scene)) === 'client_credentials',
    [false, true],
  ),
  'mcpServers.*.oauth.dpop': ofOAuth(
    MACHINE,
    { ...MACHINE, dpop: true },
    async scene => {
      await call()(scene as never)
      return scene.server.odd.headersSeen.some(headers => headers['dpop'] !== undefined)
    },
    [false, true],
  ),
  'mcpServers.*.oauth.per': ofOAuth({}, { per: 'client' }, logins, [1, 2]),
  'mcpServers.*.oauth.idp': ofOAuth(
    MACHINE,
    { grant: 'jwt_bearer', idp: { subjectToken: JWT_ONE } },
    token('assertion'),
    [undefined, JWT_ONE],
  ),
  'mcpServers.*.oauth.idp.subjectToken': ofOAuth(
    { grant: 'jwt_bearer', idp: { subjectToken: JWT_ONE } },
    { grant: 'jwt_bearer', idp: { subjectToken: JWT_TWO } },
    token('assertion'),
    [JWT_ONE, JWT_TWO],
  ),
  'mcpServers.*.oauth.idp.issuer': ofIdp(
    ({ odd }) => ({ issuer: odd.issuer }),
    ({ other }) => ({ issuer: other.issuer }),
    async scene => (await atIdp('grant_type')(scene)) !== undefined,
    [false, true],
  ),
  'mcpServers.*.oauth.idp.tokenEndpoint': ofIdp(
    ({ odd }) => ({ tokenEndpoint: `${odd.issuer}/token` }),
    ({ other }) => ({ tokenEndpoint: `${other.issuer}/token` }),
    async scene => (await atIdp('grant_type')(scene)) !== undefined,
    [false, true],
  ),
  'mcpServers.*.oauth.idp.clientId': ofIdp(
    ({ other }) => ({ tokenEndpoint: `${other.issuer}/token`, clientId: 'by-hand-1' }),
    ({ other }) => ({ tokenEndpoint: `${other.issuer}/token`, clientId: 'by-hand-2' }),
    atIdp('client_id'),
    ['by-hand-1', 'by-hand-2'],
  ),
  'mcpServers.*.oauth.idp.clientSecret': ofIdp(
    ({ other }) => ({ tokenEndpoint: `${other.issuer}/token`, clientId: 'by-hand' }),
    ({ other }) => ({ tokenEndpoint: `${other.issuer}/token`, clientId: 'by-hand', clientSecret: 's' }),
    atIdp('client_secret'),
    [undefined, 's'],
  ),
  'mcpServers.*.auth.CLIENT_ID': ofEntry(
    ['by-hand-1', 'by-hand-2'].map((CLIENT_ID): Entry => ({ odd }) => ({
      auth: { CLIENT_ID },
      oauth: { issuer: odd.issuer, redirect: PORT },
    })) as [Entry, Entry],
    asked('client_id'),
    ['by-hand-1', 'by-hand-2'],
  ),
  'mcpServers.*.auth.CLIENT_SECRET': ofEntry(
    ['one', 'two'].map((CLIENT_SECRET): Entry => ({ odd }) => ({
      auth: { CLIENT_ID: 'by-hand', CLIENT_SECRET },
      oauth: { issuer: odd.issuer, grant: 'client_credentials', authMethod: 'client_secret_post' },
    })) as [Entry, Entry],
    token('client_secret'),
    ['one', 'two'],
  ),
  'mcpServers.*.auth.scopes': ofEntry(
    ['one', 'two'].map((scopes): Entry => ({ odd }) => ({
      auth: { CLIENT_ID: 'by-hand', scopes },
      oauth: { issuer: odd.issuer, redirect: PORT },
    })) as [Entry, Entry],
    asked('scope'),
    ['one', 'two'],
  ),
}
