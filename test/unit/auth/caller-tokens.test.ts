import type { IncomingMessage } from 'node:http'
import { expect, test, vi } from 'vitest'
import { Gatekeeper } from '../../../src/auth/gatekeeper.ts'
import { IssuerKeySets } from '../../../src/auth/issuer-key-sets.ts'
import { configFrom } from '../../../src/config/load/load.ts'
import { CallerTokens } from '../../../src/core/caller-tokens.ts'
import { SILENT } from '../../../src/core/logger.ts'
import { createMemoryStore } from '../../../src/state/memory.ts'
import { keyOf, withKeys } from '../../helpers/callers.ts'
import { startIssuer } from '../../helpers/issuer.ts'

const AUDIENCE = 'https://mcp.example/mcp'

async function gatekeeperOf(issuer: string, callerTokens: CallerTokens): Promise<Gatekeeper> {
  const config = await configFrom(
    {
      mcpServers: {},
      clients: withKeys({ ci: {}, people: {} }),
      gateway: { auth: { jwt: [{ issuer, audience: [AUDIENCE], client: 'people', algorithms: ['ES256'] }] } },
    },
    { env: {} },
  )
  return new Gatekeeper({
    auth: config.gateway.auth,
    http: config.gateway.http,
    clients: config.clients,
    issuerKeys: new IssuerKeySets(SILENT),
    callerTokens,
    store: createMemoryStore(),
    logger: SILENT,
  })
}

const request = (secret: string): IncomingMessage =>
  ({
    headers: { authorization: `Bearer ${secret}` },
    url: '/mcp',
    socket: { remoteAddress: '127.0.0.1' },
  }) as unknown as IncomingMessage

test('the newest token of each caller is kept while a server needs it, and no key', async () => {
  await using issuer = await startIssuer(AUDIENCE)
  const kept = new CallerTokens()
  const gatekeeper = await gatekeeperOf(issuer.url, kept)
  const shown = async (secret: string): Promise<string> => {
    return (await gatekeeper.authenticate(request(secret), '')).principal.id
  }
  const now = Math.floor(Date.now() / 1000)
  const [first, second, bob] = await Promise.all([
    issuer.token({ exp: now + 100 }),
    issuer.token({ exp: now + 200 }),
    issuer.token({ sub: 'bob' }),
  ])
  const ada = await shown(first)
  expect(kept.of(ada)).toBeUndefined()

  kept.want(true)
  await shown(second)
  await shown(first)
  expect(kept.of(ada)).toBe(second)
  expect(kept.of(await shown(bob))).toBe(bob)
  expect(kept.of(await shown(keyOf('ci')))).toBeUndefined()

  kept.want(false)
  expect(kept.of(ada)).toBeUndefined()
  gatekeeper.close()
})

test('a token that is refused is not kept', async () => {
  await using issuer = await startIssuer(AUDIENCE)
  const kept = new CallerTokens()
  kept.want(true)
  const gatekeeper = await gatekeeperOf(issuer.url, kept)
  const keep = vi.spyOn(kept, 'keep')
  const other = await issuer.token({ aud: 'https://other.example/' })
  await expect(gatekeeper.authenticate(request(other), '')).rejects.toThrow('something else')
  expect(keep).not.toHaveBeenCalled()
  gatekeeper.close()
})

test('a token that has ended is not given out', () => {
  const kept = new CallerTokens()
  kept.want(true)
  kept.keep('user:a', 'old', Date.now() - 1)
  expect(kept.of('user:a')).toBeUndefined()
  kept.keep('user:a', 'new', Date.now() + 60_000)
  expect(kept.of('user:a')).toBe('new')
})
