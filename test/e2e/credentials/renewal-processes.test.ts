import { spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { createInterface } from 'node:readline'
import type { Readable } from 'node:stream'
import { describe, expect, it, onTestFinished } from 'vitest'
import { configFrom } from '../../../src/config/load/load.ts'
import { UNHEARD } from '../../../src/core/event-bus.ts'
import { SILENT } from '../../../src/core/logger.ts'
import { Credentials } from '../../../src/credentials/accounts/credentials.ts'
import type { TokenSet } from '../../../src/credentials/oauth/token-set.ts'
import { KeyRing } from '../../../src/state/key-ring.ts'
import { openStore } from '../../../src/state/open.ts'
import { SealedVault } from '../../../src/vault/sealed-vault.ts'
import { decide, spawnAuthorizationServer } from '../../helpers/authorization-server.ts'
import { spawnProtectedServer } from '../../helpers/protected-server.ts'
import { hasRedis } from '../../helpers/redis-server.ts'
import { sharedLmdb, sharedRedis } from '../../helpers/shared-state.ts'

/**
 * Processes share one login whose access token is over. The authorization server replaces refresh tokens, and revokes
 * the whole login when an old one comes again.
 */

const PROGRAM = new URL('../../fixtures/programs/renewing-accounts.js', import.meta.url).pathname
const PROCESSES = 12
const REDIRECT = 'http://127.0.0.1:8976/callback'
const STEPS = ['redeeming', 'redeemed', 'saved']

interface Caller {
  readonly child: ChildProcess
  readonly ended: Promise<unknown>
  /** What it says next of a server. */
  said(server: string): Promise<string>
  tell(line: string): void
}

async function start(state: string, mcpServers: object): Promise<Caller> {
  const child = spawn(process.execPath, [PROGRAM, state, JSON.stringify(mcpServers)], {
    stdio: ['pipe', 'pipe', 'inherit'],
  })
  const ended = once(child, 'close')
  onTestFinished(async () => {
    child.kill('SIGKILL')
    await ended
  })
  const lines: string[] = []
  createInterface(child.stdout as Readable).on('line', line => lines.push(line))
  const said = async (first: string): Promise<string> => {
    const isIts = (line: string): boolean => line.split(' ')[0] === first
    await expect.poll(() => lines.some(isIts), { timeout: 45_000, interval: 10 }).toBe(true)
    const [line = ''] = lines.splice(lines.findIndex(isIts), 1)
    return line
  }
  await said('ready')
  return { child, ended, said, tell: line => void child.stdin?.write(`${line}\n`) }
}

const stores: [string, () => Promise<string>, boolean][] = [
  ['LMDB', sharedLmdb, true],
  ['Redis', sharedRedis, hasRedis()],
]

describe.each(stores)('processes over %s', (storeName, open, possible) => {
  it.runIf(possible)(
    'redeem a refresh token once, also when the one that does it is killed',
    async () => {
      const state = await open()
      await using issuer = await spawnAuthorizationServer()
      await using upstream = await spawnProtectedServer({
        issuer: issuer.issuer,
        introspection: issuer.resourceServer,
        scopesSupported: ['mcp'],
      })
      const names = ['calm', ...STEPS]
      const mcpServers = Object.fromEntries(names.map(name => [name, { url: upstream.url }]))
      const { servers } = await configFrom({ mcpServers }, { env: {} })
      const store = await openStore(state, SILENT)
      const ring = new KeyRing([Buffer.alloc(32, 'renewal')])
      const vault = new SealedVault({ store, logger: SILENT, keys: { ring: async () => ring } })
      const credentials = new Credentials({ servers, vault, logger: SILENT, events: UNHEARD })
      onTestFinished(async () => {
        credentials.close()
        await vault.close()
        await store.close()
      })
      const nameOf = (server: string) => ({ kind: 'tokens', server, owner: 'gateway' }) as const
      const tokensOf = async (server: string): Promise<TokenSet | undefined> =>
        (await vault.read<TokenSet>(nameOf(server)))?.value
      const old = new Map<string, string | undefined>()
      for (const server of servers) {
        const { url, pending } = await credentials.authorizer.begin(server, 'gateway', REDIRECT)
        await credentials.authorizer.finish(pending, new URL(await decide(url)).searchParams)
        const record = await vault.read<TokenSet>(nameOf(server.name))
        if (!record) throw new Error('no tokens')
        const { value } = record
        old.set(server.name, value.refreshToken)
        const ago = Date.now() - 1000
        await vault.write(nameOf(server.name), {
          ...record,
          value: { ...value, obtainedAt: ago - 3_600_000, expiresAt: ago },
        })
      }
      await issuer.revoke('AccessToken')
      credentials.close()

      /** The answers of the token endpoint to the refresh token of the login, and to those that replaced it. */
      const refreshes = async (server: string) => {
        const { tokenRequests } = await issuer.happened()
        const mine = tokenRequests.filter(
          ({ form }) => form['refresh_token'] !== undefined && form['refresh_token'] === old.get(server),
        )
        return mine.map(({ ok, error }) => (ok ? 'redeemed' : error))
      }

      const callers = await Promise.all(
        Array.from({ length: PROCESSES + STEPS.length }, () => start(state, mcpServers)),
      )
      const holders = callers.splice(PROCESSES)
      const all = async (server: string): Promise<string[]> => {
        for (const caller of callers) caller.tell(server)
        return await Promise.all(callers.map(caller => caller.said(server)))
      }
      const good = async (server: string): Promise<string[]> =>
        Array<string>(PROCESSES).fill(`${server} 200 Bearer ${(await tokensOf(server))?.accessToken}`)

      const began = performance.now()
      expect(await all('calm')).toEqual(await good('calm'))
      expect(await refreshes('calm')).toEqual(['redeemed'])
      const calmMs = Math.round(performance.now() - began)

      for (const [at, step] of STEPS.entries()) {
        holders[at]?.tell(`${step} ${step}`)
        expect(await holders[at]?.said(step)).toBe(`${step} ${step}`)
      }
      const outcomes = STEPS.map(all)
      for (const { child, ended } of holders) {
        child.kill('SIGKILL')
        await ended
      }
      const killed = performance.now()
      const [redeeming, redeemed, saved] = await Promise.all(outcomes)
      const killedMs = Math.round(performance.now() - killed)
      console.log(`${storeName}: ${PROCESSES} calls in ${calmMs} ms; after three kills in ${killedMs} ms`)

      expect(redeeming).toEqual(await good('redeeming'))
      expect(await refreshes('redeeming')).toEqual(['redeemed'])
      expect(saved).toEqual(await good('saved'))
      expect(await refreshes('saved')).toEqual(['redeemed'])
      // The new tokens died with the process. The old one is tried once, and nothing goes on with it.
      for (const line of redeemed ?? [])
        expect(line).toMatch(/^redeemed needs_login Server "redeemed" needs a (new )?login.* Fix: /)
      expect(await refreshes('redeemed')).toEqual(['redeemed', 'invalid_grant'])
      expect(await tokensOf('redeemed')).toBeUndefined()
      // Nothing of another login was lost, and no further token was asked for.
      expect((await issuer.happened()).redemptions['refresh_token']).toBe(names.length)
    },
    120_000,
  )
})
