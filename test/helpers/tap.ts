import { once } from 'node:events'
import { createServer } from 'node:net'
import type { Socket } from 'node:net'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import type { CommandLine } from './real-servers.ts'

const TAP = fileURLToPath(new URL('tap.js', import.meta.url))

/** A message that went by between the gateway and a real server. */
export interface Seen {
  /** Tells apart several processes of one server. */
  readonly pid: number
  /** `client` is the gateway. */
  readonly from: 'client' | 'server'
  readonly message: {
    readonly id?: string | number
    readonly method?: string
    readonly params?: Record<string, unknown>
    readonly result?: unknown
    readonly error?: unknown
  }
}

/** Listens to the conversations of stdio servers that are started through it. */
export interface Tap extends AsyncDisposable {
  /** The command line that starts the same server under observation. */
  through(server: CommandLine): CommandLine
  readonly seen: readonly Seen[]
  /** Resolves with the first message that matches, passed already or yet to come. */
  first(matches: (seen: Seen) => boolean): Promise<Seen>
}

export async function openTap(): Promise<Tap> {
  const seen: Seen[] = []
  const waiting = new Set<(seen: Seen) => void>()
  const sockets = new Set<Socket>()
  const server = createServer(socket => {
    sockets.add(socket)
    socket.on('error', () => {})
    socket.on('close', () => sockets.delete(socket))
    createInterface({ input: socket }).on('line', line => {
      const one = JSON.parse(line) as Seen
      seen.push(one)
      for (const wake of waiting) wake(one)
    })
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const address = server.address()
  if (address === null || typeof address === 'string') throw new Error('no TCP address')
  const { port } = address
  return {
    seen,
    through: ({ command, args }) => ({
      command: process.execPath,
      args: [TAP, String(port), command, ...args],
    }),
    first(matches) {
      const passed = seen.find(matches)
      if (passed) return Promise.resolve(passed)
      return new Promise(resolve => {
        const wake = (one: Seen): void => {
          if (!matches(one)) return
          waiting.delete(wake)
          resolve(one)
        }
        waiting.add(wake)
      })
    },
    async [Symbol.asyncDispose]() {
      for (const socket of sockets) socket.destroy()
      server.close()
      await once(server, 'close')
    },
  }
}
