import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { createServer, type Socket } from 'node:net'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { makeAuthority, type Authority } from '../../helpers/certificates.ts'
import { diagnose, LISTING } from '../../helpers/diagnose.ts'
import { startDnsServer } from '../../helpers/dns-server.ts'
import { answering, olderTransport, streamable } from '../../helpers/http-fault.ts'
import { makeScratch, type Scratch } from '../../helpers/scratch.ts'
import { BIN, serveGateway } from '../../helpers/served.ts'
import type { AddressInfo } from 'node:net'

/** How `doctor` asks servers and gateways: where, for how long, and what it says of their addresses. */

let scratch: Scratch
let authority: Authority
beforeAll(() => {
  scratch = makeScratch()
  authority = makeAuthority(scratch, 'probes-ca')
})
afterAll(async () => await scratch[Symbol.asyncDispose]())

/** A server that never ends what it says, a byte at a time. */
async function trickling(first: string): Promise<AsyncDisposable & { readonly port: number }> {
  const sockets = new Set<Socket>()
  const server = createServer(socket => {
    sockets.add(socket)
    socket.on('error', () => undefined)
    socket.write(first)
    const timer = setInterval(() => socket.write('a'), 300)
    socket.once('close', () => clearInterval(timer))
  }).listen(0, '127.0.0.1')
  await once(server, 'listening')
  return {
    port: (server.address() as AddressInfo).port,
    async [Symbol.asyncDispose]() {
      for (const socket of sockets) socket.destroy()
      server.close()
      await once(server, 'close')
    },
  }
}

async function seconds(work: Promise<unknown>): Promise<number> {
  const began = performance.now()
  await work
  return (performance.now() - began) / 1000
}

describe('what doctor says of addresses', () => {
  test('has no value of a variable, and no query', async () => {
    const secret = 'word-that-nobody-may-see'
    await using plain = await answering(streamable)
    await using tls = await answering(streamable, authority.sign('localhost'))
    await using older = await answering(olderTransport())
    await using gone = await answering((_request, response) => void response.writeHead(404).end())
    await using moved = await answering((request, response) => {
      response.writeHead(308, { location: `https://www.search.example${request.url}` }).end()
    })
    await using signed = await answering((_request, response) => {
      response.writeHead(308, { location: `https://www.search.example/mcp?signature=${secret}` }).end()
    })
    const path = '${SECRET}/sse'
    const url = (port: number, scheme = 'http', rest = path): object => ({
      url: `${scheme}://127.0.0.1:${port}/${rest}`,
      oauth: false,
    })
    const servers = {
      missing: url(plain.port, 'https'),
      queried: url(plain.port, 'https', 'mcp?key=${SECRET}'),
      needed: url(tls.port),
      older: url(older.port),
      gone: url(gone.port),
      moved: url(moved.port),
      signed: url(signed.port, 'http', 'mcp'),
    }
    const found = await diagnose(scratch, { mcpServers: servers }, { env: { SECRET: secret } })
    const codes = Object.fromEntries(
      found.findings.map(({ server, code, set }) => [server, [code, set?.value]]),
    )
    expect(codes).toEqual({
      missing: ['tls_missing', `http://127.0.0.1:${plain.port}/${path}`],
      queried: ['tls_missing', undefined],
      needed: ['tls_needed', `https://127.0.0.1:${tls.port}/${path}`],
      older: ['deprecated_transport', `http://127.0.0.1:${older.port}/\${SECRET}/mcp`],
      gone: ['wrong_path', `http://127.0.0.1:${gone.port}/mcp`],
      moved: ['redirected', undefined],
      signed: ['redirected', 'https://www.search.example/mcp'],
    })
    expect(JSON.stringify(found)).not.toContain(secret)
  })

  test('sends no token without TLS to a host of the Internet', async () => {
    await using dns = await startDnsServer()
    dns.addresses.set('search.example', ['127.0.0.1'])
    await using plain = await answering(streamable)
    const found = await diagnose(scratch, {
      mcpServers: { a: { url: `https://search.example:${plain.port}/mcp`, oauth: false } },
      gateway: { state: 'memory', dns: { servers: [dns.address] } },
    })
    const { fix, set } = found.only('tls_missing')
    expect(fix).not.toContain('"http://"')
    expect(set).toEqual({ key: 'mcpServers.a.url' })
  })
})

