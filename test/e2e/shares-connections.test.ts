import { once } from 'node:events'
import { writeFileSync } from 'node:fs'
import { connect } from 'node:net'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { describe, expect, onTestFinished, test } from 'vitest'
import { bearer, keyOf, withKeys } from '../helpers/callers.ts'
import { makeScratch } from '../helpers/scratch.ts'
import { BIN, serve, type Served } from '../helpers/served.ts'
import { JSON_HEADERS, ModernHttp, requestText, withEnvelope } from '../helpers/wire-clients.ts'

/** The connections of clients, of which there are 43 with 150 file descriptors. */

const RAW = fileURLToPath(new URL('../fixtures/servers/raw.js', import.meta.url))

async function gatewayIn(folder: string): Promise<Served> {
  const file = join(folder, 'servers.json')
  const config = {
    gateway: { state: 'memory', http: { port: 0 }, shutdownTimeout: '100ms' },
    clients: withKeys({ flood: {}, calm: {} }),
    mcpServers: { one: { command: process.execPath, args: [RAW, '--name', 'one'] } },
  }
  writeFileSync(file, JSON.stringify(config))
  return await serve([BIN, 'serve', '--config', file], { openFiles: 150 })
}

/** A call of the client "flood" to a tool, over a connection of its own. Of the body, all but so many bytes are sent. */
async function flood(origin: string, tool: string, missing: number): Promise<void> {
  const body = requestText('1', 'tools/call', withEnvelope(`{"name":"one__${tool}","arguments":{}}`))
  const headers = {
    ...JSON_HEADERS,
    ...bearer(keyOf('flood')),
    host: '127.0.0.1',
    'mcp-protocol-version': '2026-07-28',
    'mcp-method': 'tools/call',
    'mcp-name': `one__${tool}`,
    'content-length': body.length,
  }
  const head = Object.entries(headers).map(([name, value]) => `${name}: ${String(value)}\r\n`)
  const socket = connect(Number(new URL(origin).port), '127.0.0.1')
  socket.on('error', () => undefined).resume()
  onTestFinished(() => void socket.destroy())
  await once(socket, 'connect')
  socket.write(`POST /mcp HTTP/1.1\r\n${head.join('')}\r\n${body.slice(0, body.length - missing)}`)
}

describe.skipIf(process.platform !== 'linux')('a gateway with few connections', () => {
  test.each([
    ['requests that do not come in full', 'echo_raw', 10],
    ['calls that hang', 'hang', 0],
  ])('one client takes all with %s, and the calls of another one are answered', async (_, tool, missing) => {
    await using folder = makeScratch()
    await using gateway = await gatewayIn(folder.path)
    await using calm = new ModernHttp(gateway.origin, '/mcp', { headers: bearer(keyOf('calm')) })
    const call = (): Promise<string> =>
      calm.request('1', 'tools/call', '{"name":"one__echo_raw","arguments":{}}')
    expect(await call()).toContain('"result"')
    for (let n = 0; n < 60; n++) await flood(gateway.origin, tool, missing)
    for (let n = 0; n < 10; n++) {
      expect(await call()).toContain('"result"')
      for (let more = 0; more < 4; more++) await flood(gateway.origin, tool, missing)
    }
    expect(await gateway.stop()).toBe(0)
  })
})
