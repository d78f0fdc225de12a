import { expect } from 'vitest'
import { startGateway } from '../../../helpers/gateway.ts'
import { startIssuer, type Issuer } from '../../../helpers/issuer.ts'
import { http, JSON_HEADERS, requestText } from '../../../helpers/wire-clients.ts'
import { reload, type File, type KeyTest, type KeyTests } from './change.ts'

/** What a change of each key of token issuers does. */

const INITIALIZE = requestText('0', 'initialize', '{"protocolVersion":"2025-11-25","capabilities":{}}')
const AUDIENCE = ['https://mcp.example/mcp']

/** Entries of the issuer and of clients beside `people`, before or after a change. */
interface Stage {
  readonly jwt?: object
  readonly clients?: object
}

/** The status that a token gets before and after a change. */
function ofTokens(
  [before, after]: readonly [(issuer: Issuer) => Stage, (issuer: Issuer) => Stage],
  seen: readonly [number, number],
  claims: () => object = () => ({}),
): KeyTest {
  return async () => {
    await using issuer = await startIssuer()
    const file = ({ jwt, clients }: Stage): { gateway: Record<string, unknown> } & File => ({
      mcpServers: {},
      roles: { reader: { allow: ['*/*'] } },
      clients: { people: {}, ...clients },
      gateway: {
        auth: { jwt: [{ issuer: issuer.url, audience: AUDIENCE, client: 'people', ...jwt }] },
      },
    })
    await using running = await startGateway(file(before(issuer)))
    const status = async (): Promise<number> => {
      const authorization = `Bearer ${await issuer.token({ ...claims() })}`
      const headers = { ...JSON_HEADERS, authorization }
      const response = await http(`${running.origin}/mcp`, { headers, body: INITIALIZE })
      await response.body
      return response.status
    }
    expect(await status()).toBe(seen[0])
    expect(await reload(running.gateway, file(after(issuer)))).toMatchObject({ applied: true })
    expect(await status()).toBe(seen[1])
  }
}

/** The status that a token gets before and after a change of one key of the issuer. */
const ofIssuer = (
  [before, after]: readonly [(issuer: Issuer) => object, (issuer: Issuer) => object],
  seen: readonly [number, number],
  claims?: () => object,
): KeyTest =>
  ofTokens([issuer => ({ jwt: before(issuer) }), issuer => ({ jwt: after(issuer) })], seen, claims)

/** The keys at another address of the same issuer. */
const jwks: KeyTest = async () => {
  await using other = await startIssuer()
  await ofIssuer(
    [() => ({ jwks: `${other.url}/keys` }), issuer => ({ jwks: `${issuer.url}/keys` })],
    [401, 200],
  )()
}

const NOBODY = { client: undefined }
const none = (): object => ({})
const expired = (): object => ({ exp: Math.floor(Date.now() / 1000) - 30 })

export const TOKEN_KEYS: KeyTests = {
  'gateway.auth.jwt.*.issuer': ofIssuer([() => ({ issuer: 'http://127.0.0.1:9' }), none], [401, 200]),
  'gateway.auth.jwt.*.jwks': jwks,
  'gateway.auth.jwt.*.client': ofIssuer([() => NOBODY, none], [403, 200]),
  'gateway.auth.jwt.*.scopes': ofIssuer(
    [() => NOBODY, () => ({ ...NOBODY, scopes: { mcp: ['reader'] } })],
    [403, 200],
    () => ({ scope: 'mcp' }),
  ),
  'clients.*.subjects': ofTokens(
    [
      () => ({ jwt: NOBODY, clients: { ada: { subjects: ['bob'] } } }),
      () => ({ jwt: NOBODY, clients: { ada: { subjects: ['ada'] } } }),
    ],
    [403, 200],
  ),
  'gateway.auth.jwt.*.audience': ofIssuer(
    [() => ({ audience: ['https://other.example/mcp'] }), none],
    [401, 200],
  ),
  'gateway.auth.jwt.*.algorithms': ofIssuer([() => ({ algorithms: ['RS256'] }), none], [401, 200]),
  'gateway.auth.jwt.*.requiredScopes': ofIssuer([none, () => ({ requiredScopes: ['mcp'] })], [200, 403]),
  'gateway.auth.jwt.*.clockTolerance': ofIssuer(
    [() => ({ clockTolerance: '1s' }), () => ({ clockTolerance: '60s' })],
    [401, 200],
    expired,
  ),
}
