import { once } from 'node:events'
import { connect, type Socket } from 'node:net'
import { expect, onTestFinished, test } from 'vitest'
import { bearer, keyOf, withKeys } from '../helpers/callers.ts'
import { startGateway } from '../helpers/gateway.ts'
import { scriptedHttp } from '../helpers/scripted-servers.ts'
import { ModernHttp } from '../helpers/wire-clients.ts'
import { RunningTime } from '../helpers/running-time.ts'

/** The room of large bodies, which all clients share. */

/** A request of which one byte of the body comes. */
async function unfinished(origin: string, client: string, bytes: number): Promise<Socket> {
  const socket = connect(Number(new URL(origin).port), '127.0.0.1')
  socket.on('error', () => undefined).resume()
  onTestFinished(() => void socket.destroy())
  await once(socket, 'connect')
  socket.write(
    [
      'POST /mcp HTTP/1.1',
      'Host: 127.0.0.1',
      `Authorization: ${bearer(keyOf(client)).authorization}`,
      'Accept: application/json, text/event-stream',
      'Content-Type: application/json',
      `Content-Length: ${bytes}`,
      '',
      '{',
    ].join('\r\n'),
  )
  return socket
}

test('clients hold all of the room, and a call of another one with 100 KB of arguments is read at once', async () => {
  await using server = await scriptedHttp()
  const hogs = Array.from({ length: 14 }, (_, at) => `hog${at}`)
  await using gateway = await startGateway({
    mcpServers: { a: server.entry },
    clients: withKeys(Object.fromEntries([...hogs, 'calm'].map(name => [name, {}]))),
    gateway: {},
  })
  await gateway.gateway.warmUp()
  await using calm = new ModernHttp(gateway.origin, '/mcp', { headers: bearer(keyOf('calm')) })
  const large = (): Promise<string> => calm.request('1', 'server/discover', `{"p":"${'x'.repeat(100_000)}"}`)
  const first = await large()
  expect(first).toContain('"result"')
  for (const hog of hogs)
    for (const bytes of [...Array(16).fill(4_000_000), 2e6, 1e6, 500_000, 250_000, 120_000, 70_000])
      await unfinished(gateway.origin, hog, bytes)
  using time = new RunningTime()
  expect(await large()).toBe(first)
  // What is slow would end after ten seconds.
  expect(time.ms).toBeLessThan(6000)
})
