import { once } from 'node:events'
import { createServer, type RequestListener } from 'node:http'
import { Socket, type AddressInfo } from 'node:net'
import { describe, expect, it, onTestFinished } from 'vitest'
import { SILENT } from '../../../../../src/core/logger.ts'
import { descriptorShares } from '../../../../../src/descriptors.ts'
import { Sockets, SocketShare } from '../../../../../src/upstream/transport/http/sockets.ts'
import { SseTransport } from '../../../../../src/upstream/transport/sse/sse.ts'
import { StreamableHttpTransport } from '../../../../../src/upstream/transport/http/streamable-http.ts'
import type { Transport } from '../../../../../src/upstream/transport/shared/transport.ts'
import { Conversation } from '../../../../contract/transport.ts'

type Connector = Parameters<SocketShare['bounded']>[2]

interface Counted {
  readonly origin: string
  readonly most: number
  readonly open: number
}

async function serve(listener: RequestListener): Promise<Counted> {
  let open = 0
  let most = 0
  const server = createServer(listener).listen(0, '127.0.0.1')
  server.on('connection', socket => {
    most = Math.max(most, ++open)
    socket.once('close', () => open--)
  })
  await once(server, 'listening')
  onTestFinished(() => {
    server.closeAllConnections()
    server.close()
  })
  const origin = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
  return {
    origin,
    get most() {
      return most
    },
    get open() {
      return open
    },
  }
}

async function bodyOf(request: AsyncIterable<Buffer>): Promise<string> {
  const chunks: Buffer[] = []
  for await (const chunk of request) chunks.push(chunk)
  return Buffer.concat(chunks).toString()
}

const options = (server: string, url: string, sockets?: Sockets) => ({
  server,
  endpoint: { url, headers: {} },
  maxMessageBytes: 1_000_000,
  logger: SILENT,
  sockets,
})

async function begin(transport: Transport): Promise<Conversation> {
  onTestFinished(() => transport.close())
  const peer = new Conversation(transport)
  await transport.open(peer.heard)
  return peer
}

/** Answers everything it is asked at once, as a link that refuses questions does. */
function answerAll(peer: Conversation): void {
  const { heard, transport } = peer
  const onMessage = heard.onMessage.bind(heard)
  heard.onMessage = (text, stream) => {
    const { id, method } = JSON.parse(text) as { id?: unknown; method?: string }
    if (method === undefined) return onMessage(text, stream)
    transport.send({ id: undefined, method: undefined, text: `{"jsonrpc":"2.0","id":${id},"result":{}}` })
  }
}

const QUESTIONS = 5000

describe('a call with 5000 questions', () => {
  it.each(['streamable', 'sse'] as const)(
    'opens a handful of sockets, and all are answered (%s)',
    async kind => {
      let answered = 0
      const server = await serve((request, response) => {
        void bodyOf(request).then(text => {
          const stream = kind === 'sse' ? request.method === 'GET' : text.includes('tools/call')
          if (!stream) {
            if (text.includes('"result"')) answered++
            return void response.writeHead(202).end()
          }
          response.writeHead(200, { 'content-type': 'text/event-stream' })
          if (kind === 'sse') response.write('event: endpoint\ndata: /messages\n\n')
          let asked = 0
          const more = (): void => {
            while (asked < QUESTIONS) {
              const question = `{"jsonrpc":"2.0","id":${asked++},"method":"ping"}`
              if (!response.write(`data: ${question}\n\n`)) return
            }
            if (asked++ === QUESTIONS)
              response.write('data: {"jsonrpc":"2.0","id":1,"result":{"done":true}}\n\n')
          }
          response.on('drain', more)
          more()
        })
      })
      const transport =
        kind === 'sse'
          ? new SseTransport(options('s', `${server.origin}/sse`))
          : new StreamableHttpTransport(options('s', `${server.origin}/mcp`))
      onTestFinished(() => transport.close())
      const peer = new Conversation(transport)
      answerAll(peer)
      await transport.open(peer.heard)
      const id = kind === 'sse' ? 1 : peer.call('t')
      peer.heard.waiting.add(id)
      expect((await peer.heard.next()).text).toContain('"done":true')
      await expect.poll(() => answered).toBe(QUESTIONS)
      expect(server.most).toBeLessThanOrEqual(8)
    },
  )
})

