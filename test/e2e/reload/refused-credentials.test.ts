import { expect, test } from 'vitest'
import { configFrom } from '../../../src/config/load/load.ts'
import type { Ending } from '../../../src/config/source/reloadable.ts'
import { bearer, keyOf, withKeys } from '../../helpers/callers.ts'
import { startGateway, type TestGateway } from '../../helpers/gateway.ts'
import { startIssuer, type Issuer } from '../../helpers/issuer.ts'
import { reload } from '../../helpers/reload.ts'
import { scriptedHttp } from '../../helpers/scripted-servers.ts'
import { LegacySession, ModernHttp, withEnvelope, type WireResponse } from '../../helpers/wire-clients.ts'

/** What a caller has opened ends once a reload refuses its credential, also where its identity is still known. */

type Headers = Readonly<Record<string, string>>
type File = Readonly<Record<string, unknown>>

const LISTEN = withEnvelope('{"notifications":{"toolsListChanged":true}}')
const NO_LONGER_VALID = 'are no longer valid'
const OTHER = 'https://other.example/mcp'

/** A session stream and a listen stream of one caller. */
async function opened(
  origin: string,
  headers: Headers,
): Promise<{ session: WireResponse; listen: WireResponse }> {
  const session = await (await LegacySession.open(origin, { headers })).listen()
  const listen = await new ModernHttp(origin, '/mcp', { headers }).post('1', 'subscriptions/listen', LISTEN)
  await listen.events.take(({ data }) => data.includes('acknowledged'))
  return { session, listen }
}

/** The clients that a reload would cut off; the reload follows. */
async function reloaded({ gateway }: TestGateway, next: File): Promise<readonly Ending[]> {
  const given = { ...next, gateway: { state: 'memory', ...(next.gateway as object) } }
  const { endings } = await gateway.rehearse(await configFrom(given, { env: {} }))
  expect(await reload(gateway, next)).toMatchObject({ applied: true })
  return endings
}

async function endsBoth(running: TestGateway, headers: Headers, next: File): Promise<void> {
  const { session, listen } = await opened(running.origin, headers)
  const endings = await reloaded(running, next)
  expect(endings).toMatchObject([{ client: 'ada', connections: 2 }])
  expect(endings[0]?.reason).toContain(NO_LONGER_VALID)
  expect(await listen.body).toContain(NO_LONGER_VALID)
  await session.body
  expect(running.gateway.sessions).toBe(0)
}

async function endsNone(running: TestGateway, headers: Headers, next: File): Promise<void> {
  const { session, listen } = await opened(running.origin, headers)
  expect(await reloaded(running, next)).toEqual([])
  expect(running.gateway.sessions).toBe(1)
  session.destroy()
  listen.destroy()
}

const PROXY = { header: 'x-user', from: ['127.0.0.1', '::1'], client: 'people' }

test.each([
  ['its address is no longer trusted', { ...PROXY, from: ['10.9.9.9'] }, endsBoth],
  ['names come in another header', { ...PROXY, header: 'x-other' }, endsBoth],
  ['its address is in a network that is trusted', { ...PROXY, from: ['127.0.0.0/8', '::1'] }, endsNone],
])('what a user of a proxy has opened, when %s', async (_, proxy, check) => {
  await using a = await scriptedHttp({ sessions: true })
  const file = (auth: object): File => ({
    mcpServers: { a: a.entry },
    clients: { people: {} },
    gateway: { auth: { proxy: auth } },
  })
  await using running = await startGateway(file(PROXY))
  await check(running, { 'x-user': 'ada' }, file(proxy))
})

const JWT = { audience: ['https://mcp.example/mcp'], algorithms: ['ES256'], client: 'people' }

test.each<[string, (issuer: Issuer) => object, typeof endsBoth]>([
  ['it is for another audience', () => ({ ...JWT, audience: [OTHER] }), endsBoth],
  ['its algorithm is not accepted', () => ({ ...JWT, algorithms: ['RS256'] }), endsBoth],
  ['the keys are at another address', ({ url }) => ({ ...JWT, jwks: `${url}/keys` }), endsBoth],
  ['its audience is one of two', () => ({ ...JWT, audience: [OTHER, ...JWT.audience] }), endsNone],
  ['its algorithm is one of two', () => ({ ...JWT, algorithms: ['RS256', 'ES256'] }), endsNone],
  ['the tolerance for clocks is another', () => ({ ...JWT, clockTolerance: '5s' }), endsNone],
])('what the holder of a token has opened, when %s', async (_, jwt, check) => {
  await using issuer = await startIssuer()
  await using a = await scriptedHttp({ sessions: true })
  const file = (more: object): File => ({
    mcpServers: { a: a.entry },
    clients: { people: {} },
    gateway: { auth: { jwt: [{ issuer: issuer.url, ...more }] } },
  })
  await using running = await startGateway(file(JWT))
  const headers = { authorization: `Bearer ${await issuer.token()}` }
  await check(running, headers, file(jwt(issuer)))
})

test('what the holder of a token for the address of the gateway has opened goes on when a client is added', async () => {
  await using issuer = await startIssuer()
  await using a = await scriptedHttp({ sessions: true })
  const file = (more: object): File => ({
    mcpServers: { a: a.entry },
    clients: { people: {}, ...more },
    gateway: { auth: { jwt: [{ issuer: issuer.url, client: 'people' }] } },
  })
  await using running = await startGateway(file({}))
  const headers = { authorization: `Bearer ${await issuer.token({ aud: `${running.origin}/mcp` })}` }
  await endsNone(running, headers, file({ other: {} }))
})

test.each<[string, object, object, typeof endsBoth]>([
  ['the second is refused', { proxy: { ...PROXY, from: ['10.9.9.9'] } }, {}, endsBoth],
  ['the second is no credential any more', {}, { users: [] }, endsBoth],
  ['the first is refused', { proxy: PROXY }, { keys: [] }, endsBoth],
  ['the second belongs to another client', { proxy: PROXY }, { users: ['eve'] }, endsBoth],
  ['both are still valid', { proxy: { ...PROXY, from: ['127.0.0.0/8', '::1'] } }, {}, endsNone],
])('what a caller with a key and a name of a proxy has opened, when %s', async (_, auth, ada, check) => {
  await using a = await scriptedHttp({ sessions: true })
  const [{ ada: known }] = [withKeys({ ada: { users: ['ada'] } })]
  const file = (nextAuth: object, entry: object): File => ({
    mcpServers: { a: a.entry },
    clients: { people: {}, ada: { ...known, ...entry } },
    gateway: { auth: nextAuth },
  })
  await using running = await startGateway(file({ proxy: PROXY }, {}))
  await check(running, { 'x-user': 'ada', ...bearer(keyOf('ada')) } as Headers, file(auth, ada))
})
