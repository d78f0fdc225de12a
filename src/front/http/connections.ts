import type { IncomingMessage, Server, ServerResponse } from 'node:http'
import type { Socket } from 'node:net'
import type { TLSSocket } from 'node:tls'
import { monotonicNow } from '../../core/clock.ts'
import { describeError } from '../../core/errors.ts'
import { HttpError } from '../../core/http-error.ts'
import type { Logger } from '../../core/logger.ts'
import type { Principal } from '../../core/principal.ts'

/** Interval of the log line about refused connections. */
const SAID_EVERY_MS = 60_000
/** Share of the connections that stays free for clients with few connections. */
const SPARE_SHARE = 1 / 16
/** A client with at most this many connections has few: none of its requests is ended for others. */
const FEW = 4

/** Use of a connection, in the order in which connections are closed for others. */
const SILENT = 0
const IDLE = 1
const UNFINISHED = 2
const WORKING = 3

/** One connection. */
class Connection {
  readonly socket: Socket
  /** With the port. */
  readonly address: string
  /** The principal of its last request. Before a request: the remote address. */
  holder: string
  hasAsked = false
  isAdmitted = false
  /** The response of its unfinished request. */
  response: ServerResponse | undefined
  /** The socket of its requests, over TLS another one. Known with the first request. */
  asking: Socket | undefined
  /** Whether it ends with the answer to its request. */
  isLast = false

  constructor(socket: Socket) {
    this.socket = socket
    this.address = addressOf(socket)
    this.holder = socket.remoteAddress ?? ''
  }

  get use(): number {
    if (!this.hasAsked) return SILENT
    if (!this.response) return IDLE
    return this.response.req.complete ? WORKING : UNFINISHED
  }
}

/**
 * Property of a socket for its entry here. It is looked up three times for each request, so it is stored on the socket
 * itself.
 */
const CONNECTION = Symbol('connection')

interface AskingSocket extends Socket {
  [CONNECTION]?: Connection
}

/**
 * Bounds the connections of clients by the file descriptors left for them. A share stays free for new ones. Beyond it,
 * connections of the client with the most are closed: those without a request first, then idle ones, then those whose
 * request is incomplete, the oldest first. A running call is ended only for clients with at most half as many
 * connections. When all connections are taken, a new one is closed at once.
 */
export class ClientConnections {
  readonly #most: number
  readonly #spare: number
  readonly #logger: Logger
  readonly #byHolder = new Map<string, Set<Connection>>()
  /**
   * Connections without a request, by address. Separate, because a request over TLS has another socket than its
   * connection.
   */
  readonly #silent = new Map<string, Connection>()
  #open = 0
  #closed = 0
  #saidAt = -Infinity

  constructor(server: Server, most: number, logger: Logger) {
    this.#most = most
    this.#spare = Math.max(1, Math.floor(most * SPARE_SHARE))
    this.#logger = logger
    server.maxConnections = most
    server.on('error', error => logger.error('The HTTP server failed.', { cause: describeError(error) }))
    server.on('drop', () => this.#countClosed())
    server.on('connection', (socket: Socket) => this.#opened(socket))
    // Before any other listener sees the request.
    server.prependListener('request', (request: IncomingMessage, response: ServerResponse) =>
      this.#asked(request, response),
    )
  }

  /**
   * Records the authenticated principal of a request.
   * @throws HttpError 503 when the connections are taken, and this client has more of them than its share
   */
  admit(request: IncomingMessage, { id, kind }: Principal): void {
    const socket: AskingSocket = request.socket
    const connection = socket[CONNECTION]
    // Anonymous callers are distinguished by address.
    if (!connection || (connection.isAdmitted && (connection.holder === id || kind === 'anonymous'))) return
    if (kind !== 'anonymous') this.#move(connection, id)
    if (connection.isAdmitted) return
    if (this.#open > this.#most - this.#spare && !this.#makeRoomFor(connection)) throw tooMany()
    connection.isAdmitted = true
  }

  /**
   * Ends the connections of clients with certificates, because the authorities have changed: idle ones at once, others
   * after the answer to their request. The certificates are checked again with the next connections.
   */
  endCertified(): void {
    for (const connection of [...this.#byHolder.values()].flatMap(held => [...held])) {
      const { use, asking, response } = connection
      // One without a request may have been established under the former authorities.
      if (use !== SILENT && !(asking && hasCertificate(asking))) continue
      if (use === SILENT || use === IDLE) this.#close(connection)
      else {
        connection.isLast = true
        if (response && !response.headersSent) response.shouldKeepAlive = false
      }
    }
  }

  #opened(socket: Socket): void {
    const connection = new Connection(socket)
    this.#open++
    socket.once('close', () => {
      this.#open--
      this.#forget(connection)
      this.#leave(connection)
    })
    if (this.#open >= this.#most) this.#giveWay()
    this.#silent.set(connection.address, connection)
    this.#enter(connection)
  }

  #asked(request: IncomingMessage, response: ServerResponse): void {
    const socket: AskingSocket = request.socket
    let connection = socket[CONNECTION]
    if (!connection) {
      connection = this.#silent.get(addressOf(socket))
      if (!connection) return
      this.#forget(connection)
      connection.hasAsked = true
      connection.asking = socket
      socket[CONNECTION] = connection
    }
    connection.response = response
    response.on('close', over)
  }

  /**
   * All connections are taken: closes one of the client with the most. If that has only running calls, the cheapest one
   * is closed.
   */
  #giveWay(): void {
    this.#countClosed()
    const holders = this.#holders()
    const most = holders[0]
    if (!most) return
    const connection =
      cheapest(most, SILENT, most.size > FEW ? UNFINISHED : IDLE) ??
      first(holders, SILENT) ??
      first(holders, IDLE) ??
      first(
        holders.filter(({ size }) => size > FEW),
        UNFINISHED,
      )
    if (connection) this.#close(connection)
  }

  /** Few connections are left: closes one for this. @returns whether the connection may stay */
  #makeRoomFor(connection: Connection): boolean {
    if (connection.socket.destroyed) return true
    const held = this.#byHolder.get(connection.holder)
    const own = held?.size ?? 0
    const holders = this.#holders().filter(({ size }) => size >= own)
    const other =
      (held && cheapest(held, SILENT, SILENT)) ??
      firstAtRest(holders, connection) ??
      oldestOfMost(holders, own) ??
      // Other clients' new connections may be about to send a request.
      first(holders, SILENT)
    if (!other) return own <= FEW
    this.#countClosed()
    this.#close(other)
    return true
  }

  /** Connections by holder, the largest group first. */
  #holders(): Set<Connection>[] {
    return [...this.#byHolder.values()].sort((one, other) => other.size - one.size)
  }

  #close(connection: Connection): void {
    // It is no longer counted, although the socket takes a moment to close.
    this.#forget(connection)
    this.#leave(connection)
    connection.socket.destroy()
  }

