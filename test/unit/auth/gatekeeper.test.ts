import type { IncomingMessage } from 'node:http'
import { afterEach, describe, expect, test } from 'vitest'
import { Gatekeeper } from '../../../src/auth/gatekeeper.ts'
import { keyDigestOf } from '../../../src/auth/key-records.ts'
import { configFrom } from '../../../src/config/load/load.ts'
import { SILENT } from '../../../src/core/logger.ts'
import type { Credential } from '../../../src/front/authenticator.ts'
import { createMemoryStore } from '../../../src/state/memory.ts'
import { keyOf, withKeys } from '../../helpers/callers.ts'

/** A credential that a former configuration has accepted, looked up in another one. */

const open: Gatekeeper[] = []
afterEach(() => {
  for (const gatekeeper of open.splice(0)) gatekeeper.close()
})

async function gatekeeper(file: object): Promise<Gatekeeper> {
  const config = await configFrom({ mcpServers: {}, ...file }, { env: {} })
  const made = new Gatekeeper({
    auth: config.gateway.auth,
    http: config.gateway.http,
    clients: config.clients,
    issuerKeys: { of: () => undefined } as never,
    store: createMemoryStore(),
    logger: SILENT,
  })
  open.push(made)
  return made
}

const request = (headers: Record<string, string>): IncomingMessage =>
  ({ headers, url: '/mcp', socket: { remoteAddress: '127.0.0.1' } }) as unknown as IncomingMessage

const withKey = (name: string): IncomingMessage => request({ authorization: `Bearer ${keyOf(name)}` })

const shown = async (file: object, by: IncomingMessage): Promise<Credential> =>
  await (await gatekeeper(file)).authenticate(by, '')

const digest = (name: string): string => `sha256:${keyDigestOf(keyOf(name))}`
const PROXY = { auth: { proxy: { header: 'x-user', from: ['127.0.0.1'] } } }

describe('a credential by key', () => {
  test('is renewed with the rights of now where its client has that key', async () => {
    const before = await shown({ clients: withKeys({ ci: {} }) }, withKey('ci'))
    const after = await gatekeeper({
      clients: withKeys({ ci: { rules: [{ effect: 'deny', match: ['a/*'] }] } }),
    })
    const renewed = after.renewed(before, '')
    expect(renewed?.principal).toMatchObject({ id: before.principal.id, client: 'ci' })
    expect(renewed).toBe(await after.authenticate(withKey('ci'), ''))
  })

  test.each([
    ['its client is gone', { clients: withKeys({ other: {} }) }],
    ['its client has another key', { clients: { ci: { keys: [digest('new')] } } }],
    ['it is the key of another client', { clients: { ci: { keys: [] }, other: { keys: [digest('ci')] } } }],
    ['there are no clients', {}],
  ])('is not renewed where %s', async (_, file) => {
    const before = await shown({ clients: withKeys({ ci: {} }) }, withKey('ci'))
    expect((await gatekeeper(file)).renewed(before, '')).toBeUndefined()
  })
})

describe('a credential from a proxy', () => {
  const ada = request({ 'x-user': 'ada' })

  test('is renewed where the user is still that client', async () => {
    const file = { clients: { ci: { users: ['ada'] } }, gateway: PROXY }
    const before = await shown(file, ada)
    expect((await gatekeeper(file)).renewed(before, '')?.principal.id).toBe(before.principal.id)
  })

  test.each([
    ['no proxy is trusted', { clients: withKeys({ ci: {} }) }],
    ['the user belongs to no client', { clients: { ci: { users: ['bob'] } }, gateway: PROXY }],
    ['the user is another client', { clients: { ci: {}, other: { users: ['ada'] } }, gateway: PROXY }],
  ])('is not renewed where %s', async (_, file) => {
    const before = await shown({ clients: { ci: { users: ['ada'] } }, gateway: PROXY }, ada)
    expect((await gatekeeper(file)).renewed(before, '')).toBeUndefined()
  })
})

describe('a caller without credentials', () => {
  const nobody = request({})

  test('goes on where none are needed, before and after', async () => {
    const before = await shown({}, nobody)
    expect((await gatekeeper({})).renewed(before, '')?.principal).toEqual(before.principal)
  })

  test('does not go on where there are clients now, or where it is a client by name', async () => {
    const before = await shown({}, nobody)
    expect((await gatekeeper({ clients: withKeys({ ci: {} }) })).renewed(before, '')).toBeUndefined()
    const named = { clients: withKeys({ guest: {} }), gateway: { auth: { anonymous: 'guest' } } }
    expect((await gatekeeper(named)).renewed(before, '')).toBeUndefined()
    const guest = await shown(named, nobody)
    expect((await gatekeeper({})).renewed(guest, '')).toBeUndefined()
    expect((await gatekeeper(named)).renewed(guest, '')?.principal).toMatchObject({ client: 'guest' })
  })
})
