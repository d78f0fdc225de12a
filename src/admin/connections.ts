import type { IncomingMessage, Server } from 'node:http'
import type { Socket } from 'node:net'

/** Maximum number of open connections: those of the few holders of the credential, and of callers without it. */
const MAX_CONNECTIONS = 128

interface Stranger {
  readonly socket: Socket
  readonly address: string
}

/**
 * Bounds the connections of a listener, so that callers without the credential do not keep out those that have it. When
 * all are taken, a new connection takes the place of the oldest one that has not shown the credential, of the remote
 * address that has the most of these. When all have shown it, the new one is closed.
 */
export class AdminConnections {
  /** Connections that have not shown the credential, by remote address and port. The oldest comes first. */
  readonly #strangers = new Map<string, Stranger>()
  #open = 0

  /** Bounds the connections of a server that does not listen yet. */
  watch(server: Server, hasCredential: (request: IncomingMessage) => boolean): void {
    server.on('connection', (socket: Socket) => this.#add(socket))
    // Over TLS, a request has another socket than its connection.
    server.prependListener('request', (request: IncomingMessage) => {
      if (hasCredential(request)) this.#strangers.delete(keyOf(request.socket))
    })
  }

  #add(socket: Socket): void {
    const key = keyOf(socket)
    const stranger = { socket, address: socket.remoteAddress ?? '' }
    this.#open++
    this.#strangers.set(key, stranger)
    socket.once('close', () => {
      this.#open--
      if (this.#strangers.get(key) === stranger) this.#strangers.delete(key)
    })
    if (this.#open <= MAX_CONNECTIONS) return
    const [closing, { socket: closed }] = this.#oldestOfMost() ?? [key, stranger]
    this.#strangers.delete(closing)
    closed.destroy()
  }

  #oldestOfMost(): readonly [string, Stranger] | undefined {
    const counts = new Map<string, number>()
    for (const { address } of this.#strangers.values()) counts.set(address, (counts.get(address) ?? 0) + 1)
    const most = Math.max(...counts.values())
    return [...this.#strangers].find(([, { address }]) => counts.get(address) === most)
  }
}

function keyOf({ remoteAddress, remotePort }: Socket): string {
  return `${remoteAddress} ${remotePort}`
}
