import { createServer, type Server, type IncomingMessage, type ServerResponse } from 'node:http'
import { connect, type AddressInfo, type Socket } from 'node:net'
import { once } from 'node:events'
import { afterEach, describe, expect, it, vi } from 'vitest'
import { SILENT } from '../../../src/core/logger.ts'
import { Backlogs, MAX_BYTES, SLOW, STALLED_MS } from '../../../src/front/backlogs.ts'
import { Outlet } from '../../../src/front/outlet.ts'
import { pipelined } from '../../../src/front/http/pipelined.ts'

const MIB = 1024 * 1024
const ends: (() => void)[] = []

afterEach(() => {
  for (const end of ends.splice(0)) end()
})

/** A response, and the socket of its client, which reads nothing. */
async function unread(): Promise<{ response: ServerResponse; socket: Socket }> {
  const server = createServer()
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const socket = connect((server.address() as AddressInfo).port, '127.0.0.1')
  socket.on('error', () => {})
  socket.pause()
  ends.push(() => {
    socket.destroy()
    server.close()
    server.closeAllConnections()
  })
  const request = once(server, 'request')
  socket.write('GET / HTTP/1.1\r\nhost: x\r\n\r\n')
  const [, response] = (await request) as [unknown, ServerResponse]
  return { response, socket }
}

/** So much time has passed. */
function later(ms: number): Disposable {
  const now = performance.now.bind(performance)
  const clock = vi.spyOn(performance, 'now').mockImplementation(() => now() + ms)
  return { [Symbol.dispose]: () => clock.mockRestore() }
}

