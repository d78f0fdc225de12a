import { expect, test, vi } from 'vitest'
import type { TokenSet } from '../../../../src/credentials/oauth/token-set.ts'
import { renewalAt, usableUntil } from '../../../../src/credentials/oauth/token-set.ts'
import { Credentials } from '../../../../src/credentials/accounts/credentials.ts'
import { guardedFetch } from '../../../../src/credentials/fetch/guarded-fetch.ts'
import { UNHEARD } from '../../../../src/core/event-bus.ts'
import { SILENT } from '../../../../src/core/logger.ts'
import { bearerOf, loginScene, messageOf, tokensIn } from '../../../helpers/login-scene.ts'

/** When tokens are renewed, and what an authorization server that never answers costs. */

const HOUR_MS = 3_600_000

/** Holds the wall clock of this process at so many milliseconds from now. Timers go on. */
function wallAt(ms: number): Disposable {
  const spy = vi.spyOn(Date, 'now').mockReturnValue(ms)
  return { [Symbol.dispose]: () => spy.mockRestore() }
}

test.each([
  ['an hour', HOUR_MS, 0.8 * HOUR_MS, HOUR_MS - 60_000],
  ['ten seconds', 10_000, 8000, 8000],
  ['an unknown time', undefined, Infinity, Infinity],
])('a token that lives for %s is renewed and held back in time', (_, life, renewed, held) => {
  const tokens = { obtainedAt: 0, expiresAt: life } as TokenSet
  expect([renewalAt(tokens), usableUntil(tokens)]).toEqual([renewed, expect.closeTo(held)])
})

test('after 80 % of its life a token is still sent, and renewed beside', async () => {
  await using at = await loginScene({ expiresIn: 3600 })
  await at.login()
  const { obtainedAt } = tokensIn(at.vault) as TokenSet
  const first = await at.headers()
  {
    using _ = wallAt(obtainedAt + 0.79 * HOUR_MS)
    expect(at.account.headers({ method: 'POST', url: at.odd.url })).toBe(first)
    expect(at.odd.redeemed.refresh).toBe(0)
  }
  using _ = wallAt(obtainedAt + 0.81 * HOUR_MS)
  expect(at.account.headers({ method: 'POST', url: at.odd.url })).toBe(first)
  await expect.poll(() => at.odd.redeemed.refresh).toBe(1)
  await expect.poll(async () => bearerOf(await at.headers())).not.toBe(bearerOf(first))
  expect(at.odd.redeemed.refresh).toBe(1)
})

test('in the last minute of its life a token is sent only after a renewal', async () => {
  await using at = await loginScene({ expiresIn: 3600 })
  await at.login()
  const old = tokensIn(at.vault) as TokenSet
  using _ = wallAt(old.obtainedAt + HOUR_MS - 59_000)
  expect(bearerOf(await at.headers())).not.toBe(old.accessToken)
  expect(at.odd.redeemed.refresh).toBe(1)
})

test('a token that ends on its way to the server is renewed, also one that a refusal has brought', async () => {
  await using at = await loginScene({ expiresIn: 10 })
  await at.login()
  expect(await at.refused('Bearer error="invalid_token"')).toBe(true)
  for (let times = 2; times < 5; times++) {
    const sent = await at.headers()
    const { obtainedAt } = tokensIn(at.vault) as TokenSet
    using _ = wallAt(obtainedAt + 9000)
    expect(await at.account.refused({ status: 401, wwwAuthenticate: 'Bearer', sent })).toBe(true)
    expect(at.odd.redeemed.refresh).toBe(times)
  }
})

test('a clock that is behind costs one refusal and one renewal', async () => {
  await using at = await loginScene({ expiresIn: 3600 })
  await at.login()
  const old = tokensIn(at.vault) as TokenSet
  using _ = wallAt(old.obtainedAt - 2 * HOUR_MS)
  expect(bearerOf(await at.headers())).toBe(old.accessToken)
  expect(await at.refused('Bearer error="invalid_token"')).toBe(true)
  expect(bearerOf(await at.headers())).not.toBe(old.accessToken)
  expect(at.odd.redeemed.refresh).toBe(1)
})

test('a clock that is ahead renews once, not for each request', async () => {
  await using at = await loginScene({ expiresIn: 3600 })
  await at.login()
  const old = tokensIn(at.vault) as TokenSet
  using _ = wallAt(old.obtainedAt + 5 * HOUR_MS)
  for (let times = 0; times < 20; times++) expect(bearerOf(await at.headers())).not.toBe(old.accessToken)
  expect(at.odd.redeemed.refresh).toBe(1)
})

test('an authorization server that never answers fails all calls at once, with one sentence', async () => {
  await using at = await loginScene({ expiresIn: 3600 })
  await at.login()
  const old = tokensIn(at.vault) as TokenSet
  at.odd.oddities.hangs = true
  using _ = wallAt(old.obtainedAt + 2 * HOUR_MS)
  const credentials = new Credentials({
    servers: [at.server],
    vault: at.vault,
    logger: SILENT,
    events: UNHEARD,
    fetchFor: serverUrl => guardedFetch({ serverUrl, timeoutMs: 300 }),
  })
  const account = credentials.for(at.server, undefined)
  const ask = async () => await account?.headers({ method: 'POST', url: at.odd.url })
  const before = at.odd.tokenForms.length
  const messages = new Set(await Promise.all(Array.from({ length: 20 }, () => messageOf(ask()))))
  // Within the pause there is no further request.
  messages.add(await messageOf(ask()))
  expect([...messages]).toEqual([expect.stringMatching(/did not answer within 0\.3 s\. Fix: /)])
  expect(at.odd.tokenForms.length - before).toBe(1)
  expect(tokensIn(at.vault)).toEqual(old)
  credentials.close()
})
