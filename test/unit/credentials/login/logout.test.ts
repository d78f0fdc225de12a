import { generateKeyPairSync } from 'node:crypto'
import { expect, test } from 'vitest'
import type { ServerConfig } from '../../../../src/config/types.ts'
import { UNHEARD } from '../../../../src/core/event-bus.ts'
import { SILENT } from '../../../../src/core/logger.ts'
import { Credentials } from '../../../../src/credentials/accounts/credentials.ts'
import { logOut } from '../../../../src/credentials/login/logout.ts'
import {
  decide,
  startAuthorizationServer,
  type AuthorizationServer,
} from '../../../helpers/authorization-server.ts'
import { REDIRECT, serverOf } from '../../../helpers/login-scene.ts'
import { MemoryVault } from '../../../helpers/memory-vault.ts'
import { startProtectedServer } from '../../../helpers/protected-server.ts'

/** A logout at a real authorization server, which revokes for a client that it knows by its authentication alone. */

const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' })
const SECRET = 'se cret:+%&(!)*of the gateway'
const PEM = privateKey.export({ format: 'pem', type: 'pkcs8' }) as string

const client = (method: string): { readonly client_id: string } & Record<string, unknown> => ({
  client_id: 'gate way',
  redirect_uris: [REDIRECT],
  grant_types: ['authorization_code', 'refresh_token'],
  response_types: ['code'],
  token_endpoint_auth_method: method,
  ...(method === 'private_key_jwt'
    ? { jwks: { keys: [{ ...publicKey.export({ format: 'jwk' }), alg: 'ES256', use: 'sig' }] } }
    : method !== 'none' && { client_secret: SECRET }),
})

const LOG_OUT = { logger: SILENT, dns: () => ({ servers: [] }) }

async function loggedIn(vault: MemoryVault, server: ServerConfig): Promise<void> {
  const credentials = new Credentials({ servers: [server], vault, logger: SILENT, events: UNHEARD })
  const { url, pending } = await credentials.authorizer.begin(server, 'gateway', REDIRECT)
  await credentials.authorizer.finish(pending, new URL(await decide(url)).searchParams)
  credentials.close()
}

async function scene(
  oauth: object | undefined,
  options: Parameters<typeof startAuthorizationServer>[0],
): Promise<
  AsyncDisposable & {
    authorization: AuthorizationServer
    vault: MemoryVault
    server: ServerConfig
    url: string
  }
> {
  const authorization = await startAuthorizationServer(options)
  const { issuer, resourceServer: introspection } = authorization
  const protectedServer = await startProtectedServer({ issuer, introspection, scopesSupported: ['mcp'] })
  const vault = new MemoryVault()
  const server = await serverOf(protectedServer.url, oauth)
  await loggedIn(vault, server)
  return {
    authorization,
    vault,
    server,
    url: protectedServer.url,
    [Symbol.asyncDispose]: async () => {
      await protectedServer[Symbol.asyncDispose]()
      await authorization[Symbol.asyncDispose]()
    },
  }
}

test.each([
  ['client_secret_basic', { clientSecret: SECRET }],
  ['client_secret_post', { clientSecret: SECRET, authMethod: 'client_secret_post' }],
  ['private_key_jwt', { privateKey: PEM }],
  ['none', {}],
])('revokes by %s', async (method, oauth) => {
  await using at = await scene({ clientId: 'gate way', ...oauth }, { clients: [client(method)] })
  expect(await logOut(at.vault, at.server, 'gateway', LOG_OUT)).toEqual({ found: true, revoked: true })
  expect((await at.authorization.happened()).revocations).toBe(1)
  expect(at.vault.records.has(JSON.stringify(['tokens', 'odd', 'gateway']))).toBe(false)
})

test('revokes for a registration that the gateway made, also of a server that is not configured any more', async () => {
  await using at = await scene(undefined, { path: '/tenant' })
  const gone = { name: 'odd', oauth: false, replicas: [] } as const
  expect(await logOut(at.vault, gone, 'gateway', LOG_OUT)).toEqual({ found: true, revoked: true })
})

test('a secret that is configured for another authorization server by now is not sent', async () => {
  await using at = await scene(
    { clientId: 'gate way', clientSecret: SECRET },
    { clients: [client('client_secret_basic')] },
  )
  const moved = await serverOf(at.url, {
    clientId: 'gate way',
    clientSecret: SECRET,
    issuer: 'https://other.example',
  })
  expect(await logOut(at.vault, moved, 'gateway', LOG_OUT)).toEqual({ found: true, revoked: false })
})

test('an authorization server that does not answer delays a logout for seconds only, and the login is forgotten', async () => {
  await using at = await scene(undefined, {})
  await at.authorization.behave('/token/revocation', { delayMs: 60_000 })
  const began = performance.now()
  expect(await logOut(at.vault, at.server, 'gateway', LOG_OUT)).toEqual({ found: true, revoked: false })
  expect(performance.now() - began).toBeLessThan(20_000)
  expect(at.vault.records.has(JSON.stringify(['tokens', 'odd', 'gateway']))).toBe(false)
}, 60_000)
