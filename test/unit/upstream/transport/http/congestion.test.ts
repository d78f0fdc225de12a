import { once } from 'node:events'
import { createServer, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { expect, it, onTestFinished, vi } from 'vitest'
import { SILENT } from '../../../../../src/core/logger.ts'
import { StreamableHttpTransport } from '../../../../../src/upstream/transport/http/streamable-http.ts'
import type { Receiver } from '../../../../../src/upstream/transport/shared/transport.ts'

/** Streams of a server that takes messages slowly. They are paused from this many messages on. */
const HIGH = 64
/** More streams than messages that the server takes before all may be read again. */
const CALLS = 60

const note = (text: string): string =>
  `data: ${JSON.stringify({ jsonrpc: '2.0', method: `notifications/${text}` })}\n\n`

/** A server that takes messages without an id one by one, when told to. */
async function startServer() {
  const untaken: ServerResponse[] = []
  const streams: ServerResponse[] = []
  const listener = createServer((request, response) => {
    let body = ''
    request.on('data', (chunk: Buffer) => (body += chunk.toString()))
    request.on('end', () => {
      if (request.method === 'DELETE') return void response.writeHead(200).end()
      if (request.method !== 'GET' && !body.includes('"id"')) return void untaken.push(response)
      streams.push(response.writeHead(200, { 'content-type': 'text/event-stream' }))
      response.flushHeaders()
    })
  }).listen(0, '127.0.0.1')
  await once(listener, 'listening')
  onTestFinished(() => {
    listener.closeAllConnections()
    listener.close()
  })
  const takeOne = async (): Promise<void> => {
    await vi.waitFor(() => expect(untaken.length).toBeGreaterThan(0), { timeout: 10_000, interval: 2 })
    untaken.shift()?.writeHead(202).end()
  }
  return { url: `http://127.0.0.1:${(listener.address() as AddressInfo).port}/mcp`, streams, takeOne }
}

async function start() {
  const server = await startServer()
  const { url, streams } = server
  const transport = new StreamableHttpTransport({
    server: 'peer',
    endpoint: { url, headers: {} },
    maxMessageBytes: 100_000,
    logger: SILENT,
  })
  onTestFinished(() => transport.close())
  const heard: string[] = []
  await transport.open({
    waits: () => true,
    ownerOf: () => '',
    onMessage: (text: string) => void heard.push(text),
    onFailure: () => undefined,
    onGap: () => undefined,
  } as unknown as Receiver)
  transport.use('2025-11-25')
  const times = (text: string): number => heard.filter(each => each.includes(`notifications/${text}"`)).length
  const hears = async (text: string, count: number): Promise<void> =>
    await vi.waitFor(() => expect(times(text)).toBe(count), { timeout: 10_000, interval: 2 })
  const sendOne = (): void =>
    transport.send({ id: undefined, method: undefined, text: '{"jsonrpc":"2.0","result":{}}' })
  /** The server reads its streams, and takes nothing of as many messages as pause them. */
  const congest = async (): Promise<void> => {
    for (let n = 0; n < HIGH; n++) sendOne()
    for (const stream of streams) stream.write(note('first'))
    await hears('first', streams.length)
    for (const stream of streams) stream.write(note('second'))
  }
  return { ...server, transport, times, hears, sendOne, congest }
}

it('a paused stream is read again although other streams keep the server behind with messages', async () => {
  const { transport, streams, times, takeOne, sendOne, congest } = await start()
  transport.listen()
  await vi.waitFor(() => expect(streams.length).toBe(1))
  await congest()
  expect(times('second')).toBe(0)
  // Fewer wait than pause a stream, and more than let all be read: the server is never up to date.
  for (let n = 0; n < HIGH / 4; n++) await takeOne()
  for (let n = 0; n < 100 && times('second') === 0; n++) {
    sendOne()
    await takeOne()
  }
  expect(times('second')).toBe(1)
}, 30_000)

it('streams are paused while too many messages wait, and all are read once the server has caught up', async () => {
  const { transport, streams, times, hears, takeOne, congest } = await start()
  for (let id = 1; id <= CALLS; id++)
    transport.send({ id, method: 'tools/call', text: JSON.stringify({ jsonrpc: '2.0', id, method: 'x' }) })
  await vi.waitFor(() => expect(streams.length).toBe(CALLS), { timeout: 10_000 })
  await congest()
  await new Promise(resolve => setTimeout(resolve, 200))
  expect(times('second')).toBe(0)
  for (let n = 0; n < HIGH; n++) await takeOne()
  await hears('second', CALLS)
}, 30_000)
