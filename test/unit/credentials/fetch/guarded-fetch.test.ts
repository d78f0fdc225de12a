import { once } from 'node:events'
import { createServer, type IncomingMessage, type RequestListener } from 'node:http'
import { createServer as createTcpServer, type AddressInfo, type Server, type Socket } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import { gzipSync } from 'node:zlib'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { guardedFetch } from '../../../../src/credentials/fetch/guarded-fetch.ts'
import { VERSION } from '../../../../src/version.ts'
import { startDnsServer } from '../../../helpers/dns-server.ts'
import { assertNothingLeft, takeStock, type Holdings } from '../../../helpers/leftovers.ts'

let before: Holdings
let stop: (() => void)[] = []

beforeEach(async () => {
  // Loaded once in a process; what it holds is none of a test.
  await import('undici')
  before = takeStock()
})

afterEach(async () => {
  for (const end of stop) end()
  stop = []
  await assertNothingLeft(before)
})

async function listening(server: Server): Promise<string> {
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`
}

/** An HTTP server; its requests are collected. */
async function serve(answer: RequestListener): Promise<{ url: string; requests: IncomingMessage[] }> {
  const requests: IncomingMessage[] = []
  const server = createServer((request, response) => {
    requests.push(request)
    answer(request, response)
  })
  stop.push(() => {
    server.close()
    server.closeAllConnections()
  })
  return { url: await listening(server), requests }
}

/** A server that does with a connection what a test says. */
async function serveRaw(connected: (socket: Socket) => void): Promise<string> {
  const sockets = new Set<Socket>()
  const server = createTcpServer(socket => {
    sockets.add(socket)
    socket.on('error', () => undefined)
    socket.on('data', () => undefined)
    connected(socket)
  })
  stop.push(() => {
    server.close()
    for (const socket of sockets) socket.destroy()
  })
  return await listening(server)
}

const HERE = 'http://127.0.0.1/mcp'
const failure = async (promise: Promise<unknown>): Promise<unknown> =>
  await promise.then(
    () => 'fetched',
    (error: unknown) => (error as { failure?: string }).failure ?? error,
  )

describe('a request', () => {
  test('says what sends it, asks for no compression, and carries no cookie and no header of MCP', async () => {
    const { url, requests } = await serve((_, response) => {
      response.setHeader('set-cookie', 'a=b')
      response.setHeader('content-type', 'application/json')
      response.end('{"a":1}')
    })
    const response = await guardedFetch({ serverUrl: HERE })(`${url}/x?y=1#z`, {
      headers: { cookie: 'a=b', 'mcp-protocol-version': '2025-11-25', accept: 'application/jwk-set+json' },
    })
    expect(await response.json()).toEqual({ a: 1 })
    expect(response.url).toBe(`${url}/x?y=1`)
    expect(response.headers.get('set-cookie')).toBeNull()
    expect(requests[0]?.url).toBe('/x?y=1')
    const { host, connection: _, ...headers } = requests[0]?.headers ?? {}
    expect(host).toBe(new URL(url).host)
    expect(headers).toEqual({
      accept: 'application/jwk-set+json',
      'accept-encoding': 'identity',
      'user-agent': `mcp-manifold/${VERSION}`,
    })
  })

  test('sends a form as fetch does', async () => {
    let sent = ''
    const { url, requests } = await serve((request, response) => {
      request.setEncoding('utf8').on('data', (text: string) => (sent += text))
      request.on('end', () => response.writeHead(400).end('{"error":"invalid_grant"}'))
    })
    const body = new URLSearchParams({ grant_type: 'refresh_token', refresh_token: 'a b' })
    const response = await guardedFetch({ serverUrl: HERE })(new URL(url), { method: 'POST', body })
    expect([response.status, response.ok, await response.text()]).toEqual([
      400,
      false,
      '{"error":"invalid_grant"}',
    ])
    expect(sent).toBe('grant_type=refresh_token&refresh_token=a+b')
    expect(requests[0]?.headers['content-type']).toMatch(/^application\/x-www-form-urlencoded/)
    expect(requests[0]?.headers['content-length']).toBe('42')
  })

  test.each([200, 204, 304, 404, 500])('gives status %i back', async status => {
    const { url } = await serve((_, response) => response.writeHead(status).end())
    expect((await guardedFetch({ serverUrl: HERE })(url)).status).toBe(status)
  })

  test('ends with the signal of its caller, for the reason of the signal', async () => {
    const url = await serveRaw(() => undefined)
    const ending = new AbortController()
    const fetching = guardedFetch({ serverUrl: HERE })(url, { signal: ending.signal })
    await sleep(20)
    ending.abort(new Error('no longer needed'))
    await expect(fetching).rejects.toThrow('no longer needed')
    await expect(guardedFetch({ serverUrl: HERE })(url, { signal: ending.signal })).rejects.toThrow(
      'no longer needed',
    )
  })
})

