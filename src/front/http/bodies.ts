import type { IncomingMessage } from 'node:http'
import { monotonicNow } from '../../core/clock.ts'
import { GatewayError } from '../../core/errors.ts'
import { HttpError } from '../../core/http-error.ts'
import { MessageBody } from '../../core/message-body.ts'
import { letGo } from '../../core/reclaim.ts'
import { SharedRoom } from '../../core/shared-room.ts'
import { countValues, MAX_CLIENT_VALUES, TooManyValues, VALUE_BYTES } from '../../protocol/values.ts'
import { PrincipalQueue } from './principal-queue.ts'
import { takenBody } from './taken-body.ts'

/** Bodies up to this size are read at once. Their number is bounded by that of connections. */
const TINY_BYTES = 4 * 1024
/** Bodies up to this size are read at once, too, while the unfinished ones take at most `SMALL_ROOM_BYTES` together. */
const SMALL_BODY_BYTES = 64 * 1024
const SMALL_ROOM_BYTES = 16 * 1024 * 1024
/** A text of this length takes at most `SMALL_BODY_BYTES`, even if every second character is a value. */
const LIGHT_CHARS = Math.floor(SMALL_BODY_BYTES / (1 + VALUE_BYTES / 2))
/** Room for all larger bodies together. At least twice the largest allowed body. */
const ROOM_BYTES = 128 * 1024 * 1024
/** Additional room, as a share, for clients that hold little. */
const RESERVE_SHARE = 1 / 4
/** While others wait, a body that takes longer than this is refused. */
const SLOW_MS = 10_000
/** How long a body waits for room, and how many may wait. An unread body already holds about 70 KiB. */
const MAX_WAIT_MS = 30_000
const MAX_WAITING = 1024

/** A received body. */
export interface Body {
  readonly text: string
  /**
   * To be called when nothing refers to the text and its values any more, because the call is over. Idempotent. Absent
   * for bodies that are small with all their values, since they take no room.
   */
  readonly letGo: (() => void) | undefined
}

/** The room of one body. */
interface Room {
  held: number
}

interface PendingBody {
  readonly principal: string
  readonly bytes: number
  since: number
  readonly begin: () => void
  readonly refuse: (error: HttpError) => void
}

/**
 * Reads the bodies of requests. Bounds the memory that they hold until their calls are over: their bytes, and the
 * values in them, whose number is bounded for each body. The reading of a larger body begins when there is room for all
 * of it (`SharedRoom`). Until then its connection is not read. The client that holds least is served first.
 */
export class Bodies {
  #maxBytes: number
  /** Room by principal. */
  readonly #room: SharedRoom
  /** Unfinished small bodies. Those above a client's share are read like large ones. */
  readonly #small = new SharedRoom(SMALL_ROOM_BYTES)
  readonly #reading = new Set<PendingBody>()
  readonly #waiting = new PrincipalQueue<PendingBody>(MAX_WAITING)

  constructor(maxBytes: number) {
    this.#maxBytes = maxBytes
    const bytes = Math.max(ROOM_BYTES, 2 * maxBytes)
    this.#room = new SharedRoom(bytes, RESERVE_SHARE * bytes)
  }