describe('what waits for a client that does not read', () => {
  it('is counted, and arrives whole when it reads', async () => {
    const backlogs = new Backlogs(SILENT)
    const { response, socket } = await unread()
    const outlet = new Outlet(response, 'a', backlogs)
    outlet.write('first ')
    outlet.write('x'.repeat(20 * MIB))
    outlet.write(' last')
    outlet.end()
    expect(outlet.behind).toBe(true)
    expect(backlogs.bytes).toBeGreaterThan(10 * MIB)
    let length = 0
    let tail = ''
    socket.on('data', (chunk: Buffer) => {
      length += chunk.length
      tail = (tail + chunk.toString('latin1')).slice(-30)
    })
    socket.resume()
    await once(response, 'finish')
    while (!tail.includes(' last')) await new Promise(resolve => setTimeout(resolve, 10))
    expect(length).toBeGreaterThan(20 * MIB)
    expect(backlogs.bytes).toBe(0)
  })

  it('ends when nothing was read for half a minute', async () => {
    const backlogs = new Backlogs(SILENT)
    const { response } = await unread()
    const outlet = new Outlet(response, 'a', backlogs)
    outlet.write('x'.repeat(20 * MIB))
    backlogs.sweep(performance.now() + STALLED_MS - 1000)
    expect(response.destroyed).toBe(false)
    backlogs.sweep(performance.now() + STALLED_MS + 1000)
    expect(response.destroyed).toBe(true)
    expect(backlogs.bytes).toBe(0)
  })

  it('ends when it takes the room of others, of the client that has most first', async () => {
    const backlogs = new Backlogs(SILENT)
    const [modest, greedy] = [await unread(), await unread()]
    new Outlet(modest.response, 'modest', backlogs).write(Buffer.alloc(20 * MIB))
    new Outlet(greedy.response, 'greedy', backlogs).write(Buffer.alloc(30 * MIB))
    expect(backlogs.endLongest()).toBe(false)
    const clock = later(SLOW.stalledMs + 1000)
    try {
      expect(backlogs.endLongest()).toBe(true)
      expect([modest.response.destroyed, greedy.response.destroyed]).toEqual([false, true])
      expect([backlogs.endLongest(), backlogs.endLongest()]).toEqual([true, false])
    } finally {
      clock[Symbol.dispose]()
    }
    expect(backlogs.bytes).toBe(0)
  })

  it('ends for the client with most of it when it is too much in all', async () => {
    const backlogs = new Backlogs(SILENT)
    const modest = await unread()
    new Outlet(modest.response, 'modest', backlogs).write(Buffer.alloc(30 * MIB))
    const shared = Buffer.alloc(30 * MIB)
    const greedy = await Promise.all(Array.from({ length: 5 }, unread))
    for (const { response } of greedy) new Outlet(response, 'greedy', backlogs).write(shared)
    expect(backlogs.bytes).toBeLessThanOrEqual(MAX_BYTES)
    expect(modest.response.destroyed).toBe(false)
    expect(greedy.filter(({ response }) => response.destroyed).length).toBeGreaterThan(0)
  })

  it('is counted, too, where each part of it is small', async () => {
    const backlogs = new Backlogs(SILENT)
    const { response } = await unread()
    const outlet = new Outlet(response, 'a', backlogs)
    for (let left = 200; left > 0; left--) outlet.write('x'.repeat(100_000))
    expect(backlogs.bytes).toBeGreaterThan(10_000_000)
    expect(outlet.bytes).toBe(backlogs.bytes)
    outlet.destroy()
    expect(backlogs.bytes).toBe(0)
  })

  it('is forgiven the time before, when the client had read everything', async () => {
    const backlogs = new Backlogs(SILENT)
    const { response, socket } = await unread()
    const outlet = new Outlet(response, 'a', backlogs)
    outlet.write('x'.repeat(MIB))
    socket.resume()
    while (outlet.behind) await new Promise(resolve => setTimeout(resolve, 5))
    socket.pause()
    const before = outlet.movedAt
    await new Promise(resolve => setTimeout(resolve, 30))
    outlet.write('x'.repeat(20 * MIB))
    expect(outlet.behind).toBe(true)
    expect(outlet.movedAt).toBeGreaterThan(before)
    outlet.destroy()
  })

  it('is counted, too, where one small message fills the connection', async () => {
    const backlogs = new Backlogs(SILENT)
    const outlets: Outlet[] = []
    for (let left = 3; left > 0; left--) {
      const { response } = await unread()
      const outlet = new Outlet(response, 'a', backlogs)
      outlets.push(outlet)
      // The system takes the first megabytes.
      do {
        outlet.write('x'.repeat(250_000))
        await new Promise(resolve => setTimeout(resolve, 10))
      } while (!response.writableNeedDrain)
      outlet.end()
      expect(outlet.bytes).toBeGreaterThan(0)
    }
    backlogs.sweep(performance.now() + STALLED_MS + 1000)
    expect(outlets.map(({ bytes }) => bytes)).toEqual([0, 0, 0])
    expect(backlogs.bytes).toBe(0)
  })

  it('ends where messages wait behind messages without end, also on the only connection', async () => {
    const backlogs = new Backlogs(SILENT)
    const { response } = await unread()
    const outlet = new Outlet(response, 'a', backlogs)
    const shared = Buffer.alloc(30 * MIB)
    let written = 0
    for (; written < 100 && !response.destroyed; written++) outlet.write('{', shared, '}')
    expect(response.destroyed).toBe(true)
    expect(written).toBeLessThanOrEqual(6)
    expect(backlogs.bytes).toBe(0)
    const alone = await unread()
    new Outlet(alone.response, 'a', backlogs).write('{', Buffer.alloc(MAX_BYTES + MIB), '}')
    expect(alone.response.destroyed).toBe(false)
  })

  it('of a response behind an earlier one ends with the connection', async () => {
    const backlogs = new Backlogs(SILENT)
    const { response, socket } = await unread()
    const closed = vi.fn<() => void>()
    const second = once((response.req.socket as Socket & { server: Server }).server, 'request')
    socket.write('GET / HTTP/1.1\r\nhost: x\r\n\r\n')
    const [request, queued] = (await second) as [IncomingMessage, ServerResponse]
    pipelined(() => {})(request, queued)
    queued.on('close', closed)
    const outlet = new Outlet(queued, 'a', backlogs)
    outlet.write('x'.repeat(MIB))
    expect(backlogs.bytes).toBe(MIB)
    outlet.destroy()
    expect(backlogs.bytes).toBe(0)
    await once(response, 'close')
    expect(closed).toHaveBeenCalledTimes(1)
  })

  it('of a response behind an earlier one is counted where it is small, does not stall, and is sent in its turn', async () => {
    const backlogs = new Backlogs(SILENT)
    const { response, socket } = await unread()
    const second = once((response.req.socket as Socket & { server: Server }).server, 'request')
    socket.write('GET / HTTP/1.1\r\nhost: x\r\n\r\n')
    const [, queued] = (await second) as [unknown, ServerResponse]
    const outlet = new Outlet(queued, 'a', backlogs)
    outlet.write('second '.repeat(100))
    outlet.write('last')
    outlet.end()
    expect(backlogs.bytes).toBe(704)
    const clock = later(STALLED_MS + 1000)
    try {
      backlogs.sweep()
    } finally {
      clock[Symbol.dispose]()
    }
    expect(queued.destroyed).toBe(false)
    let said = ''
    socket.on('data', (chunk: Buffer) => void (said += chunk.toString()))
    socket.resume()
    response.end('first')
    await once(queued, 'finish')
    while (!said.includes('last')) await new Promise(resolve => setTimeout(resolve, 5))
    expect(said).toMatch(/first.*second .*last/s)
    expect(backlogs.bytes).toBe(0)
  })
})
