import { expect, test } from 'vitest'
import {
  bearerOf,
  loginScene,
  messageOf,
  REDIRECT,
  serverOf,
  tokensIn,
} from '../../../helpers/login-scene.ts'
import type { TokenSet } from '../../../../src/credentials/oauth/token-set.ts'
import { startOddServer } from '../../../helpers/odd-authorization-server.ts'

/** Logins while the place that they are for, or the address that browsers come back to, changes. */

test('a login that began at a server which has moved since gives the new place nothing', async () => {
  await using at = await loginScene()
  await using other = await startOddServer()
  const { authorizer } = at.credentials
  const { url, pending } = await authorizer.begin(at.server, 'gateway', REDIRECT)
  at.credentials.reconfigure([await serverOf(other.url, undefined)])
  expect(await messageOf(authorizer.finish(pending, at.odd.agree(url)))).toContain('configured anew')
  expect(at.odd.redeemed.code).toBe(0)
  expect(await at.headers()).toEqual([])
  expect(tokensIn(at.vault)).toBeUndefined()
})

test.each([
  ['another issuer', { issuer: 'https://as.example' }],
  ['another identifier', { clientId: 'by-hand' }],
])('a login that began before a configuration with %s is not completed', async (_, oauth) => {
  await using at = await loginScene()
  const { authorizer } = at.credentials
  const { url, pending } = await authorizer.begin(at.server, 'gateway', REDIRECT)
  at.credentials.reconfigure([await serverOf(at.odd.url, oauth)])
  expect(await messageOf(authorizer.finish(pending, at.odd.agree(url)))).toContain('configured anew')
  expect(at.odd.redeemed.code).toBe(0)
})

test('tokens that are renewed while their server moves do not go to the new place', async () => {
  await using at = await loginScene()
  await using other = await startOddServer()
  await at.login()
  const before = bearerOf(await at.headers())
  const refusal = at.refused('Bearer')
  // The new tokens are there, and saved in a moment.
  const write = at.vault.write.bind(at.vault)
  const moved = await serverOf(other.url, undefined)
  at.vault.write = async (...args: Parameters<typeof write>) => {
    await write(...args)
    at.credentials.reconfigure([moved])
  }
  expect(await refusal).toMatchObject({ code: 'needs_login' })
  expect(at.odd.redeemed.refresh).toBe(1)
  expect(tokensIn(at.vault)?.accessToken).not.toBe(before)
  await expect(at.headers()).rejects.toMatchObject({ code: 'needs_login' })
})

test('logins that come back to different addresses are both completed, and both renewed', async () => {
  await using at = await loginScene()
  const { authorizer } = at.credentials
  const [one, two] = [
    await authorizer.begin(at.server, 'gateway', REDIRECT),
    await authorizer.begin(at.server, 'client:ann', 'http://127.0.0.1:8977/callback'),
  ]
  expect(one.pending.clientId).not.toBe(two.pending.clientId)
  await authorizer.finish(one.pending, at.odd.agree(one.url))
  await authorizer.finish(two.pending, at.odd.agree(two.url))
  const before = bearerOf(await at.headers())
  expect(await at.refused('Bearer')).toBe(true)
  expect(bearerOf(await at.headers())).not.toBe(before)
  expect(at.odd.redeemed).toEqual({ code: 2, refresh: 1 })
})

test('a token given by hand is sent whatever issuer and identifier are configured, to its origin alone', async () => {
  await using at = await loginScene({}, { issuer: 'https://as.example', clientId: 'by-hand' })
  const name = { kind: 'tokens', server: 'odd', owner: 'gateway' } as const
  const given: TokenSet = {
    accessToken: 'given',
    tokenType: 'Bearer',
    expiresAt: undefined,
    clientId: '',
    obtainedAt: Date.now(),
    resource: undefined,
    serverUrl: at.odd.url,
  }
  await at.vault.write(name, { issuer: '', value: given })
  expect(bearerOf(await at.headers())).toBe('given')
  await at.vault.write(name, { issuer: '', value: { ...given, serverUrl: 'https://other.example/mcp' } })
  expect(await at.headers()).toEqual([])
})
