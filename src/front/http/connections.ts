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
class Place {
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
 * Property of a socket for its place. It is looked up three times for each request, so it is stored on the socket
 * itself.
 */
const PLACE = Symbol('place')

interface AskingSocket extends Socket {
  [PLACE]?: Place
}

/**
 * Bounds the connections of clients by the file descriptors left for them. A share stays free for new ones. Beyond it,
 * connections of the client with the most are closed: those without a request first, then idle ones, then those whose
 * request is incomplete, the oldest first. A running call is ended only for clients with at most half as many
 * connections. When all connections are taken, a new one is closed at once.
 */
export class Connections {
  readonly #most: number
  readonly #spare: number
  readonly #logger: Logger
  readonly #byHolder = new Map<string, Set<Place>>()
  /**
   * Connections without a request, by address. Separate, because a request over TLS has another socket than its
   * connection.
   */
  readonly #silent = new Map<string, Place>()
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
    const place = socket[PLACE]
    // Anonymous callers are distinguished by address.
    if (!place || (place.isAdmitted && (place.holder === id || kind === 'anonymous'))) return
    if (kind !== 'anonymous') this.#move(place, id)
    if (place.isAdmitted) return
    if (this.#open > this.#most - this.#spare && !this.#makeRoomFor(place)) throw tooMany()
    place.isAdmitted = true
  }

  /**
   * Ends the connections of clients with certificates, because the authorities have changed: idle ones at once, others
   * after the answer to their request. The certificates are checked again with the next connections.
   */
  endCertified(): void {
    for (const place of [...this.#byHolder.values()].flatMap(held => [...held])) {
      const { use, asking, response } = place
      // One without a request may have been established under the former authorities.
      if (use !== SILENT && !(asking && hasCertificate(asking))) continue
      if (use === SILENT || use === IDLE) this.#close(place)
      else {
        place.isLast = true
        if (response && !response.headersSent) response.shouldKeepAlive = false
      }
    }
  }

  #opened(socket: Socket): void {
    const place = new Place(socket)
    this.#open++
    socket.once('close', () => {
      this.#open--
      this.#forget(place)
      this.#leave(place)
    })
    if (this.#open >= this.#most) this.#giveWay()
    this.#silent.set(place.address, place)
    this.#enter(place)
  }

  #asked(request: IncomingMessage, response: ServerResponse): void {
    const socket: AskingSocket = request.socket
    let place = socket[PLACE]
    if (!place) {
      place = this.#silent.get(addressOf(socket))
      if (!place) return
      this.#forget(place)
      place.hasAsked = true
      place.asking = socket
      socket[PLACE] = place
    }
    place.response = response
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
    const place =
      cheapest(most, SILENT, most.size > FEW ? UNFINISHED : IDLE) ??
      first(holders, SILENT) ??
      first(holders, IDLE) ??
      first(
        holders.filter(({ size }) => size > FEW),
        UNFINISHED,
      )
    if (place) this.#close(place)
  }

  /** Few connections are left: closes one for this. @returns whether the connection may stay */
  #makeRoomFor(place: Place): boolean {
    if (place.socket.destroyed) return true
    const held = this.#byHolder.get(place.holder)
    const own = held?.size ?? 0
    const holders = this.#holders().filter(({ size }) => size >= own)
    const other =
      (held && cheapest(held, SILENT, SILENT)) ??
      firstAtRest(holders, place) ??
      oldestOfMost(holders, own) ??
      // Other clients' new connections may be about to send a request.
      first(holders, SILENT)
    if (!other) return own <= FEW
    this.#countClosed()
    this.#close(other)
    return true
  }

  /** Connections by holder, the largest group first. */
  #holders(): Set<Place>[] {
    return [...this.#byHolder.values()].sort((one, other) => other.size - one.size)
  }

  #close(place: Place): void {
    // It is no longer counted, although the socket takes a moment to close.
    this.#forget(place)
    this.#leave(place)
    place.socket.destroy()
  }

  #forget(place: Place): void {
    if (this.#silent.get(place.address) === place) this.#silent.delete(place.address)
  }

  #enter(place: Place): void {
    const held = this.#byHolder.get(place.holder)
    if (held) held.add(place)
    else this.#byHolder.set(place.holder, new Set([place]))
  }

  #leave(place: Place): void {
    const held = this.#byHolder.get(place.holder)
    if (held?.delete(place) && held.size === 0) this.#byHolder.delete(place.holder)
  }

  #move(place: Place, holder: string): void {
    this.#leave(place)
    place.holder = holder
    // A request may be read while its connection closes.
    if (!place.socket.destroyed) this.#enter(place)
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
function cheapest(held: Iterable<Place>, from: number, to: number, except?: Place): Place | undefined {
  let found: Place | undefined
  let least = to + 1
  for (const place of held) {
    const { use } = place
    if (use < from || use >= least || place === except) continue
    found = place
    least = use
    if (use === from) break
  }
  return found
}

/** The oldest connection with this use, of the first holder that has one. */
function first(holders: readonly Set<Place>[], use: number): Place | undefined {
  for (const held of holders) {
    const place = cheapest(held, use, use)
    if (place) return place
  }
  return undefined
}

/** The oldest idle or unfinished connection, of the first holder that has one. */
function firstAtRest(holders: readonly Set<Place>[], except: Place): Place | undefined {
  for (const held of holders) {
    const place = cheapest(held, IDLE, held.size > FEW ? UNFINISHED : IDLE, except)
    if (place) return place
  }
  return undefined
}

/** The oldest connection of the largest holder, if that has twice as many as `own`, and not few. */
function oldestOfMost([most]: readonly Set<Place>[], own: number): Place | undefined {
  if (!most || most.size <= FEW || most.size < 2 * own) return undefined
  const [oldest] = most
  return oldest
}

/** Shared by all requests. Responses end in the order of their requests, so the last one leaves none behind. */
function over(this: ServerResponse): void {
  const socket: AskingSocket = this.req.socket
  const place = socket[PLACE]
  if (place?.response === this) place.response = undefined
  if (place?.isLast === true) socket.end()
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
