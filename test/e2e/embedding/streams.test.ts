import { once } from 'node:events'
import { PassThrough, Writable } from 'node:stream'
import { expect, test } from 'vitest'
import { createGateway, type Gateway } from '../../../src/index.ts'
import { requestText } from '../../helpers/wire-clients.ts'

/** Streams of a program over which a client is served, in whatever state they are. */

const GREETING = `${requestText(
  '1',
  'initialize',
  '{"protocolVersion":"2025-11-25","capabilities":{},"clientInfo":{"name":"test","version":"1"}}',
)}\n`
const PING = `${requestText('2', 'ping', '{}')}\n`

const pause = (ms: number): Promise<void> => new Promise(resolve => setTimeout(resolve, ms))

async function withGateway(use: (gateway: Gateway) => Promise<void>): Promise<void> {
  const gateway = await createGateway({ mcpServers: {} })
  try {
    await use(gateway)
  } finally {
    await gateway.close({ timeoutMs: 0 })
  }
}

/** What is written to a stream, as text. */
function textOf(stream: PassThrough): () => string {
  let text = ''
  stream.on('data', (chunk: Buffer) => (text += chunk.toString()))
  return () => text
}

async function ended(): Promise<PassThrough> {
  const stream = new PassThrough()
  stream.resume().end()
  await once(stream, 'close')
  return stream
}

const destroyed = (): PassThrough => new PassThrough().destroy()

test.each([
  ['an input that has ended', ended, () => new PassThrough()],
  ['an input that is destroyed', destroyed, () => new PassThrough()],
  ['an output that has ended', () => new PassThrough(), () => new PassThrough().end()],
  ['an output that is destroyed', () => new PassThrough(), destroyed],
])('a client with %s has left', async (_, input, output) => {
  await withGateway(async gateway => {
    await gateway.connectStdio(await input(), output())
    expect(gateway.status().calls).toBe(0)
  })
})

test.each(['input', 'output'] as const)('a client has left when its %s is destroyed', async which => {
  await withGateway(async gateway => {
    const streams = { input: new PassThrough(), output: new PassThrough() }
    const text = textOf(streams.output)
    const served = gateway.connectStdio(streams.input, streams.output)
    streams.input.write(GREETING)
    await expect.poll(text).toContain('"id":1')
    streams[which].destroy()
    await served
  })
})

test.each(['utf8', 'latin1', 'hex'] as const)('an input with the encoding %s is read', async encoding => {
  await withGateway(async gateway => {
    const [input, output] = [new PassThrough().setEncoding(encoding), new PassThrough()]
    const text = textOf(output)
    const served = gateway.connectStdio(input, output)
    input.write(GREETING.slice(0, 20))
    input.end(GREETING.slice(20))
    await served
    expect(text()).toContain('"protocolVersion":"2025-11-25"')
  })
})

test('an input of objects ends its client, and nothing else', async () => {
  await withGateway(async gateway => {
    const input = new PassThrough({ objectMode: true })
    input.write({ jsonrpc: '2.0' })
    await gateway.connectStdio(input, new PassThrough())
    expect(gateway.status().ready).toBe(true)
  })
})

test('a client that a reload dismisses is served no more, and the next one over its streams is', async () => {
  const file = (clients: object) => ({ mcpServers: {}, clients: { other: {}, ...clients } })
  const gateway = await createGateway(file({ ci: {} }))
  const [input, output] = [new PassThrough(), new PassThrough()]
  const text = textOf(output)
  const served = gateway.connectStdio(input, output, { client: 'ci' })
  input.write(GREETING)
  await expect.poll(text).toContain('"id":1')
  await gateway.reload(file({}))
  await served
  for (const event of ['data', 'end', 'close']) expect(input.listenerCount(event)).toBe(0)

  const again = gateway.connectStdio(input, output, { client: 'other' })
  input.resume().write(GREETING.replace('"id":1', '"id":11'))
  await expect.poll(text).toContain('"id":11')
  input.end(PING)
  await again
  expect(text().match(/"id":2,/g)).toHaveLength(1)
  await gateway.close({ timeoutMs: 0 })
})

test('an output that fails ends its client', async () => {
  await withGateway(async gateway => {
    const output = new Writable({ write: (_chunk, _encoding, done) => done(new Error('full')) })
    const input = new PassThrough()
    const served = gateway.connectStdio(input, output)
    input.write(GREETING)
    await served
    await pause(10)
  })
})
