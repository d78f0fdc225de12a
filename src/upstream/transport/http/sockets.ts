import type { Socket } from 'node:net'
import type { buildConnector } from 'undici'
import { GatewayError } from '../../../core/errors.ts'
import { descriptorShares } from '../../../descriptors.ts'

/** How long a request waits for a socket before it fails. */
const WAIT_MS = 30_000
/**
 * Share of the sockets reserved for messages without an answer: answers to questions must get through when calls have
 * taken all others.
 */
const MESSAGE_SHARE = 1 / 8
const LEAST = 2
/** Sockets that each server may have in any case: one for its standing stream, one for a call. */
const ALWAYS = 2

/**
 * The sockets that this process may have open to HTTP servers, divided by `SocketShare`. A connection beyond them waits
 * for its turn.
 */
export class Sockets {
  readonly calls: SocketShare
  readonly messages: SocketShare

  constructor(total: number) {
    const messages = Math.max(LEAST, Math.floor(total * MESSAGE_SHARE))
    this.messages = new SocketShare(messages)
    this.calls = new SocketShare(Math.max(LEAST, total - messages))
  }
}

let shared: Sockets | undefined

/** The sockets of this process, bounded by its limit of file descriptors. */
export function processSockets(): Sockets {
  shared ??= new Sockets(descriptorShares().servers)
  return shared
}

interface Waiting {
  readonly server: Server
  readonly holder: object
  /** Its place in the order of arrival. */
  readonly turn: number
  readonly timer: NodeJS.Timeout
  granted(): void
  refused(error: GatewayError): void
}

/** A server that has sockets or waits for some. */
interface Server {
  readonly name: string
  open: number
  readonly waiting: Set<Waiting>
}

/**
 * A bounded number of sockets, with a queue. No server may hold more than what is free, so that each further server
 * finds room. Two are given to every server in any case, beyond the total if the others hold all. The server that holds
 * least is served first.
 */
export class SocketShare {
  readonly total: number
  readonly #servers = new Map<string, Server>()
  #open = 0
  #turns = 0

  constructor(total: number) {
    this.total = total
  }

  /** Maximum of one server while no other has any. */
  get most(): number {
    return Math.max(ALWAYS, Math.ceil(this.total / 2))
  }

  get open(): number {
    return this.#open
  }

  get waiting(): number {
    let waiting = 0
    for (const server of this.#servers.values()) waiting += server.waiting.size
    return waiting
  }

  /** Connects with `connect` once a socket is available. Waiting connections of `holder` end with `forget`. */
  bounded(name: string, holder: object, connect: buildConnector.connector): buildConnector.connector {
    return (options, callback) => {
      const server = this.#server(name)
      const begin = (): void => {
        let taken = true
        const release = (): void => {
          if (taken) this.#release(server)
          taken = false
        }
        const fail = (error: Error): void => {
          release()
          callback(error, null)
        }
        try {
          connect(options, (...[error, socket]: [Error, null] | [null, Socket]) => {
            if (error) return fail(error)
            socket.once('close', release)
            if (socket.destroyed) release()
            callback(null, socket)
          })
        } catch (error) {
          // Node.js rejects some addresses and TLS options before it connects.
          fail(error as Error)
        }
      }
      if (this.#fits(server)) {
        this.#take(server)
        begin()
      } else this.#wait(server, holder, begin, error => callback(error, null))
    }
  }

  forget(holder: object): void {
    for (const server of this.#servers.values())
      for (const waiting of server.waiting) {
        if (waiting.holder !== holder) continue
        this.#leave(waiting)
        waiting.refused(
          new GatewayError('upstream_closed', `The link to "${server.name}" is closed.`, {
            server: server.name,
          }),
        )
      }
  }

  #server(name: string): Server {
    let server = this.#servers.get(name)
    if (!server) this.#servers.set(name, (server = { name, open: 0, waiting: new Set() }))
    return server
  }

  #fits({ open }: Server): boolean {
    return open < ALWAYS || open < this.total - this.#open
  }

  #take(server: Server): void {
    server.open++
    this.#open++
  }

  #release(server: Server): void {
    server.open--
    this.#open--
    this.#tidy(server)
    for (let next = this.#next(); next; next = this.#next()) {
      this.#take(next.server)
      this.#leave(next)
      next.granted()
    }
  }

  /**
   * The next waiting connection: of the servers with room, the one that holds least; of its connections, the oldest.
   */
  #next(): Waiting | undefined {
    let next: Waiting | undefined
    for (const server of this.#servers.values()) {
      const [first] = server.waiting
      if (!first || !this.#fits(server)) continue
      const ahead = next && (next.server.open - server.open || next.turn - first.turn)
      if (ahead === undefined || ahead > 0) next = first
    }
    return next
  }

  #wait(server: Server, holder: object, granted: () => void, refused: (error: GatewayError) => void): void {
    const timer = setTimeout(() => {
      this.#leave(waiting)
      refused(this.#exhausted(server))
    }, WAIT_MS)
    timer.unref()
    const waiting: Waiting = { server, holder, turn: this.#turns++, timer, granted, refused }
    server.waiting.add(waiting)
  }

  #leave(waiting: Waiting): void {
    clearTimeout(waiting.timer)
    waiting.server.waiting.delete(waiting)
    this.#tidy(waiting.server)
  }

  #tidy(server: Server): void {
    if (server.open === 0 && server.waiting.size === 0) this.#servers.delete(server.name)
  }

  #exhausted({ name, open }: Server): GatewayError {
    return new GatewayError(
      'overloaded',
      `Server "${name}" has ${open} connections in use, and all servers together ${this.#open} of ${this.total}; no server may have more than are free. Fix: try again later, lower "maxConcurrentCalls" of the servers with most calls, or raise the limit of open files (ulimit -n).`,
      { server: name },
    )
  }
}
