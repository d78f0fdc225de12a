import { expect, test } from 'vitest'
import { UNHEARD } from '../../../../src/core/event-bus.ts'
import { SILENT } from '../../../../src/core/logger.ts'
import { clientPrincipal } from '../../../../src/core/principal.ts'
import { Credentials } from '../../../../src/credentials/accounts/credentials.ts'
import type { TokenSet } from '../../../../src/credentials/oauth/token-set.ts'
import { OpenVault } from '../../../helpers/login-doubles.ts'
import { bearerOf, loginScene, messageOf, REDIRECT, serverOf } from '../../../helpers/login-scene.ts'

/** More accounts than the gateway keeps in memory. */

const URL = 'https://odd.example/mcp'
const POST = { method: 'POST', url: URL }
const MAX_ACCOUNTS = 10_000

const given = (accessToken: string): TokenSet => ({
  accessToken,
  tokenType: 'Bearer',
  expiresAt: undefined,
  clientId: '',
  obtainedAt: Date.now(),
  resource: undefined,
  serverUrl: URL,
})

test('an account that began with a login of its owner alone gets the tokens of its principal after a reload', async () => {
  await using at = await loginScene({}, { per: 'client' })
  const asked: string[] = []
  const credentials = new Credentials({
    servers: [at.server],
    vault: at.vault,
    logger: SILENT,
    events: UNHEARD,
    callerTokenOf: principal => void asked.push(principal),
  })
  const ann = clientPrincipal('ann')
  await credentials.authorizer.begin(at.server, ann.id, REDIRECT)
  const link = credentials.for(at.server, ann)
  const idp = { issuer: at.odd.issuer, subjectToken: 'caller' }
  const exchanging = { per: 'client', grant: 'token_exchange', clientId: 'by-hand', idp }
  credentials.reconfigure([await serverOf(at.odd.url, exchanging)])
  const message = await messageOf((async () => await link?.headers({ method: 'POST', url: at.odd.url }))())
  expect(message).toContain('the token with which the caller has logged in')
  expect(asked).toEqual([ann.id])
  credentials.close()
})

test('an account beyond the bound is followed no more, and its link goes on with what the vault has', async () => {
  const vault = new OpenVault()
  const server = await serverOf(URL, { per: 'client' })
  const credentials = new Credentials({ servers: [server], vault, logger: SILENT, events: UNHEARD })
  const name = { kind: 'tokens', server: 'odd', owner: clientPrincipal('first').id } as const
  await vault.write(name, { issuer: '', value: given('one') })
  const link = credentials.for(server, clientPrincipal('first'))
  expect(bearerOf((await link?.headers(POST)) ?? [])).toBe('one')
  const push = (word: string): void => {
    for (let at = 0; at < MAX_ACCOUNTS; at++) credentials.for(server, clientPrincipal(`${word}${at}`))
  }
  push('a')
  expect(vault.followed).toBe(MAX_ACCOUNTS)
  // The link has the tokens of now: those of a login elsewhere, none after a logout, none for another place.
  await vault.write(name, { issuer: '', value: given('two') })
  expect(bearerOf((await link?.headers(POST)) ?? [])).toBe('two')
  push('b')
  await vault.remove(name)
  expect(await link?.headers(POST)).toEqual([])
  await vault.write(name, { issuer: '', value: given('three') })
  expect(bearerOf((await link?.headers(POST)) ?? [])).toBe('three')
  push('c')
  credentials.reconfigure([await serverOf('https://moved.example/mcp', { per: 'client' })])
  expect(await link?.headers(POST)).toEqual([])
  credentials.reconfigure([])
  expect(vault.followed).toBe(0)
  expect(await link?.headers(POST)).toEqual([])
  credentials.close()
})