describe('time', () => {
  const HEAD = 'HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n'
  const drip = (socket: Socket, first: string, text: string): void => {
    socket.write(first)
    const timer = setInterval(() => socket.write(text), 20)
    socket.once('close', () => clearInterval(timer))
  }
  test.each<[string, (socket: Socket) => void]>([
    ['does not answer', () => undefined],
    ['drips its header', socket => drip(socket, HEAD, 'x-a: b\r\n')],
    ['drips its body', socket => drip(socket, `${HEAD}\r\n`, ' ')],
    ['stops in its body', socket => socket.write(`${HEAD}content-length: 10\r\n\r\n{`)],
  ])('is bounded for a server that %s', async (_, connected) => {
    const url = await serveRaw(connected)
    const begun = performance.now()
    const fetching = guardedFetch({ serverUrl: HERE, timeoutMs: 300 })(url)
    await expect(fetching).rejects.toThrow(
      `${new URL(url).host} did not answer within 0.3 s. Fix: check that it is reachable from here.`,
    )
    expect(performance.now() - begun).toBeLessThan(2000)
  })

  test('covers a name server that does not answer, and all redirects together', async () => {
    const slow = await serve(
      (_, response) => void sleep(120).then(() => response.writeHead(302, { location: '/' }).end()),
    )
    expect(await failure(guardedFetch({ serverUrl: HERE, timeoutMs: 300 })(slow.url))).toBe('timeout')
    const { createSocket } = await import('node:dgram')
    const silent = createSocket('udp4').bind(0, '127.0.0.1')
    await once(silent, 'listening')
    stop.push(() => silent.close())
    const dns = () => ({ servers: [`127.0.0.1:${silent.address().port}`] })
    const fetching = guardedFetch({ serverUrl: HERE, timeoutMs: 300, dns })('https://as.test/')
    expect(await failure(fetching)).toBe('timeout')
  })
})

describe('size', () => {
  test('of a body without an end is bounded, and so is one that is announced', async () => {
    const endless = await serve((_, response) => {
      const more = (): void => {
        while (!response.destroyed && response.write('x'.repeat(65536)));
      }
      response.on('drain', more)
      more()
    })
    const announced = await serve((_, response) =>
      response.writeHead(200, { 'content-length': 300_000 }).write('x'),
    )
    for (const { url } of [endless, announced])
      await expect(guardedFetch({ serverUrl: HERE })(url)).rejects.toThrow(
        `${new URL(url).host} sent more than 262144 bytes, which is the most that is read.`,
      )
  })

  test('of exactly the bound is read', async () => {
    const { url } = await serve((_, response) => response.end('x'.repeat(1000)))
    const response = await guardedFetch({ serverUrl: HERE, maxBytes: 1000 })(url)
    expect(await response.text()).toHaveLength(1000)
    expect(await failure(guardedFetch({ serverUrl: HERE, maxBytes: 999 })(url))).toBe('too_large')
  })

  test('of headers is bounded', async () => {
    const url = await serveRaw(socket =>
      socket.write(`HTTP/1.1 200 OK\r\nx-a: ${'b'.repeat(20_000)}\r\n\r\n`),
    )
    await expect(guardedFetch({ serverUrl: HERE })(url)).rejects.toThrow(
      'sent headers of more than 16384 bytes',
    )
    const many = await serveRaw(socket => socket.write(`HTTP/1.1 200 OK\r\n${'x: y\r\n'.repeat(9000)}\r\n`))
    expect(await failure(guardedFetch({ serverUrl: HERE })(many))).toBe('too_large')
  })

  test('cannot be hidden by compression', async () => {
    const { url } = await serve((_, response) => {
      response.writeHead(200, { 'content-encoding': 'gzip' }).end(gzipSync(Buffer.alloc(50_000_000)))
    })
    await expect(guardedFetch({ serverUrl: HERE })(url)).rejects.toThrow('sent a compressed answer')
  })
})

