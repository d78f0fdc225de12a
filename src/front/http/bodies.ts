import type { IncomingMessage } from 'node:http'
import { monotonicNow } from '../../core/clock.ts'
import { GatewayError } from '../../core/errors.ts'
import { HttpError } from '../../core/http-error.ts'
import { MessageBody } from '../../core/message-body.ts'
import { letGo } from '../../core/reclaim.ts'
import { SharedRoom } from '../../core/shared-room.ts'
import { countValues, MAX_CLIENT_VALUES, TooManyValues, VALUE_BYTES } from '../../protocol/values.ts'
import { FairQueue } from './fair-queue.ts'
import { takenBody } from './taken-body.ts'

/** Bodies up to this size are read as they come: their number is that of connections. */
const TINY_BYTES = 4 * 1024
/** So are bodies up to this size, as long as those that are unfinished are no more together than `SMALL_ROOM_BYTES`. */
const SMALL_BYTES = 64 * 1024
const SMALL_ROOM_BYTES = 16 * 1024 * 1024
/** A text of this length, in which every second character is a value, holds no more than that. */
const LIGHT_CHARS = Math.floor(SMALL_BYTES / (1 + VALUE_BYTES / 2))
/** What all larger bodies may hold, unless one may be larger than half of it. */
const ROOM_BYTES = 128 * 1024 * 1024
/** Beside it, this part of the room is for clients that hold little. */
const RESERVE_SHARE = 1 / 4
/** While others wait, a body that takes longer than this ends. */
const SLOW_MS = 10_000
/** How long a body waits for room, and how many may. What has come of one that is not read holds about 70 KiB. */
const MAX_WAIT_MS = 30_000
const MAX_WAITING = 1024

/** A body that has come. */
export interface Body {
  readonly text: string
  /**
   * To be called when nothing holds the text and its values any more: its call is over. Idempotent. Bodies that are small
   * with all their values have none, since they take no room.
   */
  readonly letGo: (() => void) | undefined
}

/** What one body takes of the room. */
interface Room {
  held: number
}

interface Place {
  readonly principal: string
  readonly bytes: number
  since: number
  readonly begin: () => void
  readonly refuse: (error: HttpError) => void
}

/**
 * Reads the bodies of requests. What they hold until their calls are over is bounded: their bytes, and those of the values
 * in them, whose number is bounded for each body. A larger one begins when there is
 * room for all of it (`SharedRoom`), and until then its connection is not read. Of those that wait, the client that holds least is next.
 */
export class Bodies {
  #maxBytes: number
  /** By principal. */
  readonly #room: SharedRoom
  /** Small bodies that have not come in full. Those above a client's share are read as large ones are. */
  readonly #small = new SharedRoom(SMALL_ROOM_BYTES)
  readonly #reading = new Set<Place>()
  readonly #waiting = new FairQueue<Place>(MAX_WAITING)

  constructor(maxBytes: number) {
    this.#maxBytes = maxBytes
    const bytes = Math.max(ROOM_BYTES, 2 * maxBytes)
    this.#room = new SharedRoom(bytes, RESERVE_SHARE * bytes)
  }

