import { readFileSync } from 'node:fs'
import { Client, StreamableHTTPClientTransport } from '@modelcontextprotocol/client'
import { expect, test } from 'vitest'
import { startAuthorizationServer } from '../helpers/authorization-server.ts'
import { startIssuer } from '../helpers/issuer.ts'
import { MODERN, OFFICIAL_CLIENTS } from '../helpers/official-clients.ts'
import { startProtectedServer } from '../helpers/protected-server.ts'
import { makeScratch } from '../helpers/scratch.ts'
import { serveGateway } from '../helpers/served.ts'

/** Grants without a person, through a whole gateway. */

const SECRET = 'secret-of-the-gateway-9f2c'
const EXCHANGE = 'urn:ietf:params:oauth:grant-type:token-exchange'
const BEARER = 'urn:ietf:params:oauth:grant-type:jwt-bearer'
const clients = [
  {
    client_id: 'gateway',
    client_secret: SECRET,
    grant_types: ['client_credentials', EXCHANGE, BEARER],
    dpop_bound_access_tokens: false,
  },
]
const known = { clientId: 'gateway', clientSecret: SECRET, scopes: ['mcp'] }

const FULL = OFFICIAL_CLIENTS.filter(({ full, front }) => full && front !== 'sse')

test.each(FULL)(
  '$name over $front: client credentials, with tokens that end and proofs of possession',
  async client => {
    await using server = await startAuthorizationServer({ clients, accessTokenSeconds: 4, dpop: 'nonce' })
    await using resource = await startProtectedServer({
      issuer: server.issuer,
      introspection: server.resourceServer,
      dpop: 'nonce',
    })
    await using scratch = makeScratch()
    const configFile = scratch.write('servers.json', {
      mcpServers: {
        files: { url: resource.url, oauth: { ...known, grant: 'client_credentials', dpop: true } },
      },
      gateway: { state: 'memory', http: { port: 0 } },
    })
    await using gateway = await serveGateway(configFile)
    await using connected = await client.connect({ configFile, origin: gateway.origin })
    const redeemed = async (): Promise<number> =>
      (await server.happened()).redemptions['client_credentials'] ?? 0
    let calls = 0
    const until = Date.now() + 40_000
    for (; (calls < 10 || (await redeemed()) < 2) && Date.now() < until; calls++) {
      const answer = await connected.callTool('files__whoami', {})
      expect(answer.isError ?? false, JSON.stringify(answer.content)).toBe(false)
      await new Promise(resolve => setTimeout(resolve, 200))
    }
    expect(await redeemed()).toBeGreaterThan(1)
    expect(await redeemed()).toBeLessThan(calls)
    expect(gateway.said).not.toContain(SECRET)
  },
)

test.each(['id_jag', 'token_exchange'] as const)(
  '%s: each caller acts as itself, and its own token reaches the identity provider only',
  async grant => {
    await using idp = await startAuthorizationServer({ clients, tokens: 'jwt' })
    await using server = await startAuthorizationServer({ clients, trusts: { [idp.issuer]: idp.jwksUrl } })
    const issuing = grant === 'id_jag' ? server : idp
    await using resource = await startProtectedServer({
      issuer: issuing.issuer,
      ...(grant === 'id_jag' && { introspection: server.resourceServer }),
    })
    await using scratch = makeScratch()
    const audit = `${scratch.path}/audit.jsonl`
    const configFile = scratch.write('servers.json', {
      mcpServers: {
        files: {
          url: resource.url,
          oauth: {
            ...known,
            grant,
            per: 'client',
            idp: { issuer: idp.issuer, clientId: 'gateway', clientSecret: SECRET, subjectToken: 'caller' },
          },
        },
      },
      clients: { people: {} },
      gateway: {
        state: 'memory',
        audit: { file: audit },
        http: { port: 0 },
        auth: {
          jwt: [
            {
              issuer: idp.issuer,
              jwks: idp.jwksUrl,
              audience: ['gateway'],
              algorithms: ['ES256'],
              client: 'people',
            },
          ],
        },
      },
    })
    await using gateway = await serveGateway(configFile)
    const tokens = {
      ada: await idp.identityToken('ada', 'gateway'),
      bob: await idp.identityToken('bob', 'gateway'),
    }
    const connected = await Promise.all(
      Object.entries(tokens).map(async ([user, token], at) => {
        const options = { versionNegotiation: { mode: at === 0 ? { pin: MODERN } : 'legacy' } } as const
        const client = new Client({ name: user, version: '1' }, options)
        const requestInit = { headers: { authorization: `Bearer ${token}` } }
        await client.connect(
          new StreamableHTTPClientTransport(new URL('/mcp', gateway.origin), { requestInit }),
        )
        return [user, client] as const
      }),
    )
    // The gateway itself has no account there: the first caller shows it what the server offers.
    for (const [, client] of connected)
      await expect
        .poll(async () => (await client.listTools()).tools.map(({ name }) => name))
        .toContain('files__whoami')
    const calls = Array.from({ length: 20 }, () =>
      connected.map(async ([user, client]) => {
        const { content } = await client.callTool({ name: 'files__whoami', arguments: {} })
        expect(content).toEqual([{ type: 'text', text: user }])
      }),
    )
    await Promise.all(calls.flat())
    for (const [, client] of connected) await client.close()

    const called = (await resource.requests()).filter(({ tool }) => tool === 'whoami')
    expect(called.filter(({ status }) => status === 200)).toHaveLength(40)
    const seen = JSON.stringify([
      await resource.requests(),
      grant === 'id_jag' ? await server.happened() : [],
    ])
    const written = gateway.said + readFileSync(audit, 'utf8')
    for (const token of Object.values(tokens)) {
      expect(seen).not.toContain(token)
      expect(written).not.toContain(token)
    }
    expect((await idp.happened()).redemptions).toEqual({ [EXCHANGE]: 2 })
  },
)

