import type { Socket } from 'node:net'
import type { buildConnector } from 'undici'
import { GatewayError } from '../core/errors.ts'
import { descriptorShares } from '../descriptors.ts'

/** How long something waits for a socket before it fails. */
const WAIT_MS = 30_000
/** Of the sockets, what is kept for messages that ask for nothing: answers to questions must pass when calls have taken all the others. */
const MESSAGE_SHARE = 1 / 8
const LEAST = 2

/**
 * The sockets that this process may have open to servers over HTTP. One server gets at most half, so that others can be reached whatever it does. What finds
 * none waits for its turn.
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

/** Those of this process, by its limit of file descriptors. */
export function processSockets(): Sockets {
  shared ??= new Sockets(descriptorShares().servers)
  return shared
}

interface Waiting {
  readonly server: string
  readonly holder: object
  readonly timer: NodeJS.Timeout
  granted(): void
  refused(error: GatewayError): void
}

/** A number of sockets, and who waits for one, in the order of their coming. */
export class SocketShare {
  readonly total: number
  readonly perServer: number
  readonly #open = new Map<string, number>()
  #size = 0
  readonly #waiting = new Set<Waiting>()

  constructor(total: number) {
    this.total = total
    this.perServer = Math.max(1, Math.ceil(total / 2))
  }

  get open(): number {
    return this.#size
  }

  get waiting(): number {
    return this.#waiting.size
  }

  /** Connects as `connect` does, once there is a socket for it. What `holder` still waits for ends with `forget`. */
  bounded(server: string, holder: object, connect: buildConnector.connector): buildConnector.connector {
    return (options, callback) => {
      const begin = (): void => {
        let taken = true
        const release = (): void => {
          if (taken) this.#release(server)
          taken = false
        }
        connect(options, (...[error, socket]: [Error, null] | [null, Socket]) => {
          if (error) {
            release()
            callback(error, null)
            return
          }
          socket.once('close', release)
          if (socket.destroyed) release()
          callback(null, socket)
        })
      }
      if (this.#take(server)) begin()
      else this.#wait(server, holder, begin, error => callback(error, null))
    }
  }

  forget(holder: object): void {
    for (const waiting of this.#waiting) {
      if (waiting.holder !== holder) continue
      this.#leave(waiting)
      waiting.refused(
        new GatewayError('upstream_closed', `The link to "${waiting.server}" is closed.`, {
          server: waiting.server,
        }),
      )
    }
  }

  #take(server: string): boolean {
    const open = this.#open.get(server) ?? 0
    if (this.#size >= this.total || open >= this.perServer) return false
    this.#open.set(server, open + 1)
    this.#size++
    return true
  }

  #release(server: string): void {
    const left = (this.#open.get(server) as number) - 1
    if (left > 0) this.#open.set(server, left)
    else this.#open.delete(server)
    this.#size--
    for (const waiting of this.#waiting) {
      if (!this.#take(waiting.server)) continue
      this.#leave(waiting)
      waiting.granted()
      return
    }
  }

  #wait(server: string, holder: object, granted: () => void, refused: (error: GatewayError) => void): void {
    const timer = setTimeout(() => {
      this.#leave(waiting)
      refused(this.#exhausted(server))
    }, WAIT_MS)
    timer.unref()
    const waiting: Waiting = { server, holder, timer, granted, refused }
    this.#waiting.add(waiting)
  }

  #leave(waiting: Waiting): void {
    clearTimeout(waiting.timer)
    this.#waiting.delete(waiting)
  }

  #exhausted(server: string): GatewayError {
    const own = (this.#open.get(server) ?? 0) >= this.perServer
    const what = own
      ? `Server "${server}" has ${this.perServer} connections in use, which is the most one server may have`
      : `${this.total} connections to servers are in use, which is the most there may be`
    return new GatewayError(
      'overloaded',
      `${what}. Fix: try again later, lower "concurrency" of the server, or raise the limit of open files (ulimit -n).`,
      { server },
    )
  }
}
