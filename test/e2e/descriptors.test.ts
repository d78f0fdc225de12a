import { once } from 'node:events'
import { writeFileSync } from 'node:fs'
import { connect, type Socket } from 'node:net'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { describe, expect, onTestFinished, test } from 'vitest'
import { startRawServer } from '../fixtures/servers/raw.js'
import { makeScratch } from '../helpers/scratch.ts'
import { BIN, serve } from '../helpers/served.ts'
import { ModernHttp } from '../helpers/wire-clients.ts'
import { RunningTime } from '../helpers/running-time.ts'

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
    await expect.poll(() => sockets.filter(({ destroyed }) => !destroyed).length).toBeLessThanOrEqual(43)
    // Some of those that were let in give their places to a client with something to say.
    const leaving = sockets.slice(0, 10)
    for (const socket of leaving) socket.destroy()
    const call = (server: string): Promise<string> =>
      first.request('1', 'tools/call', `{"name":"${server}__echo_raw","arguments":{}}`)
    await expect.poll(() => call('one').catch(() => '')).toContain('"result"')
    for (const socket of sockets) socket.destroy()
    await expect.poll(() => call('two').catch(() => '')).toContain('"result"')
    expect(await call('one')).toContain('"result"')
    expect(gateway.said).not.toMatch(/uncaught|EMFILE|unhandled/i)
    expect(gateway.said).toContain('further ones are closed')
    expect(await gateway.stop()).toBe(0)
  })

  test('answers a call to a third server while calls to two others hold all the sockets they may have', async () => {
    await using folder = makeScratch()
    const names = ['one', 'two', 'three']
    const servers = await Promise.all(names.map(name => startRawServer({ name })))
    onTestFinished(async () => void (await Promise.all(servers.map(server => server.close()))))
    const file = join(folder.path, 'servers.json')
    const mcpServers = Object.fromEntries(names.map((name, at) => [name, { url: servers[at]?.url }]))
    const settings = { state: 'memory', http: { port: 0 }, shutdownTimeout: '100ms' }
    writeFileSync(file, JSON.stringify({ gateway: settings, mcpServers }))
    await using gateway = await serve([BIN, 'serve', '--config', file], { openFiles: 300 })
    await using client = new ModernHttp(gateway.origin)
    const call = (name: string): Promise<string> =>
      client.request('1', 'tools/call', `{"name":"${name}","arguments":{}}`)
    expect(await call('one__echo_raw')).toContain('"result"')
    expect(await call('two__echo_raw')).toContain('"result"')
    const hung = (): number[] =>
      servers.map(({ received }) => received.filter(text => text.includes('"hang"')).length)
    // What the lists were fetched over is closed; the stream for what belongs to no call stays.
    await expect.poll(() => servers[2]?.sockets).toBeLessThanOrEqual(1)
    // Connections of clients are 118, and so are sockets to servers, 104 of them for calls.
    for (const server of ['one', 'two']) {
      const before = hung().join()
      for (let n = 0; n < 55; n++) call(`${server}__hang`).catch(() => undefined)
      await expect.poll(() => hung().join()).not.toBe(before)
      let seen = ''
      await expect.poll(() => seen === (seen = hung().join()), { interval: 300 }).toBe(true)
    }
    const [one = 0, two = 0] = hung()
    expect(one).toBeGreaterThan(40)
    expect(two).toBeGreaterThan(15)
    expect(two).toBeLessThan(one)
    using time = new RunningTime()
    expect(await call('three__echo_raw')).toContain('"result"')
    // What found no socket would fail after half a minute.
    expect(time.ms).toBeLessThan(10_000)
  })
})
