import { once } from 'node:events'
import { connect, type Socket } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { expect, test } from 'vitest'
import { makeScratch } from '../helpers/scratch.ts'
import { serve } from '../helpers/served.ts'
import { inFrontOf, serveMeasured, type MeasuredGateway } from '../helpers/measured-gateway.ts'
import { LegacySession, ModernHttp, requestText, withEnvelope } from '../helpers/wire-clients.ts'

/** What is kept for clients that do not read what they asked for. */

const IGNORE_CANCELLATION = fileURLToPath(
  new URL('../fixtures/servers/ignore-cancellation.js', import.meta.url),
)
const MIB = 1024 * 1024

const callText = (tool: string, values: object, meta = ''): string =>
  `{"name":"s__${tool}","arguments":${JSON.stringify(values)}${meta}}`

/** The configuration of a gateway in front of one server. */
const STDIO = { command: process.execPath, args: [IGNORE_CANCELLATION, 'stdio'] }

/** Sends a request and reads nothing. */
async function sendUnread(
  origin: string,
  headers: Readonly<Record<string, unknown>>,
  body: string,
): Promise<Socket> {
  const { hostname, port } = new URL(origin)
  const socket = connect(Number(port), hostname)
  await once(socket, 'connect')
  socket.on('error', () => {})
  const lines = Object.entries({
    host: `${hostname}:${port}`,
    ...headers,
    'content-length': Buffer.byteLength(body),
  })
  socket.write(
    `POST /mcp HTTP/1.1\r\n${lines.map(([name, value]) => `${name}: ${String(value)}\r\n`).join('')}\r\n${body}`,
  )
  socket.pause()
  return socket
}

/** Lets the server log so many records while no call is in flight, so that they are for all sessions. */
async function logs(client: LegacySession, count: number, bytes: number): Promise<void> {
  expect(await client.request('2', 'tools/call', callText('log_later', { count, bytes }))).toContain('done')
  await untilSent(client, count)
}

async function untilSent(client: LegacySession, count: number): Promise<void> {
  for (let sent = 0; sent < count; await sleep(200)) {
    const text = await client.request('3', 'tools/call', callText('sent', {}))
    sent = Number(/"text":"(\d+)"/.exec(text)?.[1])
  }
}

test(
  '30 clients that do not read a result of 10 MiB hold less than 256 MiB',
  { timeout: 120_000 },
  async () => {
    await using scratch = makeScratch()
    await using upstream = await serve([IGNORE_CANCELLATION, 'modern'], { ready: /listening (\S+)/ })
    await using gateway = await serveMeasured(inFrontOf(scratch, { url: upstream.origin }))
    await using client = new ModernHttp(gateway.origin)
    expect(await client.request('1', 'tools/call', callText('ok', {}))).toContain('"ok"')
    const before = gateway.rss
    const headers = {
      'content-type': 'application/json',
      accept: 'application/json, text/event-stream',
      'mcp-protocol-version': '2026-07-28',
      'mcp-method': 'tools/call',
      'mcp-name': 's__large',
    }
    const sockets: Socket[] = []
    for (let at = 0; at < 30; at++) {
      const body = requestText('1', 'tools/call', withEnvelope(callText('large', { bytes: 10 * MIB })))
      sockets.push(await sendUnread(gateway.origin, headers, body))
      // Answered one after the other: what is measured is what is kept.
      expect(await client.request('2', 'tools/call', callText('ok', {}))).toContain('"ok"')
      await sleep(50)
    }
    for (let round = 0; round < 40 && !gateway.said.includes('does not read'); round++) await sleep(250)
    expect(gateway.said).toContain('A client that does not read was disconnected.')
    await sleep(1500)
    expect(await gateway.held()).toBeLessThan(200)
    expect(gateway.rss - before).toBeLessThan(256)
    for (const socket of sockets) socket.destroy()
    await sleep(1000)
    expect(await gateway.held()).toBeLessThan(64)
  },
)

