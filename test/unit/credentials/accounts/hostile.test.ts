import { expect, test } from 'vitest'
import { UNHEARD } from '../../../../src/core/event-bus.ts'
import { SILENT } from '../../../../src/core/logger.ts'
import { Credentials } from '../../../../src/credentials/accounts/credentials.ts'
import {
  bearerOf,
  loginScene,
  messageOf,
  REDIRECT,
  serverOf,
  tokensIn,
} from '../../../helpers/login-scene.ts'
import { startOddServer } from '../../../helpers/odd-authorization-server.ts'

/** Servers and authorization servers that answer as no honest one does. */

test.each([0, '0', 0.001, -5])(
  'a token that is said to live %j seconds is used until it is refused',
  async life => {
    await using at = await loginScene({ expiresIn: life as number })
    await at.login()
    expect(tokensIn(at.vault)).toMatchObject({ expiresAt: undefined })
    const sent = bearerOf(await at.headers())
    expect(at.odd.isGood(sent)).toBe(true)
    expect(bearerOf(await at.headers())).toBe(sent)
    expect(at.odd.redeemed).toEqual({ code: 1, refresh: 0 })
  },
)

test('a server that refuses the token of a login at once does not ask for the same login again', async () => {
  await using at = await loginScene({ refreshTokens: false })
  await at.login()
  expect(await at.refused('Bearer')).toMatchObject({
    code: 'upstream_unauthorized',
    message: expect.stringContaining('has just issued') as string,
  })
  await expect(at.headers()).rejects.toMatchObject({ code: 'upstream_unauthorized' })
})

test('a server that asks for scopes without end gets an error with the key to set', async () => {
  const serverScopes = Array.from({ length: 900 }, (_, at) => `${'s'.repeat(200)}${at}`)
  await using at = await loginScene({ serverScopes })
  const message = await messageOf(at.login())
  expect(message).toContain('900 scopes')
  expect(message).toContain('"oauth.scopes"')
  expect(message).not.toContain('sss')
  await using chosen = await loginScene({ serverScopes }, { scopes: ['read'] })
  expect((await chosen.login()).searchParams.get('scope')).toBe('read')
})

test.each([
  ['a person logs in', 'code'],
  ['no person logs in', 'client_credentials'],
])('a configured secret goes to no authorization server that a server names later: %s', async (_, grant) => {
  const secret = { clientId: 'by-hand', clientSecret: 's3cr3t', authMethod: 'client_secret_post', grant }
  await using evil = await startOddServer()
  await using at = await loginScene({}, secret)
  const get = async (): Promise<unknown> => (grant === 'code' ? await at.login() : await at.headers())
  await get()
  expect(at.odd.tokenForms[0]).toMatchObject({ client_secret: 's3cr3t' })
  at.odd.named = evil.issuer
  // A later start of the gateway knows it, too.
  const later = new Credentials({ servers: [at.server], vault: at.vault, logger: SILENT, events: UNHEARD })
  const account = later.for(at.server, undefined)
  const begin = async (): Promise<unknown> =>
    grant === 'code'
      ? await later.authorizer.begin(at.server, 'gateway', REDIRECT)
      : await account?.headers({ method: 'POST', url: at.odd.url })
  const message = await messageOf(begin())
  expect(message).toContain(`${at.odd.issuer} or ${evil.issuer}`)
  expect(message).toContain('"oauth.issuer"')
  expect(evil.tokenForms).toEqual([])
  const moved = await serverOf(at.odd.url, { ...secret, issuer: evil.issuer })
  later.reconfigure([moved])
  await begin()
  later.close()
})

test('a new token that is refused because its authorization server has changed leads to a new login, in each call', async () => {
  await using at = await loginScene({ refreshTokens: false })
  await using other = await startOddServer()
  await at.login()
  const sent = await at.headers()
  at.odd.named = other.issuer
  const wwwAuthenticate = `Bearer resource_metadata="${at.odd.origin}/.well-known/oauth-protected-resource/mcp"`
  const refusals = await Promise.all(
    [1, 2, 3].map(() => at.account.refused({ status: 401, wwwAuthenticate, sent })),
  )
  for (const refusal of refusals) expect(refusal).toMatchObject({ code: 'needs_login' })
})
