import { expect, test } from 'vitest'
import { bearerOf, loginScene, messageOf, tokensIn } from '../../../helpers/login-scene.ts'

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
