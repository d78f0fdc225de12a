import { once } from 'node:events'
import { createServer, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import { describe, expect, it, onTestFinished } from 'vitest'
import { processBuffers } from '../../../../../src/core/buffer-limit.ts'
import { SILENT } from '../../../../../src/core/logger.ts'
import { SseTransport } from '../../../../../src/upstream/transport/sse/sse.ts'
import { StreamableHttpTransport } from '../../../../../src/upstream/transport/http/streamable-http.ts'
import type { Receiver, Transport } from '../../../../../src/upstream/transport/shared/transport.ts'

/** Streams that are paused for two reasons: no room for what they bring, and a server that does not take what it is sent. */

const MIB = 1024 * 1024
const ANSWER = `{"jsonrpc":"2.0","id":1,"result":{"text":"${'x'.repeat(3 * MIB)}"}}`
const NOTE = '{"jsonrpc":"2.0","method":"notifications/x"}'

/** A server that takes messages without an id only when told to. */
class Server {
  url = ''
  stream: ServerResponse | undefined
  readonly #untaken: ServerResponse[] = []
  #takes = false

  static async start(): Promise<Server> {
    const server = new Server()
    const listener = createServer((request, response) => {
      let body = ''
      request.on('data', (chunk: Buffer) => (body += chunk.toString()))
      request.on('end', () => server.#take(request.method, body, response))
    }).listen(0, '127.0.0.1')
    await once(listener, 'listening')
    onTestFinished(() => {
      listener.closeAllConnections()
      listener.close()
    })
    server.url = `http://127.0.0.1:${(listener.address() as AddressInfo).port}/mcp`
    return server
  }

  #take(method: string | undefined, body: string, response: ServerResponse): void {
    if (method === 'DELETE') response.writeHead(200).end()
    else if (method === 'GET' || body.includes('"id"')) {
      if (method === 'POST' && this.stream) return void response.writeHead(202).end()
      this.stream = response.writeHead(200, { 'content-type': 'text/event-stream' })
      response.write('event: endpoint\ndata: /mcp\n\n')
    } else if (this.#takes) response.writeHead(202).end()
    else this.#untaken.push(response)
  }

  takeAll(): void {
    this.#takes = true
    for (const response of this.#untaken) response.writeHead(202).end()
  }
}

const options = (url: string) => ({
  server: 'peer',
  endpoint: { url, headers: {} },
  maxMessageBytes: 32 * MIB,
  logger: SILENT,
})

const TRANSPORTS: Readonly<Record<string, (url: string) => Transport>> = {
  'Streamable HTTP': url => new StreamableHttpTransport(options(url)),
  'HTTP+SSE': url => new SseTransport(options(url)),
}

async function until(condition: () => boolean): Promise<void> {
  for (let round = 0; round < 200 && !condition(); round++) await sleep(20)
  expect(condition()).toBe(true)
}

describe.each(Object.entries(TRANSPORTS))('a stream over %s', (_kind, create) => {
  async function begin() {
    const server = await Server.start()
    const transport = create(server.url)
    onTestFinished(() => transport.close())
    let answer: string | undefined
    await transport.open({
      onMessage: (text: string) => (answer = text),
      waits: () => true,
      ownerOf: () => 'client',
      onFailure: () => {},
      onClose: () => {},
    } as unknown as Receiver)
    transport.send({ text: '{"jsonrpc":"2.0","id":1,"method":"tools/call"}', id: 1, method: 'tools/call' })
    await until(() => server.stream !== undefined)
    await sleep(50)
    // It is large already when both reasons come up, so that the next chunk pauses it twice.
    server.stream?.write(`event: message\ndata: ${ANSWER.slice(0, MIB)}`)
    await until(() => processBuffers().bytes >= MIB)
    for (let left = 80; left > 0; left--) transport.send({ text: NOTE, id: undefined, method: undefined })
    processBuffers().waits('client', 60 * MIB)
    let released = false
    const release = (): void => {
      if (!released) processBuffers().waits('client', -60 * MIB)
      released = true
    }
    onTestFinished(release)
    server.stream?.write(`${ANSWER.slice(MIB)}\n\n`)
    await sleep(300)
    expect(answer).toBeUndefined()
    return { server, transport, release, answer: () => answer }
  }

  it('is read once there is room and the server has taken what it was sent', async () => {
    const { server, release, answer } = await begin()
    release()
    await sleep(300)
    expect(answer()).toBeUndefined()
    server.takeAll()
    await until(() => answer() === ANSWER)
  })

  it('is read once the server has taken what it was sent and there is room', async () => {
    const { server, transport, release, answer } = await begin()
    const before = transport.unreadMs(1, 0)
    server.takeAll()
    await sleep(300)
    expect(answer()).toBeUndefined()
    expect(transport.unreadMs(1, 0)).toBeGreaterThan(before)
    release()
    await until(() => answer() === ANSWER)
    expect(processBuffers().bytes).toBe(0)
  })
})