  /** Sets another maximum body size. Bodies that are being read keep the former one. */
  resize(maxBytes: number): void {
    if (maxBytes === this.#maxBytes) return
    this.#maxBytes = maxBytes
    const bytes = Math.max(ROOM_BYTES, 2 * maxBytes)
    this.#room.resize(bytes, RESERVE_SHARE * bytes)
  }

  /**
   * Reads the body of a request. It takes its room until it is released.
   * @throws HttpError 408, 413, 415, 500, 503; TooManyValues; GatewayError `cancelled` when the client disconnects
   * before it has sent all
   */
  read(request: IncomingMessage, principal: string): Promise<Body> {
    const type = request.headers['content-type']
    if (type === undefined || !/^application\/json\b/i.test(type))
      return Promise.reject(new HttpError(415, 'The body must be of type application/json.'))
    if (request.readableDidRead) return this.#readTaken(request, principal)
    const length = request.headers['content-length']
    const bytes = length === undefined ? this.#maxBytes : Number(length)
    if (bytes > this.#maxBytes) return Promise.reject(tooLarge(this.#maxBytes))
    if (bytes > SMALL_BODY_BYTES || (bytes > TINY_BYTES && !this.#small.fits(principal, bytes)))
      return this.#readLarge(request, principal, bytes)
    return new Promise((resolve, reject) => {
      if (bytes > TINY_BYTES) this.#readsSmall(principal, bytes, request)
      receive(request, bytes, text => this.#deliver(text, principal, { held: 0 }, resolve, reject), reject)
    })
  }

  /** Takes a body that a framework has already read. Its bytes are in memory, so it waits for no room. */
  async #readTaken(request: IncomingMessage, principal: string): Promise<Body> {
    const bytes = takenBody(request)
    if (bytes.length > this.#maxBytes) throw tooLarge(this.#maxBytes)
    return new Promise((resolve, reject) =>
      this.#deliver(bytes.toString(), principal, { held: 0 }, resolve, reject),
    )
  }

  /**
   * Delivers a complete body, which takes room for its text with its values. If that is more than twice its size, the
   * additional room has to be free: the body does not wait for it, because its bytes would hold room in the meantime.
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
   * Ends slow bodies while clients that hold no more are waiting, as many as needed. The client that holds
   * most is first. `now` by `monotonicNow()`.
   */
  sweep(now = monotonicNow()): void {
    if (this.#waiting.size === 0) return
    for (const body of this.#waiting.all()) if (now - body.since > MAX_WAIT_MS) body.refuse(noRoom())
    const slow = [...this.#reading].filter(({ since }) => now - since > SLOW_MS)
    slow.sort((one, other) => this.#heldBy(other) - this.#heldBy(one))
    for (const body of slow) if (this.#leastWaiting() <= this.#heldBy(body)) body.refuse(tooSlow())
  }

  #readLarge(request: IncomingMessage, principal: string, bytes: number): Promise<Body> {
    return new Promise((resolve, reject) => {
      const room = { held: 0 }
      let body: MessageBody | undefined
      const leave = (): void => {
        this.#reading.delete(pending)
        this.#leave(principal, room)
      }
      const left = (): void => {
        if (request.readableEnded) return
        this.#waiting.delete(pending)
        leave()
        reject(new GatewayError('cancelled', 'The client disconnected.'))
      }
      const pending: PendingBody = {
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
              this.#reading.delete(pending)
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
          this.#waiting.delete(pending)
          leave()
          reject(error)
        },
      }
      // A waiting request has no other listener for a disconnect.
      request.once('close', left)
      // A body that fits never waits, however many others do.
      if (this.#room.fits(principal, bytes)) this.#begin(pending)
      else this.#waiting.add(pending)?.refuse(noRoom())
    })
  }

  /** Starts the bodies for which there is room. */
  #next(): void {
    for (;;) {
      let next: PendingBody | undefined
      for (const [principal, bodies] of this.#waiting.byPrincipal) {
        if (next && this.#room.of(principal) >= this.#heldBy(next)) continue
        next = this.#firstThatFits(bodies) ?? next
      }
      if (!next) return
      this.#waiting.delete(next)
      this.#begin(next)
    }
  }

  /** The first body of one client that fits. If one does not fit, larger ones need not be tried. */
  #firstThatFits(bodies: Iterable<PendingBody>): PendingBody | undefined {
    let tooMuch = Infinity
    for (const body of bodies) {
      if (body.bytes >= tooMuch) continue
      if (this.#room.fits(body.principal, body.bytes)) return body
      tooMuch = body.bytes
    }
    return undefined
  }

  #begin(body: PendingBody): void {
    this.#reading.add(body)
    body.since = monotonicNow()
    this.#room.add(body.principal, body.bytes)
    body.begin()
  }

  /** Bytes held by the waiting client that holds least. */
  #leastWaiting(): number {
    let least = Infinity
    for (const principal of this.#waiting.byPrincipal.keys())
      least = Math.min(least, this.#room.of(principal))
    return least
  }

  #heldBy({ principal }: PendingBody): number {
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
 * Receives the body of a request to its end. Fails with HttpError 413, or with GatewayError `cancelled`.
 * @returns the buffer, which has to be cleared if the request is refused in the meantime
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
  // Listeners live as long as the request, and the request as long as its answer. So the references are dropped here.
  request.on('end', () => resolve(body.take()))
  request.on('error', error => {
    body.clear()
    reject(new GatewayError('cancelled', 'The client disconnected.', { cause: error }))
  })
  return body
}

/** Drops the received part of a body and the rest. */
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

/** Memory of a text with its values: `0` for a small one, `undefined` for more values than are allowed. */
function weightOf(text: string): number | undefined {
  if (text.length <= LIGHT_CHARS) return 0
  const values = countValues(text, MAX_CLIENT_VALUES)
  if (values > MAX_CLIENT_VALUES) return undefined
  const bytes = text.length + VALUE_BYTES * values
  return bytes <= SMALL_BODY_BYTES ? 0 : bytes
}
