import { expect, test } from 'vitest'
import { UNHEARD } from '../../../../src/core/event-bus.ts'
import { SILENT } from '../../../../src/core/logger.ts'
import { Credentials } from '../../../../src/credentials/accounts/credentials.ts'
import { bearerOf, loginScene, messageOf } from '../../../helpers/login-scene.ts'
import { startOddServer } from '../../../helpers/odd-authorization-server.ts'

/** Which authorization server a login, a registration and a secret belong to. */

test('an authorization server that writes its name with a slash at its end from one day on is the same', async () => {
  await using at = await loginScene({ refreshTokens: false })
  await at.login()
  const before = await at.headers()
  at.odd.oddities.calls = `${at.odd.issuer}/`
  at.odd.named = `${at.odd.issuer}/`
  const wwwAuthenticate = `Bearer resource_metadata="${at.odd.origin}/.well-known/oauth-protected-resource/mcp"`
  // A new token that is refused leads to another login only where the authorization server has changed.
  expect(await at.account.refused({ status: 401, wwwAuthenticate, sent: before })).toMatchObject({
    code: 'upstream_unauthorized',
  })
  await at.login()
  expect(at.odd.registered).toHaveLength(1)
  expect(at.odd.isGood(bearerOf(await at.headers()))).toBe(true)
})

test('a secret that belongs to a name without a slash goes to the same name with one', async () => {
  const secret = { clientId: 'by-hand', clientSecret: 's3cr3t', authMethod: 'client_secret_post' }
  await using at = await loginScene({}, secret)
  await at.login()
  at.odd.oddities.calls = `${at.odd.issuer}/`
  const later = new Credentials({ servers: [at.server], vault: at.vault, logger: SILENT, events: UNHEARD })
  expect(
    await messageOf(later.authorizer.begin(at.server, 'gateway', 'http://127.0.0.1:8976/callback')),
  ).toBe('no failure')
  later.close()
})

test('a subject token goes to the first authorization server alone, also where the gateway registers itself', async () => {
  await using evil = await startOddServer()
  const jwt = `${Buffer.from('{"alg":"none"}').toString('base64url')}.e30.sig`
  await using at = await loginScene({}, { grant: 'jwt_bearer', idp: { subjectToken: jwt } })
  const later = (): Credentials =>
    new Credentials({ servers: [at.server], vault: at.vault, logger: SILENT, events: UNHEARD })
  const token = async (credentials: Credentials): Promise<unknown> =>
    await credentials.for(at.server, undefined)?.headers({ method: 'POST', url: at.odd.url })
  await at.headers()
  const second = later()
  await token(second)
  second.close()
  expect(at.odd.tokenForms.map(form => form['assertion'])).toEqual([jwt, jwt])
  expect(at.odd.registered).toHaveLength(1)
  at.odd.named = evil.issuer
  const third = later()
  const message = await messageOf(token(third))
  third.close()
  expect(message).toContain(`${at.odd.issuer} or ${evil.issuer}`)
  expect(evil.tokenForms).toEqual([])
})
