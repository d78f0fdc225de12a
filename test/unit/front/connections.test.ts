import { once } from 'node:events'
import { Agent, createServer, request } from 'node:http'
import { connect, type AddressInfo, type Socket } from 'node:net'
import { expect, onTestFinished, test } from 'vitest'
import { SILENT } from '../../../src/core/logger.ts'
import { boundConnections, openServer } from '../../../src/front/server.ts'

const MOST = 5

async function front(): Promise<number> {
  const server = createServer((asked, response) => {
    if (asked.url !== '/held') response.end('answer')
  })
  boundConnections(server, MOST, SILENT)
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

async function answerOf(port: number): Promise<string> {
  const agent = new Agent()
  onTestFinished(() => agent.destroy())
  const asked = request({ port, host: '127.0.0.1', agent }).end()
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

test('a connection that sends no request is closed after ten seconds', async () => {
  const { server } = await openServer({ host: '127.0.0.1', port: 0 } as never, () => {})
  onTestFinished(() => void server.close())
  expect(server.headersTimeout).toBe(10_000)
})
