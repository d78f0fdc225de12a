import type { IncomingMessage, Server, ServerResponse } from 'node:http'
import type { Socket } from 'node:net'
import { monotonicNow } from '../../core/clock.ts'
import { describeError } from '../../core/errors.ts'
import { HttpError } from '../../core/http-error.ts'
import type { Logger } from '../../core/logger.ts'
import type { Principal } from '../../core/principal.ts'

/** How often it is said that connections are turned away. */
const SAID_EVERY_MS = 60_000
/** This part of the connections stays free for clients that have few. */
const SPARE_SHARE = 1 / 16
/** A client that has no more connections than this has few: none of its requests is ended for others. */
const FEW = 4

/** What a connection is used for, in the order in which connections give way. */
const SILENT = 0
const IDLE = 1
const UNFINISHED = 2
const WORKING = 3

/** One connection. */
class Place {
  readonly socket: Socket
  /** With its port. */
  readonly address: string
  /** The principal of its last request, the remote address before. */
  holder: string
  hasAsked = false
  isAdmitted = false
  /** What is not over of its requests. */
  response: ServerResponse | undefined

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

/** The place of a socket that has asked. It is looked up three times for each request, so it stands on the socket itself. */
const PLACE = Symbol('place')

interface AskingSocket extends Socket {
  [PLACE]?: Place
}

/**
 * Keeps the connections of clients to what the process can have open beside everything else. A part stays free for new
 * ones. Beyond it, the client that has most gives way: connections without a request first, then idle ones, then those
 * whose request has not come in full, the oldest first. A call that is being worked on gives way to clients that have at
 * most half as many connections. Where all places are taken, what comes is closed at once.
 */
export class Connections {
  readonly #most: number
  readonly #spare: number
  readonly #logger: Logger
  readonly #byHolder = new Map<string, Set<Place>>()
  /** Those that have not asked, by address, because a request over TLS has another socket than its connection. */
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
    // Before the request is looked at.
    server.prependListener('request', (request: IncomingMessage, response: ServerResponse) =>
      this.#asked(request, response),
    )
  }

  /**
   * `principal` has shown that the request is its own.
   * @throws HttpRefusal 503 where the connections are taken, and this client has more of them than its share
   */
  admit(request: IncomingMessage, { id, kind }: Principal): void {
    const socket: AskingSocket = request.socket
    const place = socket[PLACE]
    // Addresses tell apart what has no other name.
    if (!place || (place.isAdmitted && (place.holder === id || kind === 'anonymous'))) return
    if (kind !== 'anonymous') this.#move(place, id)
    if (place.isAdmitted) return
    if (this.#open > this.#most - this.#spare && !this.#makeRoomFor(place)) throw tooMany()
    place.isAdmitted = true
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
      socket[PLACE] = place
    }
    place.response = response
    response.on('close', over)
  }

  /** All places are taken. The client that has most gives way; where it only has calls, what costs least does. */
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

  /** Few places are left. @returns whether the place may keep its own */
  #makeRoomFor(place: Place): boolean {
    if (place.socket.destroyed) return true
    const held = this.#byHolder.get(place.holder)
    const own = held?.size ?? 0
    const holders = this.#holders().filter(({ size }) => size >= own)
    const other =
      (held && cheapest(held, SILENT, SILENT)) ??
      firstAtRest(holders, place) ??
      oldestOfMost(holders, own) ??
      // Those of others may be about to ask.
      first(holders, SILENT)
    if (!other) return own <= FEW
    this.#countClosed()
    this.#close(other)
    return true
  }

  /** Those that have most first. */
  #holders(): Set<Place>[] {
    return [...this.#byHolder.values()].sort((one, other) => other.size - one.size)
  }

  #close(place: Place): void {
    // It counts no more, although the socket takes a moment to close.
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

/** Of one holder, the oldest of those that are used for least, between two uses. */
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

/** The oldest that is used so, of the first holder that has one. */
function first(holders: readonly Set<Place>[], use: number): Place | undefined {
  for (const held of holders) {
    const place = cheapest(held, use, use)
    if (place) return place
  }
  return undefined
}

/** Idle or unfinished, of the first holder that has one. */
function firstAtRest(holders: readonly Set<Place>[], except: Place): Place | undefined {
  for (const held of holders) {
    const place = cheapest(held, IDLE, held.size > FEW ? UNFINISHED : IDLE, except)
    if (place) return place
  }
  return undefined
}

/** Of the holder that has most, if that is twice as much as `own`, and not few. */
function oldestOfMost([most]: readonly Set<Place>[], own: number): Place | undefined {
  if (!most || most.size <= FEW || most.size < 2 * own) return undefined
  const [oldest] = most
  return oldest
}

/** One function for all requests. Responses end in the order of their requests: nothing is left after the last. */
function over(this: ServerResponse): void {
  const socket: AskingSocket = this.req.socket
  const place = socket[PLACE]
  if (place?.response === this) place.response = undefined
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
