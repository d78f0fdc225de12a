import { once } from 'node:events'
import { Agent, createServer, request } from 'node:http'
import { createServer as createTlsServer } from 'node:https'
import { connect, type AddressInfo, type Socket } from 'node:net'
import { connect as connectTls, type TLSSocket } from 'node:tls'
import { expect, onTestFinished, test } from 'vitest'
import { SILENT } from '../../../../src/core/logger.ts'
import type { HttpError } from '../../../../src/core/http-error.ts'
import { ClientConnections } from '../../../../src/front/http/connections.ts'
import { ANONYMOUS, clientPrincipal, type Principal } from '../../../../src/core/principal.ts'
import { openServer } from '../../../../src/front/http/listener.ts'
import { makeAuthority } from '../../../helpers/certificates.ts'
import { makeScratch } from '../../../helpers/scratch.ts'

const MOST = 5

const principalOf = (name: string | undefined): Principal =>
  name === undefined ? ANONYMOUS : clientPrincipal(name)

/** A server that takes the user agent for the principal. */
async function front(most = MOST): Promise<number> {
  const server = createServer((asked, response) => {
    try {
      connections.admit(asked, principalOf(asked.headers['user-agent']))
    } catch (error) {
      const { status, headers } = error as HttpError
      return void response.writeHead(status, headers).end('refused')
    }
    if (asked.url === '/') response.end('answer')
  })
  const connections = new ClientConnections(server, most, SILENT)
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  onTestFinished(() => void server.close().closeAllConnections())
  return (server.address() as AddressInfo).port
}

async function socketTo(port: number, text?: string): Promise<Socket> {
  const socket = connect(port, '127.0.0.1')
  socket.on('error', () => {})
  onTestFinished(() => void socket.destroy())
  await once(socket, 'connect')
  if (text !== undefined) socket.write(text)
  return socket
}

async function answerOf(port: number, client?: string): Promise<string> {
  const agent = new Agent()
  onTestFinished(() => agent.destroy())
  const headers = client === undefined ? {} : { 'user-agent': client }
  const asked = request({ port, host: '127.0.0.1', agent, headers }).end()
  const [response] = (await once(asked, 'response')) as [AsyncIterable<Buffer>]
  let text = ''
  for await (const part of response) text += String(part)
  return text
}

test('one party fills all connections with silent sockets, and others are answered', async () => {
  const port = await front()
  const sockets: Socket[] = []
  const closed: number[] = []
  for (let n = 0; n < 3 * MOST; n++) {
    const socket = await socketTo(port)
    socket.once('close', () => closed.push(n)).resume()
    sockets.push(socket)
    await new Promise(resolve => setTimeout(resolve, 5))
  }
  for (let again = 0; again < 3; again++) expect(await answerOf(port)).toBe('answer')
  // The oldest went first.
  expect(closed.slice(0, 5)).toEqual([0, 1, 2, 3, 4])
})

test('one party without a name fills all connections with silent sockets, and is still answered', async () => {
  const port = await front(32)
  for (let n = 0; n < 40; n++) await socketTo(port)
  await new Promise(resolve => setTimeout(resolve, 50))
  for (let again = 0; again < 3; again++) expect(await answerOf(port)).toBe('answer')
})

test('one party fills all connections with ones that wait for another request, and others are answered', async () => {
  const port = await front()
  for (let n = 0; n < MOST; n++) {
    const socket = await socketTo(port, 'GET / HTTP/1.1\r\nHost: x\r\n\r\n')
    await once(socket, 'data')
    socket.resume()
  }
  expect(await answerOf(port)).toBe('answer')
})

test('a connection over which something is asked gives way to no other', async () => {
  const port = await front()
  const held = await socketTo(port, 'GET /held HTTP/1.1\r\nHost: x\r\n\r\n')
  let isClosed = false
  held.once('close', () => (isClosed = true)).resume()
  await new Promise(resolve => setTimeout(resolve, 50))
  for (let n = 0; n < 3 * MOST; n++) {
    await socketTo(port)
    await new Promise(resolve => setTimeout(resolve, 5))
  }
  expect(await answerOf(port)).toBe('answer')
  expect(isClosed).toBe(false)
})