test(
  '80 connections with 20 pipelined calls each that do not read answers of 250 KB hold little, and give it back when they leave',
  { timeout: 120_000 },
  async () => {
    await using scratch = makeScratch()
    await using gateway = await serveMeasured(inFrontOf(scratch, STDIO))
    await using client = new ModernHttp(gateway.origin)
    expect(await client.request('1', 'tools/call', callText('ok', {}))).toContain('"ok"')
    const before = gateway.rss
    const { hostname, port, host } = new URL(gateway.origin)
    const body = requestText('1', 'tools/call', withEnvelope(callText('large', { bytes: 250_000 })))
    const request =
      `POST /mcp HTTP/1.1\r\nhost: ${host}\r\ncontent-type: application/json\r\n` +
      'accept: application/json, text/event-stream\r\nmcp-protocol-version: 2026-07-28\r\n' +
      `mcp-method: tools/call\r\nmcp-name: s__large\r\ncontent-length: ${Buffer.byteLength(body)}\r\n\r\n${body}`
    let peak = 0
    const sockets: Socket[] = []
    for (let at = 0; at < 80; at++) {
      const socket = connect(Number(port), hostname)
      socket.on('error', () => {}).pause()
      sockets.push(socket)
      await once(socket, 'connect')
      socket.write(request.repeat(20))
    }
    for (let round = 0; round < 60; round++) {
      await sleep(100)
      peak = Math.max(peak, gateway.rss - before)
    }
    expect(peak).toBeLessThan(300)
    for (const socket of sockets) socket.destroy()
    for (let round = 0; round < 50 && gateway.rss - before > 100; round++) await sleep(100)
    expect(gateway.rss - before).toBeLessThan(100)
  },
)

test(
  'of 60,000 progress notifications to a client that does not read, the newest is kept, and comes when it reads',
  { timeout: 120_000 },
  async () => {
    await using scratch = makeScratch()
    await using gateway = await serveMeasured(inFrontOf(scratch, STDIO))
    await using client = await LegacySession.open(gateway.origin)
    expect(await client.request('1', 'tools/call', callText('ok', {}))).toContain('"ok"')
    const before = await gateway.held()
    const count = 60_000
    const params = callText('progress', { count, bytes: 500 }, ',"_meta":{"progressToken":"p"}')
    const socket = await sendUnread(
      gateway.origin,
      client.headers as Record<string, string>,
      requestText('2', 'tools/call', params),
    )
    await untilSent(client, count)
    expect((await gateway.held()) - before).toBeLessThan(16)
    let text = ''
    socket
      .setEncoding('utf8')
      .on('data', (chunk: string) => (text += chunk))
      .resume()
    for (let round = 0; round < 100 && !text.includes('"done"'); round++) await sleep(100)
    const progress = [...text.matchAll(/"progress":(\d+)/g)].map(([, number]) => Number(number))
    expect(progress.at(-1)).toBe(count)
    expect(progress.length).toBeLessThan(count)
    expect([...progress].sort((one, other) => one - other)).toEqual(progress)
    expect(text.indexOf('"done"')).toBeGreaterThan(text.lastIndexOf('"progress"'))
    socket.destroy()
  },
)

test(
  'log records of 1 MB for 20 sessions that do not listen are cut, and hold little',
  { timeout: 120_000 },
  async () => {
    await using scratch = makeScratch()
    await using gateway = await serveMeasured(inFrontOf(scratch, STDIO))
    await using client = await LegacySession.open(gateway.origin)
    expect(await client.request('1', 'tools/call', callText('ok', {}))).toContain('"ok"')
    const sessions = await Promise.all(Array.from({ length: 20 }, () => LegacySession.open(gateway.origin)))
    const before = await gateway.held()
    await logs(client, 100, MIB)
    expect((await gateway.held()) - before).toBeLessThan(40)
    const stream = await (sessions[0] as LegacySession).listen()
    const event = await stream.events.take()
    expect(event.data).toContain('[cut by the gateway: the record has 10')
    for (const session of sessions) await session[Symbol.asyncDispose]()
  },
)