test.each(FULL)('$name over $front: the JWT of a workload, read anew for each token', async client => {
  await using workloads = await startIssuer()
  await using server = await startAuthorizationServer({
    clients,
    accessTokenSeconds: 2,
    trusts: { [workloads.url]: `${workloads.url}/keys` },
  })
  await using resource = await startProtectedServer({
    issuer: server.issuer,
    introspection: server.resourceServer,
  })
  await using scratch = makeScratch()
  const assertions: string[] = []
  const present = async (sub: string): Promise<void> => {
    assertions.push(await workloads.token({ sub, aud: server.issuer }))
    scratch.write('workload.jwt', assertions.at(-1) as string)
  }
  await present('first')
  const idp = { subjectToken: `file:${scratch.path}/workload.jwt` }
  const configFile = scratch.write('servers.json', {
    mcpServers: { files: { url: resource.url, oauth: { ...known, grant: 'jwt_bearer', idp } } },
    gateway: { state: 'memory', http: { port: 0 } },
  })
  await using gateway = await serveGateway(configFile)
  await using connected = await client.connect({ configFile, origin: gateway.origin })
  const whoami = async (): Promise<string> =>
    JSON.stringify((await connected.callTool('files__whoami', {})).content)
  expect(await whoami()).toContain('first')
  await present('second')
  await expect.poll(whoami, { timeout: 20_000 }).toContain('second')
  const { tokenRequests } = await server.happened()
  const redeemed = tokenRequests.filter(({ grantType, ok }) => grantType === BEARER && ok)
  expect(new Set(redeemed.map(({ form }) => form['assertion']))).toEqual(new Set(assertions))
  for (const { form } of redeemed) expect(form).toMatchObject({ scope: 'mcp', resource: resource.url })
  const seen = JSON.stringify(await resource.requests())
  for (const assertion of assertions) {
    expect(seen).not.toContain(assertion)
    expect(gateway.said).not.toContain(assertion)
  }
})

test('an assertion that the authorization server does not trust ends in the key to change', async () => {
  await using stranger = await startIssuer()
  await using server = await startAuthorizationServer({ clients })
  await using resource = await startProtectedServer({
    issuer: server.issuer,
    introspection: server.resourceServer,
  })
  await using scratch = makeScratch()
  const assertion = await stranger.token({ sub: 'x', aud: server.issuer })
  const oauth = { ...known, grant: 'jwt_bearer', idp: { subjectToken: assertion } }
  const configFile = scratch.write('servers.json', {
    mcpServers: { files: { url: resource.url, oauth } },
    gateway: { state: 'memory', http: { port: 0 } },
  })
  await using gateway = await serveGateway(configFile)
  const ready = async (): Promise<string> => await (await fetch(`${gateway.origin}/readyz`)).text()
  await expect.poll(() => gateway.said, { timeout: 20_000 }).toContain('invalid_grant')
  expect(await ready()).not.toContain(assertion)
  expect(gateway.said).not.toContain(assertion)
})
