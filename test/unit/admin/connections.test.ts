import { once } from 'node:events'
import { createServer } from 'node:http'
import { connect, type AddressInfo, type Socket } from 'node:net'
import { expect, onTestFinished, test } from 'vitest'
import { AdminConnections } from '../../../src/admin/connections.ts'

const MOST = 128

async function bounded(): Promise<{
  open(localAddress: string): Promise<Socket>
  /** Shows the credential, or a wrong one, and waits for the answer. */
  ask(socket: Socket, token?: string): Promise<void>
}> {
  const server = createServer({ keepAliveTimeout: 60_000 }, (_, response) => void response.end('ok'))
  new AdminConnections().watch(server, ({ headers }) => headers.authorization === 'right')
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
  const { port } = server.address() as AddressInfo
  const sockets: Socket[] = []
  onTestFinished(() => {
    for (const socket of sockets) socket.destroy()
    server.close()
  })
  return {
    open: async localAddress => {
      const socket = connect({ port, host: '127.0.0.1', localAddress })
      socket.resume().on('error', () => {})
      sockets.push(socket)
      await once(socket, 'connect')
      return socket
    },
    ask: async (socket, token = 'right') => {
      socket.write(`GET / HTTP/1.1\r\nHost: localhost\r\nAuthorization: ${token}\r\n\r\n`)
      await once(socket, 'data')
    },
  }
}

const isLinux = process.platform === 'linux'

test.runIf(isLinux)('a flood of one address closes its own connections, the oldest first', async () => {
  const { open, ask } = await bounded()
  const other = await open('127.0.0.2')
  const trusted = await open('127.0.0.1')
  await ask(trusted)
  const [first, ...flood] = [await open('127.0.0.1'), await open('127.0.0.1')]
  await ask(first as Socket, 'wrong')
  const closed = once(first as Socket, 'close')
  for (let at = 0; at < MOST - 3; at++) flood.push(await open('127.0.0.1'))
  await closed
  await ask(other)
  await ask(trusted)
  await ask(flood.at(-1) as Socket)
  expect([other, trusted, ...flood].filter(({ destroyed }) => destroyed)).toEqual([])
})

test('when all connections have shown the credential, a new one is closed, until one of them ends', async () => {
  const { open, ask } = await bounded()
  const all: Socket[] = []
  for (let at = 0; at < MOST; at++) {
    const socket = await open('127.0.0.1')
    await ask(socket)
    all.push(socket)
  }
  const refused = await open('127.0.0.1')
  if (!refused.destroyed) await once(refused, 'close')
  all[0]?.destroy()
  await expect
    .poll(async () => {
      const socket = await open('127.0.0.1')
      return await Promise.race([
        ask(socket).then(() => 'answered'),
        once(socket, 'close').then(() => 'closed'),
      ])
    })
    .toBe('answered')
})
