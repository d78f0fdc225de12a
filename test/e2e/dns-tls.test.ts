import { once } from 'node:events'
import { createServer } from 'node:https'
import type { AddressInfo } from 'node:net'
import type { TLSSocket } from 'node:tls'
import { expect, test } from 'vitest'
import { makeAuthority } from '../helpers/certificates.ts'
import { startDnsServer } from '../helpers/dns-server.ts'
import { makeScratch } from '../helpers/scratch.ts'
import { serveGateway } from '../helpers/served.ts'
import { ModernHttp } from '../helpers/wire-clients.ts'

const TOOLS = '{"tools":[{"name":"t","inputSchema":{"type":"object"}}]}'
const RESULTS: Readonly<Record<string, string>> = {
  initialize:
    '{"protocolVersion":"2025-11-25","capabilities":{"tools":{}},"serverInfo":{"name":"s","version":"1"}}',
  'tools/list': TOOLS,
  'tools/call': '{"content":[{"type":"text","text":"here"}]}',
}

test('the address of a name is contacted by the name, and its certificate has to match it', async () => {
  await using scratch = makeScratch()
  await using dns = await startDnsServer()
  const authority = makeAuthority(scratch, 'Upstream CA')
  const { cert, key } = authority.sign('up.test', { names: ['DNS:up.test'] })
  const greeted: unknown[] = []
  const server = createServer({ cert, key }, (request, response) => {
    const { servername } = request.socket as TLSSocket
    greeted.push([servername, request.headers.host])
    let body = ''
    request.on('data', (chunk: Buffer) => (body += chunk.toString()))
    request.on('end', () => {
      if (request.method !== 'POST') return void response.writeHead(405).end()
      const { id, method } = JSON.parse(body) as { id?: number; method: string }
      if (id === undefined) return void response.writeHead(202).end()
      const answer =
        RESULTS[method] === undefined
          ? '"error":{"code":-32601,"message":"Method not found"}'
          : `"result":${RESULTS[method]}`
      response.setHeader('content-type', 'application/json')
      response.end(`{"jsonrpc":"2.0","id":${id},${answer}}`)
    })
  }).listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  dns.addresses.set('up.test', ['127.0.0.1'])
  dns.addresses.set('other.test', ['127.0.0.1'])
  const entry = (host: string) => ({ url: `https://${host}:${port}/mcp`, prefix: host.slice(0, -5) })
  const file = scratch.write('servers.json', {
    mcpServers: { up: entry('up.test'), other: entry('other.test') },
    gateway: { http: { port: 0 }, state: 'memory', dns: { servers: [dns.address] } },
  })
  try {
    await using served = await serveGateway(file, { env: { NODE_EXTRA_CA_CERTS: authority.certFile } })
    await using client = new ModernHttp(served.origin)
    expect(await client.request('1', 'tools/call', '{"name":"up__t","arguments":{}}')).toContain('"here"')
    expect(greeted.length).toBeGreaterThan(0)
    expect(new Set(greeted.map(String))).toEqual(new Set([`up.test,up.test:${port}`]))
    await expect.poll(() => served.said).toContain('ERR_TLS_CERT_ALTNAME_INVALID')
  } finally {
    server.closeAllConnections()
    server.close()
    await once(server, 'close')
  }
})
