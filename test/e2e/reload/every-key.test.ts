import { describe, expect, test } from 'vitest'
import { configKeys } from '../../../src/config/options/keys.ts'
import { scriptedHttp } from '../../helpers/scripted-servers.ts'
import { startGateway } from '../../helpers/gateway.ts'
import { reload, type KeyTests } from './keys/change.ts'
import { CLIENT_KEYS } from './keys/clients.ts'
import { GATEWAY_KEYS } from './keys/gateway.ts'
import { SERVER_KEYS } from './keys/servers.ts'
import { UNTESTED } from './keys/untested.ts'

/**
 * Every key of the reference is changed in a running gateway: the effect is seen, or the key is named as one that takes a start. A new key
 * without a test fails here.
 */

const TESTS: KeyTests = { ...SERVER_KEYS, ...CLIENT_KEYS, ...GATEWAY_KEYS }
const KEYS = configKeys()
const PATHS = KEYS.map(({ path }) => path)

/** Keys that hold other keys only, which have tests of their own. */
const isSection = (path: string): boolean =>
  PATHS.some(other => other.startsWith(`${path}.`)) && !(path in TESTS)

/** Another value of each key that takes a start. */
const OTHER: Readonly<Record<string, object>> = {
  'gateway.http.host': { http: { host: '127.0.0.2', port: 0 } },
  'gateway.http.port': { http: { port: 18_999 } },
  'gateway.http.tls': { http: { port: 0, tls: { cert: 'cert.pem', key: 'key.pem' } } },
  'gateway.state': { state: 'redis://127.0.0.1:9' },
}

/** Whether a reload takes over more than replicas: without that, no test of a key means anything. */
async function takesOverServers(): Promise<boolean> {
  await using server = await scriptedHttp()
  await using running = await startGateway({ mcpServers: {} }, { listen: false })
  await reload(running.gateway, { mcpServers: { a: server.entry } })
  return running.gateway.status().length === 1
}
const isWhole = await takesOverServers()

describe.skipIf(!isWhole)('a change in a running gateway of', () => {
  test.each(Object.entries(TESTS))('%s', async (_, run) => await run(), 60_000)
})

describe.skipIf(!isWhole)('a change that takes a start is named, and changes nothing:', () => {
  test.each(KEYS.filter(({ restart }) => restart !== undefined).map(({ path }) => path))('%s', async path => {
    await using server = await scriptedHttp()
    await using running = await startGateway({ mcpServers: { a: server.entry } })
    const other = OTHER[path]
    if (other === undefined) throw new Error(`OTHER has no value for ${path}`)
    const report = await reload(running.gateway, { mcpServers: { a: server.entry }, gateway: other })
    expect(report.notReloadable).toEqual([path])
    expect((await fetch(`${running.origin}/healthz`)).status).toBe(200)
  })
})

describe('the list of tests', () => {
  const tested = new Set([...Object.keys(TESTS), ...UNTESTED])

  test('has every key of the reference', () => {
    const missing = KEYS.filter(
      ({ path, restart, pending }) =>
        restart === undefined && !pending && !isSection(path) && !tested.has(path),
    )
    expect(missing.map(({ path }) => path)).toEqual([])
  })

  test('has no key that is not in the reference', () => {
    expect([...tested].filter(path => !PATHS.includes(path))).toEqual([])
  })

  test('names no key as untested that has a test', () => {
    expect(UNTESTED.filter(path => path in TESTS)).toEqual([])
  })
})
