import { once } from 'node:events'
import { writeFileSync } from 'node:fs'
import { connect, type Socket } from 'node:net'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { describe, expect, test } from 'vitest'
import { makeScratch } from '../helpers/scratch.ts'
import { BIN, serve } from '../helpers/served.ts'
import { ModernHttp } from '../helpers/wire-clients.ts'

const RAW = fileURLToPath(new URL('../fixtures/servers/raw.js', import.meta.url))

describe.skipIf(process.platform !== 'linux')('a gateway with few file descriptors', () => {
  test('starts a command while 400 connections are open, and goes on when they are gone', async () => {
    await using folder = makeScratch()
    const file = join(folder.path, 'servers.json')
    writeFileSync(
      file,
      JSON.stringify({
        gateway: { state: 'memory', http: { port: 0 } },
        mcpServers: {
          one: { command: process.execPath, args: [RAW, '--name', 'one'], idle: '1s' },
          two: { command: process.execPath, args: [RAW, '--name', 'two'] },
        },
      }),
    )
    await using gateway = await serve([BIN, 'serve', '--config', file], { openFiles: 150 })
    const { port } = new URL(gateway.origin)
    const first = new ModernHttp(gateway.origin)
    const sockets: Socket[] = []
    for (let n = 0; n < 400; n++) {
      const socket = connect(Number(port), '127.0.0.1').on('error', () => undefined)
      // Without being read, it would not notice that it was closed.
      socket.resume()
      sockets.push(socket)
      await once(socket, 'connect')
    }
    // As long as some wait to be accepted, these would take every place that is given up.
    await expect
      .poll(() => sockets.filter(({ destroyed }) => !destroyed).length, { timeout: 20_000 })
      .toBeLessThanOrEqual(43)
    // Some of those that were let in give their places to a client with something to say.
    const leaving = sockets.slice(0, 10)
    for (const socket of leaving) socket.destroy()
    const call = (server: string): Promise<string> =>
      first.request('1', 'tools/call', `{"name":"${server}__echo_raw","arguments":{}}`)
    await expect.poll(() => call('one').catch(() => ''), { timeout: 20_000 }).toContain('"result"')
    for (const socket of sockets) socket.destroy()
    await expect.poll(() => call('two').catch(() => ''), { timeout: 20_000 }).toContain('"result"')
    expect(await call('one')).toContain('"result"')
    expect(gateway.said).not.toMatch(/uncaught|EMFILE|unhandled/i)
    expect(gateway.said).toContain('further ones are closed')
    expect(await gateway.stop()).toBe(0)
  })
})