describe('sockets', () => {
  it('are left for other servers when calls to one take all it may have', async () => {
    const sockets = new Sockets(16)
    const silent = await serve(request => request.resume())
    const well = await serve((request, response) => {
      void bodyOf(request).then(text => {
        const { id } = JSON.parse(text) as { id: number }
        response.writeHead(200, { 'content-type': 'application/json' })
        response.end(`{"jsonrpc":"2.0","id":${id},"result":{}}`)
      })
    })
    const busy = await begin(new StreamableHttpTransport(options('busy', `${silent.origin}/mcp`, sockets)))
    const other = await begin(new StreamableHttpTransport(options('other', `${well.origin}/mcp`, sockets)))
    for (let n = 0; n < 50; n++) busy.call('hang')
    await expect.poll(() => silent.open).toBe(sockets.calls.most)
    expect(sockets.calls.waiting).toBe(50 - sockets.calls.most)
    const id = other.call('t')
    expect((await other.heard.next()).text).toContain(`"id":${id}`)
    await busy.transport.close()
    await expect.poll(() => silent.open).toBe(0)
    expect(sockets.calls.waiting).toBe(0)
  })

  it('are left for a server however many others have taken all they may have', async () => {
    const sockets = new Sockets(16)
    const silent = await serve(request => request.resume())
    const well = await serve((request, response) => {
      void bodyOf(request).then(text => {
        const { id } = JSON.parse(text) as { id: number }
        response.writeHead(200, { 'content-type': 'application/json' })
        response.end(`{"jsonrpc":"2.0","id":${id},"result":{}}`)
      })
    })
    const linkTo = (server: string, { origin }: Counted): Promise<Conversation> =>
      begin(new StreamableHttpTransport(options(server, `${origin}/mcp`, sockets)))
    let before = 0
    const taken: number[] = []
    for (let n = 0; n < 10; n++) {
      const busy = await linkTo(`busy${n}`, silent)
      for (let call = 0; call < 50; call++) busy.call('hang')
      await expect.poll(() => sockets.calls.waiting).toBe((n + 1) * 50 - sockets.calls.open)
      await expect.poll(() => silent.open).toBe(sockets.calls.open)
      taken.push(silent.open - before)
      before = silent.open
    }
    // Each half of what the earlier ones have left, and two at least.
    expect(taken).toEqual([7, 4, 2, 2, 2, 2, 2, 2, 2, 2])
    const other = await linkTo('other', well)
    const ids = [other.call('t'), other.call('t')]
    for (const _ of ids) expect((await other.heard.next()).text).toContain('"result"')
  })

  it('are given to the server that holds least, once one is free', async () => {
    const share = new SocketShare(8)
    const open: Socket[] = []
    const connect = (server: string): void =>
      share.bounded(server, {}, (_, callback) => {
        const socket = new Socket()
        open.push(Object.assign(socket, { server }))
        callback(null, socket)
      })({ hostname: 'h', protocol: 'http:', port: '1' }, () => undefined)
    onTestFinished(() => void open.forEach(socket => socket.destroy()))
    for (let n = 0; n < 6; n++) connect('a')
    for (let n = 0; n < 4; n++) connect('b')
    const held = (): string[] =>
      open.filter(({ destroyed }) => !destroyed).map(socket => (socket as never)['server'])
    expect([held(), share.waiting]).toEqual([['a', 'a', 'a', 'a', 'b', 'b'], 4])
    open[0]?.destroy()
    await expect.poll(held).toEqual(['a', 'a', 'a', 'b', 'b', 'b'])
    for (const socket of open.splice(0)) socket.destroy()
    await expect.poll(() => share.waiting).toBe(0)
  })

  it('are not held by what fails to connect, and what waits behind it gets its own failure', () => {
    const share = new SocketShare(4)
    const told: string[] = []
    const connect = (connector: Connector): void =>
      share.bounded(
        'a',
        {},
        connector,
      )({ hostname: 'h', protocol: 'http:', port: '1' }, (...[error]) => {
        told.push(error?.message ?? 'connected')
      })
    const throws: Connector = () => {
      throw new RangeError('Port should be >= 0 and < 65536.')
    }
    connect(throws)
    expect([told.splice(0), share.open]).toEqual([['Port should be >= 0 and < 65536.'], 0])
    const open: Socket[] = []
    const connects: Connector = (_, callback) => {
      open.push(new Socket())
      callback(null, open.at(-1) as Socket)
    }
    onTestFinished(() => void open.forEach(socket => socket.destroy()))
    connect(connects)
    connect(connects)
    // Two more wait, and the first of them fails when its turn comes.
    connect(throws)
    connect(connects)
    expect([told.splice(0), share.open, share.waiting]).toEqual([['connected', 'connected'], 2, 2])
    open[0]?.emit('close')
    expect([told.toSorted(), share.open, share.waiting]).toEqual([
      ['Port should be >= 0 and < 65536.', 'connected'],
      2,
      0,
    ])
  })

  it('wait their turn, in the order of their coming', async () => {
    const sockets = new Sockets(4)
    const server = await serve((request, response) => {
      void bodyOf(request).then(text => {
        const { id } = JSON.parse(text) as { id: number }
        response.writeHead(200, { 'content-type': 'application/json', connection: 'close' })
        response.end(`{"jsonrpc":"2.0","id":${id},"result":{}}`)
      })
    })
    const peer = await begin(new StreamableHttpTransport(options('s', `${server.origin}/mcp`, sockets)))
    const ids = Array.from({ length: 30 }, () => peer.call('t'))
    const got: number[] = []
    for (const _ of ids) got.push((JSON.parse((await peer.heard.next()).text ?? '{}') as { id: number }).id)
    expect(got.sort((a, b) => a - b)).toEqual(ids)
    expect(server.most).toBeLessThanOrEqual(sockets.calls.most)
  })

  it('are sized from the limit of file descriptors', () => {
    expect(descriptorShares(1024)).toEqual({ clients: 409, servers: 409 })
    expect(descriptorShares(150)).toEqual({ clients: 43, servers: 43 })
    expect(descriptorShares(20)).toEqual({ clients: 8, servers: 8 })
    expect(descriptorShares(Infinity)).toEqual({ clients: 16_384, servers: 16_384 })
  })
})