describe('a redirect', () => {
  const chain = (steps: number): Promise<{ url: string; requests: IncomingMessage[] }> =>
    serve((request, response) => {
      const at = Number(request.url?.slice(1) ?? 0)
      if (at < steps) response.writeHead(302, { location: `/${at + 1}` }).end()
      else response.end('{}')
    })

  test('is followed three times within the origin', async () => {
    const { url } = await chain(3)
    const response = await guardedFetch({ serverUrl: HERE })(`${url}/0`)
    expect([response.status, response.url]).toEqual([200, `${url}/3`])
    const longer = await chain(4)
    await expect(guardedFetch({ serverUrl: HERE })(`${longer.url}/0`)).rejects.toThrow(
      'redirects more than 3 times',
    )
    expect(longer.requests).toHaveLength(4)
  })

  test('to another origin, or of a request with credentials or a body, is not followed', async () => {
    const other = await serve((_, response) => response.end('{}'))
    const { url } = await serve((request, response) => {
      response.writeHead(307, { location: request.url === '/away' ? other.url : '/there' }).end()
    })
    const fetch = guardedFetch({ serverUrl: HERE })
    await expect(fetch(`${url}/away`)).rejects.toThrow('redirects to another origin')
    for (const init of [
      { method: 'POST', body: 'a=b' },
      { method: 'POST' },
      { headers: { authorization: 'Bearer s3cret' } },
      { headers: { DPoP: 's3cret' } },
    ])
      await expect(fetch(url, init)).rejects.toThrow('redirects a request that carries credentials or a body')
    expect(other.requests).toEqual([])
    expect((await fetch(url, { redirect: 'manual' })).status).toBe(307)
    expect(await failure(fetch(url, { redirect: 'error' }))).toBe('redirect')
  })

  test('with a user in the URL, or to no URL, is not followed', async () => {
    const { url } = await serve((request, response) => {
      const { port } = new URL(url)
      const location = request.url === '/user' ? `http://user@127.0.0.1:${port}/` : 'http://['
      response.writeHead(302, { location }).end()
    })
    for (const path of ['/user', '/none'])
      expect(await failure(guardedFetch({ serverUrl: HERE })(url + path))).toBe('redirect')
  })
})

describe('a name', () => {
  test('is looked up once: a second answer does not lead elsewhere', async () => {
    await using dns = await startDnsServer()
    dns.addresses.set('as.test', ['127.0.0.1'])
    const { url, requests } = await serve((_, response) => {
      // From here on, the name leads to another address.
      dns.addresses.set('as.test', ['127.0.0.2'])
      response.writeHead(requests.length < 3 ? 302 : 200, { location: '/again' })
      response.end('{}')
    })
    const named = url.replace('127.0.0.1', 'as.test')
    const response = await guardedFetch({ serverUrl: HERE, dns: () => ({ servers: [dns.address] }) })(named)
    expect(response.status).toBe(200)
    expect(requests.map(({ headers }) => headers.host)).toEqual(Array(3).fill(new URL(named).host))
    // One question for each family.
    expect(dns.asked).toEqual(['as.test', 'as.test'])
  })

  test('that turns private is refused before a connection', async () => {
    await using dns = await startDnsServer()
    dns.addresses.set('server.test', ['8.8.8.8'])
    dns.addresses.set('as.test', ['127.0.0.1', '8.8.4.4'])
    const { url, requests } = await serve((_, response) => response.end('{}'))
    const fetch = guardedFetch({
      serverUrl: 'https://server.test/mcp',
      dns: () => ({ servers: [dns.address] }),
    })
    expect(await failure(fetch(url.replace('http://127.0.0.1', 'https://as.test')))).toBe('address')
    expect(await failure(fetch(url))).toBe('address')
    expect(requests).toEqual([])
  })

  test('with an address that does not answer is reached at its other one', async () => {
    await using dns = await startDnsServer()
    dns.addresses.set('as.test', ['127.0.0.1', '::1'])
    const { url } = await serve((_, response) => response.end('{}'))
    const named = url.replace('127.0.0.1', 'as.test')
    const response = await guardedFetch({ serverUrl: HERE, dns: () => ({ servers: [dns.address] }) })(named)
    expect(response.status).toBe(200)
  })
})

test('errors name the host, the cause and the fix, without path, parameters and headers', async () => {
  const url = await serveRaw(socket => socket.destroy())
  const { host } = new URL(url)
  const fetch = guardedFetch({ serverUrl: HERE })
  const error: unknown = await fetch(`${url}/s3cret?code=s3cret`, {
    headers: { authorization: 'Bearer s3cret' },
  }).catch((error: unknown) => error)
  expect((error as Error).message).toBe(
    `${host} cannot be reached (UND_ERR_SOCKET). Fix: check that it is running, and reachable from here without a proxy.`,
  )
  await expect(fetch('https://user:s3cret@127.0.0.1/')).rejects.toThrow(
    '127.0.0.1 is given with a user or password in the URL. Fix: write the URL without them.',
  )
  await expect(fetch('/token?s3cret')).rejects.toThrow(
    'What should be a URL of an authorization server is none. Fix: check its metadata.',
  )
})