  #forget(connection: Connection): void {
    if (this.#silent.get(connection.address) === connection) this.#silent.delete(connection.address)
  }

  #enter(connection: Connection): void {
    const held = this.#byHolder.get(connection.holder)
    if (held) held.add(connection)
    else this.#byHolder.set(connection.holder, new Set([connection]))
  }

  #leave(connection: Connection): void {
    const held = this.#byHolder.get(connection.holder)
    if (held?.delete(connection) && held.size === 0) this.#byHolder.delete(connection.holder)
  }

  #move(connection: Connection, holder: string): void {
    this.#leave(connection)
    connection.holder = holder
    // A request may be read while its connection closes.
    if (!connection.socket.destroyed) this.#enter(connection)
  }

  #countClosed(): void {
    this.#closed++
    if (monotonicNow() - this.#saidAt < SAID_EVERY_MS) return
    this.#saidAt = monotonicNow()
    this.#logger.warn(
      'As many connections are open as the limit of open files allows; idle and further ones are closed. Fix: raise it (ulimit -n).',
      { open: this.#most, closed: this.#closed },
    )
  }
}

/** The oldest connection with the least use, between two uses, of one holder. */
function cheapest(
  held: Iterable<Connection>,
  from: number,
  to: number,
  except?: Connection,
): Connection | undefined {
  let found: Connection | undefined
  let least = to + 1
  for (const connection of held) {
    const { use } = connection
    if (use < from || use >= least || connection === except) continue
    found = connection
    least = use
    if (use === from) break
  }
  return found
}

/** The oldest connection with this use, of the first holder that has one. */
function first(holders: readonly Set<Connection>[], use: number): Connection | undefined {
  for (const held of holders) {
    const connection = cheapest(held, use, use)
    if (connection) return connection
  }
  return undefined
}

/** The oldest idle or unfinished connection, of the first holder that has one. */
function firstAtRest(holders: readonly Set<Connection>[], except: Connection): Connection | undefined {
  for (const held of holders) {
    const connection = cheapest(held, IDLE, held.size > FEW ? UNFINISHED : IDLE, except)
    if (connection) return connection
  }
  return undefined
}

/** The oldest connection of the largest holder, if that has twice as many as `own`, and not few. */
function oldestOfMost([most]: readonly Set<Connection>[], own: number): Connection | undefined {
  if (!most || most.size <= FEW || most.size < 2 * own) return undefined
  const [oldest] = most
  return oldest
}

/** Shared by all requests. Responses end in the order of their requests, so the last one leaves none behind. */
function over(this: ServerResponse): void {
  const socket: AskingSocket = this.req.socket
  const connection = socket[CONNECTION]
  if (connection?.response === this) connection.response = undefined
  if (connection?.isLast === true) socket.end()
}

/** Whether the peer has shown a certificate. */
function hasCertificate(socket: Socket): boolean {
  if (!('getPeerCertificate' in socket)) return false
  // Node returns an empty object when there is no certificate.
  return Object.keys((socket as TLSSocket).getPeerCertificate() ?? {}).length > 0
}

function addressOf({ remoteAddress, remotePort }: Socket): string {
  return `${remoteAddress} ${remotePort}`
}

function tooMany(): HttpError {
  return new HttpError(
    503,
    'The gateway has no connection left for another request of this client, which has more than its share. Try again later, or raise the limit of open files (ulimit -n).',
    { 'retry-after': '5', connection: 'close' },
  )
}
