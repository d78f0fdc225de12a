import { once } from 'node:events'
import { request as httpRequest } from 'node:http'
import type { IncomingMessage, RequestListener } from 'node:http'
import { expect, test } from 'vitest'
import { createGateway } from '../../../src/index.ts'
import { keyOf, withKeys } from '../../helpers/callers.ts'
import { host } from '../../helpers/host.ts'
import { startIssuer } from '../../helpers/issuer.ts'
import { post } from '../../helpers/http-client.ts'

/** Which callers a gateway in another program's server has. */

const INITIALIZE = JSON.stringify({
  jsonrpc: '2.0',
  id: 1,
  method: 'initialize',
  params: { protocolVersion: '2025-11-25', capabilities: {}, clientInfo: { name: 'test', version: '1' } },
})
const SERVERS = { a: { url: 'http://127.0.0.1:9/mcp' } }

test('tokens count for the address below the prefix, and the metadata is found there and at the root', async () => {
  await using issuer = await startIssuer()
  let listener: RequestListener = (_, response) => void response.end()
  await using server = await host((request, response) => listener(request, response))
  const jwt = [{ issuer: issuer.url, client: 'people' }]
  const gateway = await createGateway({
    mcpServers: SERVERS,
    clients: { people: {} },
    gateway: { http: { publicUrl: server.origin }, auth: { jwt } },
  })
  const handler = gateway.handler({ prefix: '/gw' })
  listener = (request, response) => handler(request, response, () => void response.writeHead(404).end())

  const url = `${server.origin}/gw/mcp`
  const refused = await post(url, INITIALIZE)
  expect(refused.status).toBe(401)
  const address = /resource_metadata="([^"]+)"/.exec(refused.headers.get('www-authenticate') ?? '')?.[1] ?? ''
  const root = `${server.origin}/.well-known/oauth-protected-resource/gw/mcp`
  for (const at of [address, root])
    expect(await (await fetch(at)).json()).toMatchObject({
      resource: url,
      authorization_servers: [issuer.url],
    })
  const call = async (aud: string): Promise<number> =>
    (await post(url, INITIALIZE, { authorization: `Bearer ${await issuer.token({ aud })}` })).status
  expect(await call(url)).toBe(200)
  expect(await call(`${server.origin}/mcp`)).toBe(401)
  await gateway.close({ timeoutMs: 0 })
})

test('tokens need the address that they are issued for', async () => {
  const auth = { jwt: [{ issuer: 'https://issuer.example', client: 'people' }] }
  const gateway = await createGateway({ mcpServers: SERVERS, clients: { people: {} }, gateway: { auth } })
  expect(() => gateway.handler()).toThrow('gateway.http.publicUrl')
  expect(() => gateway.handler({ prefix: 'gw/' })).toThrow('"gw/"')
  await gateway.close()
})

test('of two Authorization headers, none counts, also where the server of the program keeps the first', async () => {
  const gateway = await createGateway({ mcpServers: SERVERS, clients: withKeys({ ci: {} }) })
  await using server = await host(gateway.handler())
  const outgoing = httpRequest({
    port: server.port,
    host: '127.0.0.1',
    path: '/mcp',
    method: 'POST',
    headers: [
      'host',
      '127.0.0.1',
      'content-type',
      'application/json',
      'authorization',
      `Bearer ${keyOf('ci')}`,
      'authorization',
      'Bearer other',
    ],
  })
  outgoing.end(INITIALIZE)
  const [response] = (await once(outgoing, 'response')) as [IncomingMessage]
  let text = ''
  for await (const chunk of response.setEncoding('utf8')) text += chunk
  expect(response.statusCode).toBe(400)
  expect(text).toContain('more than one Authorization header')
  await gateway.close({ timeoutMs: 0 })
})

test('a page of another site is refused, as on an address of the gateway itself', async () => {
  const gateway = await createGateway({ mcpServers: SERVERS })
  await using server = await host(gateway.handler())
  const refused = await post(`${server.origin}/mcp`, INITIALIZE, { origin: 'https://evil.example' })
  expect(refused.status).toBe(403)
  await gateway.close({ timeoutMs: 0 })
})