describe('doctor asks', () => {
  test('the name servers that the gateway asks, and goes to the addresses that they name', async () => {
    await using dns = await startDnsServer()
    dns.addresses.set('only-there.example', ['127.0.0.1'])
    await using server = await answering(streamable)
    const at = (host: string): object => ({
      mcpServers: { a: { url: `http://${host}:${server.port}/mcp`, oauth: false } },
      gateway: { state: 'memory', dns: { servers: [dns.address] } },
    })
    const found = await diagnose(scratch, at('only-there.example'))
    expect({ findings: found.findings, servers: found.servers.length }).toEqual({ findings: [], servers: 1 })
    const unknown = await diagnose(scratch, at('nowhere.example'))
    expect(unknown.only('host_unknown').cause).toContain('nowhere.example')
  })

  test('the target of a service', async () => {
    await using dns = await startDnsServer()
    await using server = await answering(streamable)
    dns.services.set('_mcp._tcp.search.example', [{ target: 'one.search.example', port: server.port }])
    dns.addresses.set('one.search.example', ['127.0.0.1'])
    const found = await diagnose(scratch, {
      mcpServers: {
        a: { replicas: [{ url: 'http://search.example/mcp', service: '_mcp._tcp' }], oauth: false },
      },
      gateway: { state: 'memory', dns: { servers: [dns.address] } },
    })
    expect(found.findings).toEqual([])
    expect(found.servers.map(({ server: name }) => name)).toEqual([
      `a, replica search.example/one.search.example:${server.port}`,
    ])
  })
})

describe('doctor ends', () => {
  test('beside servers that never end what they say', { timeout: 60_000 }, async () => {
    await using headers = await trickling('HTTP/1.1 200 OK\r\nx-slow: ')
    await using greeting = await trickling('')
    const servers = {
      headers: { url: `http://127.0.0.1:${headers.port}/mcp`, oauth: false, startTimeout: '2s' },
      redis: { ...LISTING },
    }
    const state = `redis://127.0.0.1:${greeting.port}`
    const took = await seconds(
      diagnose(scratch, { mcpServers: servers, gateway: { state } }).then(found => {
        found.only('redis_unreachable')
      }),
    )
    // Redis 3 s, the clock 5 s, the start 2 s, the other transport 5 s.
    expect(took).toBeLessThan(25)
  })

  test('at once with Ctrl+C, whatever it waits for', async () => {
    await using headers = await trickling('HTTP/1.1 200 OK\r\nx-slow: ')
    const url = `http://127.0.0.1:${headers.port}/mcp`
    const file = scratch.write('slow.json', { mcpServers: { a: { url } }, gateway: { state: 'memory' } })
    const env = { ...process.env, HOME: scratch.path, XDG_STATE_HOME: `${scratch.path}/xdg` }
    const child = spawn(process.execPath, [BIN, 'doctor', '--config', file], { env, stdio: 'ignore' })
    const end = once(child, 'close')
    await new Promise(resolve => setTimeout(resolve, 1500))
    expect(child.exitCode).toBe(null)
    child.kill('SIGINT')
    expect(await seconds(end)).toBeLessThan(2)
    expect(child.exitCode).toBe(130)
  })

  test('beside a gateway that is stopped', { timeout: 60_000 }, async () => {
    const config = { mcpServers: { a: LISTING }, gateway: { state: 'memory', http: { port: 0 } } }
    const file = scratch.write('servers.json', config)
    await using served = await serveGateway(file, { env: { XDG_STATE_HOME: `${scratch.path}/xdg` } })
    process.kill(served.pid, 'SIGSTOP')
    try {
      expect(await seconds(diagnose(scratch, config))).toBeLessThan(20)
    } finally {
      process.kill(served.pid, 'SIGCONT')
    }
  })
})
