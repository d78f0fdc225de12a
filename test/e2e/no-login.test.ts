import {
  Client as ModernClient,
  StreamableHTTPClientTransport as ModernHttp,
} from '@modelcontextprotocol/client'
import { Client } from '@modelcontextprotocol/sdk/client/index.js'
import { SSEClientTransport } from '@modelcontextprotocol/sdk/client/sse.js'
import { StreamableHTTPClientTransport } from '@modelcontextprotocol/sdk/client/streamableHttp.js'
import type { Transport } from '@modelcontextprotocol/sdk/shared/transport.js'
import { describe, expect, test } from 'vitest'
import { withKeys } from '../helpers/callers.ts'
import { startGateway, type TestGateway } from '../helpers/gateway.ts'

/** What a person reads whose client has no key and looks for a login instead. */

const FIX = ['Authorization: Bearer <key>', 'mcp-manifold keys create <client>']
const INFO = { name: 'newcomer', version: '1' }

/** As the clients of people have one: it can register and would open a browser. */
function provider(): object {
  return {
    redirectUrl: 'http://127.0.0.1:1/callback',
    clientMetadata: { client_name: 'newcomer', redirect_uris: ['http://127.0.0.1:1/callback'] },
    clientInformation: () => undefined,
    saveClientInformation: () => {},
    tokens: () => undefined,
    saveTokens: () => {},
    redirectToAuthorization: () => {
      throw new Error('a browser was opened')
    },
    saveCodeVerifier: () => {},
    codeVerifier: () => '',
  }
}

async function refusalOf(connecting: Promise<unknown>): Promise<string> {
  const error: unknown = await connecting.then(
    () => undefined,
    (thrown: unknown) => thrown,
  )
  return error instanceof Error ? error.message : 'it was let in'
}

const gatewayWithKeys = (auth: object = {}): Promise<TestGateway> =>
  startGateway({ mcpServers: {}, clients: withKeys({ ci: {} }), gateway: { http: { port: 0 }, auth } })

const connectors: Record<string, (origin: string, options: object) => Promise<unknown>> = {
  'the v1 client': (origin, options) =>
    new Client(INFO).connect(
      new StreamableHTTPClientTransport(new URL('/mcp', origin), options) as Transport,
    ),
  'the v1 client over SSE': (origin, options) =>
    new Client(INFO).connect(new SSEClientTransport(new URL('/sse', origin), options) as Transport),
  'the v2 client': (origin, options) =>
    new ModernClient(INFO, { versionNegotiation: { mode: 'auto' } }).connect(
      new ModernHttp(new URL('/mcp', origin), options),
    ),
  'the v2 client, legacy': (origin, options) =>
    new ModernClient(INFO, { versionNegotiation: { mode: 'legacy' } }).connect(
      new ModernHttp(new URL('/mcp', origin), options),
    ),
}

/** These show a sentence of their own, and nothing of the answer. */
const OWN_WORDS = ['the v1 client over SSE', 'the v2 client']

describe.each(Object.entries(connectors))('%s without a key', (name, connect) => {
  test('that can log in reads which header to send and how a key is made', async () => {
    await using gateway = await gatewayWithKeys()
    const message = await refusalOf(connect(gateway.origin, { authProvider: provider() }))
    for (const part of FIX) expect(message.replaceAll('\\"', '"')).toContain(part)
  })

  test.skipIf(OWN_WORDS.includes(name))('that cannot log in reads it, too', async () => {
    await using gateway = await gatewayWithKeys()
    const message = await refusalOf(connect(gateway.origin, {}))
    for (const part of FIX) expect(message.replaceAll('\\"', '"')).toContain(part)
  })
})

const ADDRESSES = [
  '/register',
  '/token',
  '/authorize',
  '/.well-known/oauth-authorization-server',
  '/.well-known/oauth-authorization-server/mcp',
  '/.well-known/openid-configuration',
  '/.well-known/oauth-protected-resource',
  '/.well-known/oauth-protected-resource/mcp',
]

test.each(ADDRESSES)('%s says in the form of OAuth what to do instead', async address => {
  await using gateway = await gatewayWithKeys()
  const response = await fetch(gateway.origin + address)
  expect(response.status).toBe(address.includes('well-known') ? 404 : 400)
  const { error, error_description: description } = (await response.json()) as Record<string, string>
  expect(error).toBe('invalid_request')
  for (const part of FIX) expect(description).toContain(part)
})

test('where an issuer is configured, the gateway does not speak of logins itself', async () => {
  await using gateway = await gatewayWithKeys({ jwt: [{ issuer: 'https://login.example' }] })
  const registration = await fetch(`${gateway.origin}/register`, { method: 'POST' })
  expect(registration.status).toBe(404)
  expect(await registration.text()).not.toContain('error_description')
  const metadata = await fetch(`${gateway.origin}/.well-known/oauth-protected-resource/mcp`)
  expect(await metadata.json()).toMatchObject({ authorization_servers: ['https://login.example'] })
})

test('where no key is needed, no address mentions one', async () => {
  await using gateway = await startGateway({ mcpServers: {} })
  const response = await fetch(`${gateway.origin}/register`, { method: 'POST' })
  expect(response.status).toBe(404)
  expect(await response.text()).not.toContain('keys create')
})
