import { afterAll, describe, expect, test } from 'vitest'
import { configKeys } from '../../../src/config/options/keys.ts'
import { scriptedHttp } from '../../helpers/scripted-servers.ts'
import { makeAuthority } from '../../helpers/certificates.ts'
import { startGateway } from '../../helpers/gateway.ts'
import { makeScratch } from '../../helpers/scratch.ts'
import { reload, type KeyTests } from './keys/change.ts'
import { ASK_KEYS } from './keys/asks.ts'
import { CLIENT_KEYS } from './keys/clients.ts'
import { GATEWAY_KEYS } from './keys/gateway.ts'
import { HTTP_KEYS } from './keys/http.ts'
import { KEPT_KEYS } from './keys/kept.ts'
import { OAUTH_KEYS } from './keys/oauth.ts'
import { RUNNING_KEYS } from './keys/running.ts'
import { SERVER_KEYS } from './keys/servers.ts'
import { TOKEN_KEYS } from './keys/tokens.ts'

/**
 * Every key of the reference is changed in a running gateway: the effect is seen, or the key is named as one that takes
 * a start. A new key without a test fails here.
 */

const TESTS: KeyTests = {
  ...SERVER_KEYS,
  ...CLIENT_KEYS,
  ...GATEWAY_KEYS,
  ...HTTP_KEYS,
  ...ASK_KEYS,
  ...KEPT_KEYS,
  ...RUNNING_KEYS,
  ...OAUTH_KEYS,
  ...TOKEN_KEYS,
}
const KEYS = configKeys()
const PATHS = KEYS.map(({ path }) => path)

/** Keys that hold other keys only, which have tests of their own. */
const isSection = (path: string): boolean =>
  PATHS.some(other => other.startsWith(`${path}.`)) && !(path in TESTS)

const SCRATCH = makeScratch()
const AUTHORITY = makeAuthority(SCRATCH, 'authority')
const PAIR = AUTHORITY.sign('gateway')
const TLS = { cert: PAIR.certFile, key: PAIR.keyFile }
const TOKEN = 'a-token-of-more-than-16'
afterAll(async () => await SCRATCH[Symbol.asyncDispose]())

/** `gateway` before and after a change of each key that takes a start. */
const OTHER: Readonly<Record<string, readonly [Record<string, unknown>, Record<string, unknown>]>> = {
  'gateway.http.host': [{}, { http: { host: '127.0.0.2', port: 0 } }],
  'gateway.http.port': [{}, { http: { port: 18_999 } }],
  'gateway.http.tls': [{}, { http: { port: 0, tls: TLS } }],
  'gateway.http.tls.clientCertificates': [
    { http: { port: 0, tls: { ...TLS, ca: AUTHORITY.certFile } } },
    { http: { port: 0, tls: { ...TLS, ca: AUTHORITY.certFile, clientCertificates: 'require' } } },
  ],
  'gateway.state': [{}, { state: 'redis://127.0.0.1:9' }],
  'gateway.vault.keys': [{}, { vault: { keys: [`${'A'.repeat(43)}=`] } }],
  'gateway.vault.keySource': [{}, { vault: { keySource: 'file' } }],
  'gateway.usage.enabled': [{}, { usage: { enabled: false } }],
  'gateway.usage.keep': [{}, { usage: { keep: '90d' } }],
  'gateway.metrics.enabled': [{}, { metrics: { enabled: false } }],
  'gateway.metrics.maxSeries': [{}, { metrics: { maxSeries: 500 } }],
  'gateway.admin.socket': [{}, { admin: { socket: false } }],
  'gateway.admin.listen': [
    { admin: { token: TOKEN } },
    { admin: { token: TOKEN, listen: '127.0.0.1:7333' } },
  ],
  'gateway.admin.token': [{}, { admin: { token: TOKEN } }],
  'gateway.admin.allowPlaintext': [{}, { admin: { allowPlaintext: true } }],
}

describe('a change in a running gateway of', () => {
  test.each(Object.entries(TESTS))('%s', async (_, run) => await run(), 60_000)
})

describe('a change that takes a start is named, and changes nothing:', () => {
  test.each(KEYS.filter(({ restart }) => restart !== undefined).map(({ path }) => path))('%s', async path => {
    await using server = await scriptedHttp()
    const [before, after] = OTHER[path] ?? []
    if (!before || !after)
      throw new Error(`Add ${path} to OTHER in test/e2e/reload/every-key.test.ts: a value before and after.`)
    const mcpServers = { a: server.entry }
    await using running = await startGateway({ mcpServers, gateway: before })
    const { notReloadable } = await reload(running.gateway, { mcpServers, gateway: after })
    expect(notReloadable).toEqual([path])
    // The running value is the one that the next file is compared with.
    const again = await reload(running.gateway, { mcpServers: {}, gateway: after })
    expect(again).toMatchObject({ applied: true, notReloadable: [path] })
    expect((await reload(running.gateway, { mcpServers, gateway: before })).notReloadable).toEqual([])
  })
})

describe('the list of tests', () => {
  const tested = new Set(Object.keys(TESTS))

  test('has every key of the reference', () => {
    const missing = KEYS.filter(
      ({ path, restart, pending }) =>
        restart === undefined && !pending && !isSection(path) && !tested.has(path),
    )
    expect(
      missing.map(({ path }) => path),
      'Add a test of each of these keys to a list in test/e2e/reload/keys/; the effect of a change is seen there',
    ).toEqual([])
  })

  test('has no key that is not in the reference', () => {
    expect([...tested].filter(path => !PATHS.includes(path))).toEqual([])
  })

  test('has keys that take a start under "gateway" alone, where a reload keeps them', () => {
    const taking = KEYS.filter(({ restart }) => restart !== undefined).map(({ path }) => path)
    expect(taking.filter(path => !path.startsWith('gateway.'))).toEqual([])
  })
})