  /** Another largest body. What is being read goes by the one of before. */
  resize(maxBytes: number): void {
    if (maxBytes === this.#maxBytes) return
    this.#maxBytes = maxBytes
    const bytes = Math.max(ROOM_BYTES, 2 * maxBytes)
    this.#room.resize(bytes, RESERVE_SHARE * bytes)
  }

  /**
   * The body. It takes its room until it is let go.
   * @throws HttpError 408, 413, 415, 500, 503; TooManyValues; GatewayError `cancelled` when the client leaves before it has
   * sent all
   */
  read(request: IncomingMessage, principal: string): Promise<Body> {
    const type = request.headers['content-type']
    if (type === undefined || !/^application\/json\b/i.test(type))
      return Promise.reject(new HttpError(415, 'The body must be of type application/json.'))
    if (request.readableDidRead) return this.#readTaken(request, principal)
    const length = request.headers['content-length']
    const bytes = length === undefined ? this.#maxBytes : Number(length)
    if (bytes > this.#maxBytes) return Promise.reject(tooLarge(this.#maxBytes))
    if (bytes > SMALL_BYTES || (bytes > TINY_BYTES && !this.#small.fits(principal, bytes)))
      return this.#readLarge(request, principal, bytes)
    return new Promise((resolve, reject) => {
      if (bytes > TINY_BYTES) this.#readsSmall(principal, bytes, request)
      receive(request, bytes, text => this.#deliver(text, principal, { held: 0 }, resolve, reject), reject)
    })
  }

  /** Something has read the body before. Its bytes are in memory already, so it waits for no room. */
  async #readTaken(request: IncomingMessage, principal: string): Promise<Body> {
    const bytes = takenBody(request)
    if (bytes.length > this.#maxBytes) throw tooLarge(this.#maxBytes)
    return new Promise((resolve, reject) =>
      this.#deliver(bytes.toString(), principal, { held: 0 }, resolve, reject),
    )
  }

  /**
   * A body has come, and takes what it holds with its values. Where that is more than twice its size, there has to be room
   * for it. It does not wait for that, because its bytes would hold room meanwhile.
   */
  #deliver(
    text: string,
    principal: string,
    room: Room,
    resolve: (body: Body) => void,
    reject: (error: Error) => void,
  ): void {
    const bytes = weightOf(text)
    const more = (bytes ?? 0) - room.held
    if (bytes === undefined || (more > text.length && !this.#room.fits(principal, more))) {
      this.#leave(principal, room)
      return reject(bytes === undefined ? new TooManyValues(text) : noRoom())
    }
    if (more !== 0) this.#room.add(principal, more)
    room.held = bytes
    if (more < 0) this.#next()
    resolve({ text, letGo: bytes > 0 ? () => this.#leave(principal, room) : undefined })
  }

  #leave(principal: string, room: Room): void {
    const { held } = room
    if (held === 0) return
    room.held = 0
    this.#room.add(principal, -held)
    letGo(held)
    this.#next()
  }

  /**
   * Ends what takes too long while clients wait that hold no more, as much as they need; those of the client that holds
   * most first. `now` by `monotonicNow()`.
   */
  sweep(now = monotonicNow()): void {
    if (this.#waiting.size === 0) return
    for (const place of this.#waiting.all()) if (now - place.since > MAX_WAIT_MS) place.refuse(noRoom())
    const slow = [...this.#reading].filter(({ since }) => now - since > SLOW_MS)
    slow.sort((one, other) => this.#heldBy(other) - this.#heldBy(one))
    for (const place of slow) if (this.#leastWaiting() <= this.#heldBy(place)) place.refuse(tooSlow())
  }

  #readLarge(request: IncomingMessage, principal: string, bytes: number): Promise<Body> {
    return new Promise((resolve, reject) => {
      const room = { held: 0 }
      let body: MessageBody | undefined
      const leave = (): void => {
        this.#reading.delete(place)
        this.#leave(principal, room)
      }
      const left = (): void => {
        if (request.readableEnded) return
        this.#waiting.delete(place)
        leave()
        reject(new GatewayError('cancelled', 'The client left.'))
      }
      const place: Place = {
        principal,
        bytes,
        since: monotonicNow(),
        begin: () => {
          room.held = bytes
          body = receive(
            request,
            this.#maxBytes,
            text => {
              request.off('close', left)
              this.#reading.delete(place)
              this.#deliver(text, principal, room, resolve, reject)
            },
            error => {
              leave()
              reject(error)
            },
          )
        },
        refuse: error => {
          forget(request)
          body?.clear()
          this.#waiting.delete(place)
          leave()
          reject(error)
        },
      }
      // Also one that waits, and so has no other listener, may leave.
      request.once('close', left)
      // What fits never waits, however many do.
      if (this.#room.fits(principal, bytes)) this.#begin(place)
      else this.#waiting.add(place)?.refuse(noRoom())
    })
  }

  /** Lets those begin for whom there is room. */
  #next(): void {
    for (;;) {
      let next: Place | undefined
      for (const [principal, places] of this.#waiting.byPrincipal) {
        if (next && this.#room.of(principal) >= this.#heldBy(next)) continue
        next = this.#firstThatFits(places) ?? next
      }
      if (!next) return
      this.#waiting.delete(next)
      this.#begin(next)
    }
  }

  /** Of one client. Where one does not fit, larger ones need not be tried. */
  #firstThatFits(places: Iterable<Place>): Place | undefined {
    let tooMuch = Infinity
    for (const place of places) {
      if (place.bytes >= tooMuch) continue
      if (this.#room.fits(place.principal, place.bytes)) return place
      tooMuch = place.bytes
    }
    return undefined
  }

  #begin(place: Place): void {
    this.#reading.add(place)
    place.since = monotonicNow()
    this.#room.add(place.principal, place.bytes)
    place.begin()
  }

  /** What the client holds that waits and holds least. */
  #leastWaiting(): number {
    let least = Infinity
    for (const principal of this.#waiting.byPrincipal.keys())
      least = Math.min(least, this.#room.of(principal))
    return least
  }

  #heldBy({ principal }: Place): number {
    return this.#room.of(principal)
  }

  #readsSmall(principal: string, bytes: number, request: IncomingMessage): void {
    this.#small.add(principal, bytes)
    const over = (): void => {
      this.#small.add(principal, -bytes)
      request.off('end', over)
      request.off('close', over)
    }
    request.on('end', over)
    request.on('close', over)
  }
}

/**
 * Takes what comes of a request until its end. Fails with HttpRefusal 413, or with GatewayError `cancelled`.
 * @returns what has come; a request that is refused in between leaves it to be cleared
 */
function receive(
  request: IncomingMessage,
  maxBytes: number,
  resolve: (text: string) => void,
  reject: (error: Error) => void,
): MessageBody {
  const body = new MessageBody(maxBytes)
  request.on('data', (chunk: Buffer) => {
    if (body.append(chunk)) return
    forget(request)
    body.clear()
    reject(tooLarge(maxBytes))
  })
  // Listeners live as long as the request, and that as long as its answer: what they refer to goes before.
  request.on('end', () => resolve(body.take()))
  request.on('error', error => {
    body.clear()
    reject(new GatewayError('cancelled', 'The client left.', { cause: error }))
  })
  return body
}

/** What has come of a body is dropped, and so is the rest. */
function forget(request: IncomingMessage): void {
  for (const event of ['data', 'end', 'error']) request.removeAllListeners(event)
  request.resume()
}

function noRoom(): HttpError {
  return new HttpError(
    503,
    'Too many large requests are in progress; this one found no room in time. Try again later.',
    { 'retry-after': '5', connection: 'close' },
  )
}

function tooSlow(): HttpError {
  return new HttpError(
    408,
    `The body took longer than ${SLOW_MS / 1000} seconds while others were waiting for its room. Send it faster, or less at once.`,
    { connection: 'close' },
  )
}

function tooLarge(maxBytes: number): HttpError {
  return new HttpError(
    413,
    `The body is larger than ${maxBytes} bytes. Raise "gateway.http.maxBody" if that is expected.`,
    { connection: 'close' },
  )
}

/** What a text and its values hold; `0` where that is little, `undefined` for more values than one may have. */
function weightOf(text: string): number | undefined {
  if (text.length <= LIGHT_CHARS) return 0
  const values = countValues(text, MAX_CLIENT_VALUES)
  if (values > MAX_CLIENT_VALUES) return undefined
  const bytes = text.length + VALUE_BYTES * values
  return bytes <= SMALL_BYTES ? 0 : bytes
}
