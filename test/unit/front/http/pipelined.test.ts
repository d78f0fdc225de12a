import { once } from 'node:events'
import { createServer, type ServerResponse } from 'node:http'
import { connect, type AddressInfo, type Socket } from 'node:net'
import { afterEach, describe, expect, it } from 'vitest'
import { MAX_AT_WORK, MAX_WAITING, pipelined } from '../../../../src/front/http/pipelined.ts'

const ends: (() => void)[] = []

afterEach(() => {
  for (const end of ends.splice(0)) end()
})

/** A server that answers when the test does, and a client of it. */
async function server(): Promise<{ begun: Map<string, ServerResponse>; socket: Socket; said: () => string }> {
  const begun = new Map<string, ServerResponse>()
  const http = createServer(pipelined((request, response) => void begun.set(String(request.url), response)))
  http.listen(0, '127.0.0.1')
  await once(http, 'listening')
  const socket = connect((http.address() as AddressInfo).port, '127.0.0.1')
  socket.on('error', () => {})
  let said = ''
  socket.on('data', (chunk: Buffer) => void (said += chunk.toString('latin1')))
  ends.push(() => {
    socket.destroy()
    http.close()
    http.closeAllConnections()
  })
  return { begun, socket, said: () => said }
}

const requests = (from: number, to: number): string => {
  let text = ''
  for (let at = from; at < to; at++) text += `GET /${at} HTTP/1.1\r\nhost: x\r\n\r\n`
  return text
}

async function until(holds: () => boolean): Promise<void> {
  while (!holds()) await new Promise(resolve => setTimeout(resolve, 5))
}

describe('requests that a client sends before it has taken earlier answers', () => {
  it('are worked on eight at a time, and all are answered in their order', async () => {
    const { begun, socket, said } = await server()
    socket.write(requests(0, 30))
    await until(() => begun.size === MAX_AT_WORK)
    await new Promise(resolve => setTimeout(resolve, 50))
    expect(begun.size).toBe(MAX_AT_WORK)
    for (let at = 0; at < 30; at++) {
      await until(() => begun.has(`/${at}`))
      expect(begun.size).toBeLessThanOrEqual(at + MAX_AT_WORK)
      begun.get(`/${at}`)?.end(`<${at}>`)
    }
    await until(() => said().includes('<29>'))
    const order = Array.from(said().matchAll(/<(\d+)>/g), ([, at]) => Number(at))
    expect(order).toEqual(Array.from({ length: 30 }, (_, at) => at))
    socket.write(requests(30, 31))
    await until(() => begun.has('/30'))
  })

  it('are answered 503 in their turn beyond forty, and the connection ends', async () => {
    const { begun, socket, said } = await server()
    const most = MAX_AT_WORK + MAX_WAITING
    const closed = once(socket, 'close')
    socket.write(requests(0, most + 20))
    for (let at = 0; at < most; at++) {
      await until(() => begun.has(`/${at}`))
      begun.get(`/${at}`)?.end(`<${at}>`)
    }
    await closed
    expect(begun.size).toBe(most)
    expect(said()).toContain(`<${most - 1}>`)
    expect(said().slice(said().indexOf(`<${most - 1}>`))).toMatch(
      /HTTP\/1\.1 503 .*More than 40 requests wait/s,
    )
  })

  it('are not worked on any more when the client has left', async () => {
    const { begun, socket } = await server()
    socket.write(requests(0, 20))
    await until(() => begun.size === MAX_AT_WORK)
    const closed = [...begun.values()].map(response => once(response, 'close'))
    socket.destroy()
    await Promise.all(closed)
    await new Promise(resolve => setTimeout(resolve, 20))
    expect(begun.size).toBe(MAX_AT_WORK)
  })

  it('end the connection where they come without end', async () => {
    const { begun, socket } = await server()
    const closed = once(socket, 'close')
    socket.write(requests(0, 2000))
    await closed
    expect(begun.size).toBe(MAX_AT_WORK)
  })
})