test('20 log records of 60 KB for 50 sessions that do not listen are held once for all of them', async () => {
  await using scratch = makeScratch()
  await using gateway = await serveMeasured(inFrontOf(scratch, STDIO))
  await using client = await LegacySession.open(gateway.origin)
  expect(await client.request('1', 'tools/call', callText('ok', {}))).toContain('"ok"')
  const sessions = await Promise.all(Array.from({ length: 50 }, () => LegacySession.open(gateway.origin)))
  const before = await gateway.held()
  await logs(client, 20, 60_000)
  expect((await gateway.held()) - before).toBeLessThan(10)
  const streams = await Promise.all([sessions[0], sessions[49]].map(session => session?.listen()))
  for (const stream of streams) expect((await stream?.events.take())?.data).toMatch(/"data":"\d+ x{60000}"/)
  for (const session of sessions) await session[Symbol.asyncDispose]()
})

/** A gateway whose client may send batches, and how it sends one without reading the answer. */
interface Batching {
  readonly gateway: MeasuredGateway
  readonly client: LegacySession
  readonly post: (body: string) => Promise<Socket>
}

function inBatches(run: (batching: Batching) => Promise<void>): () => Promise<void> {
  return async () => {
    await using scratch = makeScratch()
    await using upstream = await serve([IGNORE_CANCELLATION, 'legacy'], { ready: /listening (\S+)/ })
    await using gateway = await serveMeasured(inFrontOf(scratch, { url: upstream.origin }))
    await using client = await LegacySession.open(gateway.origin, { version: '2025-03-26' })
    expect(await client.request('1', 'tools/call', callText('ok', {}))).toContain('"ok"')
    const headers = {
      'content-type': 'application/json',
      accept: 'application/json',
      'mcp-session-id': client.id,
    }
    await run({ gateway, client, post: body => sendUnread(gateway.origin, headers, body) })
  }
}

test(
  'batches with 600 MB of answers are read whole by a client that begins late, and hold less than 256 MiB where they are not read',
  { timeout: 300_000 },
  inBatches(async ({ gateway, client, post }) => {
    // The calls of a batch whose client has left are in flight for a while; the next one has other ids.
    const batch = (firstId: number): string => {
      const calls = Array.from({ length: 30 }, (_, at) =>
        requestText(String(firstId + at), 'tools/call', callText('large', { bytes: 20_000_000 })),
      )
      return `[${calls.join(',')}]`
    }
    const never = await post(batch(100))
    let most = 0
    // Beyond the time after which a message need not wait for what its client has not read.
    for (
      const end = performance.now() + 14_000;
      performance.now() < end && !never.destroyed;
      await sleep(250)
    )
      most = Math.max(most, await gateway.held())
    expect(most).toBeLessThan(256)
    never.destroy()
    const sent = await post(batch(200))
    // Well below that time, also where the machine stands still meanwhile.
    await sleep(3000)
    let read = 0
    let end = ''
    sent.on('data', (chunk: Buffer) => {
      read += chunk.length
      end = (end + chunk.toString('latin1', Math.max(0, chunk.length - 20))).slice(-20)
    })
    sent.resume()
    for (let round = 0; round < 2000 && !end.endsWith('0\r\n\r\n'); round++) await sleep(100)
    expect(read).toBeGreaterThan(600_000_000)
    sent.destroy()
    expect(await client.request('2', 'tools/call', callText('ok', {}))).toContain('"ok"')
  }),
)

test(
  'batches of 4 MB whose clients leave hold the room of their bodies until their calls are over',
  inBatches(async ({ gateway, post }) => {
    const before = await gateway.held()
    for (let id = 10; id < 60; id++) {
      const body = `[${requestText(String(id), 'tools/call', callText('hold', { filler: 'x'.repeat(3_900_000) }))}]`
      const socket = await post(body)
      await sleep(40)
      socket.destroy()
    }
    // 50 of them are 195 MB; a client has half of the room.
    expect((await gateway.held()) - before).toBeLessThan(150)
  }),
)