/** A request of a client that keeps its connection, and whether this was closed. */
async function kept(port: number, client: string, kind: 'hangs' | 'unfinished' | 'idle'): Promise<Socket> {
  const body = kind === 'unfinished' ? 'Content-Length: 9\r\n\r\n1' : '\r\n'
  const path = kind === 'idle' ? '/' : '/held'
  const socket = await socketTo(port, `GET ${path} HTTP/1.1\r\nHost: x\r\nUser-Agent: ${client}\r\n${body}`)
  socket.resume()
  await new Promise(resolve => setTimeout(resolve, 5))
  return socket
}

const areOpen = (sockets: readonly Socket[]): number => sockets.filter(({ closed }) => !closed).length

test('one client fills all connections with unfinished requests, and those of others stay', async () => {
  const port = await front(32)
  const calm = [await kept(port, 'calm', 'hangs'), await kept(port, 'calm', 'unfinished')]
  const idle = await kept(port, 'idle', 'idle')
  const flood: Socket[] = []
  for (let n = 0; n < 100; n++) {
    flood.push(await kept(port, 'flood', 'unfinished'))
    if (n % 20 === 19) expect(await answerOf(port, 'calm')).toBe('answer')
  }
  expect(areOpen([...calm, idle])).toBe(3)
  // The oldest went first.
  expect(areOpen(flood.slice(0, 70))).toBe(0)
  expect(areOpen(flood.slice(-20))).toBe(20)
})

test('one client fills all connections with calls that hang: its further ones are refused, and others get as much as half of them', async () => {
  const port = await front(32)
  const flood: Socket[] = []
  for (let n = 0; n < 40; n++) flood.push(await kept(port, 'flood', 'hangs'))
  expect(areOpen(flood)).toBe(30)
  expect(await answerOf(port, 'flood')).toBe('refused')
  expect(areOpen(flood)).toBe(30)
  const calm: Socket[] = []
  for (let n = 0; n < 20; n++) calm.push(await kept(port, 'calm', 'hangs'))
  expect(areOpen(calm)).toBeGreaterThanOrEqual(10)
  expect(areOpen(flood)).toBeGreaterThanOrEqual(15)
  for (let n = 0; n < 5; n++) expect(await answerOf(port, `new ${n}`)).toBe('answer')
})

test('several clients hold all connections with calls that hang, and another one is answered', async () => {
  const port = await front(32)
  for (let n = 0; n < 40; n++) await kept(port, `flood ${n % 4}`, 'hangs')
  for (let n = 0; n < 5; n++) expect(await answerOf(port, 'calm')).toBe('answer')
})

test('the same over TLS: unfinished requests of one client give way to calls of another', async () => {
  await using folder = makeScratch()
  const { key, cert } = makeAuthority(folder, 'authority').sign('front')
  const server = createTlsServer({ key, cert }, (asked, response) => {
    connections.admit(asked, principalOf(asked.headers['user-agent']))
    if (asked.url === '/') response.end('answer')
  })
  const connections = new ClientConnections(server, 16, SILENT)
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  onTestFinished(() => void server.close().closeAllConnections())
  const { port } = server.address() as AddressInfo
  const open = (client: string, text: string): TLSSocket => {
    const socket = connectTls({ port, host: '127.0.0.1', rejectUnauthorized: false })
    socket.on('error', () => {}).resume()
    onTestFinished(() => void socket.destroy())
    socket.write(`GET ${text.replace('\r\n', `\r\nHost: x\r\nUser-Agent: ${client}\r\n`)}`)
    return socket
  }
  const calm = open('calm', '/held HTTP/1.1\r\n\r\n')
  await once(calm, 'secureConnect')
  for (let n = 0; n < 40; n++) {
    const socket = open('flood', '/held HTTP/1.1\r\nContent-Length: 9\r\n\r\n1')
    await once(socket, 'secureConnect')
  }
  const [answer] = await once(open('calm', '/ HTTP/1.1\r\n\r\n'), 'data')
  expect(String(answer)).toContain('answer')
  expect(calm.closed).toBe(false)
})

test('a connection that sends no request is closed after ten seconds', async () => {
  const { server } = await openServer({ host: '127.0.0.1', port: 0 } as never, () => {})
  onTestFinished(() => void server.close())
  expect(server.headersTimeout).toBe(10_000)
})
