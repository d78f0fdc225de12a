import { PassThrough, Writable } from 'node:stream'
import { expect, it, onTestFinished } from 'vitest'
import { processBuffers } from '../../../src/core/buffer-limit.ts'
import { startRawServer } from '../../fixtures/servers/raw.js'
import { startGateway } from '../../helpers/gateway.ts'
import { requestText } from '../../helpers/wire-clients.ts'

const HELLO = '{"protocolVersion":"2025-11-25","capabilities":{},"clientInfo":{"name":"t","version":"1"}}'

/** Takes text as it is, like the socket of a pipe, and is not read from the first large message on. */
class Unread extends Writable {
  readonly written: number[] = []
  read: () => void = () => undefined

  constructor() {
    super({ decodeStrings: false })
  }

  override _write(chunk: Buffer | string, _: BufferEncoding, done: () => void): void {
    this.written.push(Buffer.byteLength(chunk))
    if (chunk.length < 100_000) done()
    else this.read = done
  }
}

it('what a client on stdio does not read is counted in bytes, also where its characters take several', async () => {
  const server = await startRawServer()
  onTestFinished(() => server.close())
  server.setResult(`{"content":[{"type":"text","text":"${'€'.repeat(300_000)}"}]}`)
  await using running = await startGateway({ mcpServers: { s: { url: server.url } } }, { listen: false })
  const [input, output] = [new PassThrough(), new Unread()]
  const served = running.gateway.serveStdio(input, output)
  input.write(`${requestText('1', 'initialize', HELLO)}\n`)
  input.write('{"jsonrpc":"2.0","method":"notifications/initialized"}\n')
  input.write(`${requestText('2', 'tools/call', '{"name":"s__raw_result","arguments":{}}')}\n`)
  await expect.poll(() => output.written.at(-1), { timeout: 5000 }).toBeGreaterThan(900_000)
  const bytes = output.written.at(-1)
  expect(output.writableLength).toBe(bytes)
  await expect.poll(() => processBuffers().bytes).toBe(bytes)
  output.read()
  await expect.poll(() => processBuffers().bytes).toBe(0)
  input.end()
  await served
})
