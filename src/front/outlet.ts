import type { ServerResponse } from 'node:http'
import { letGo } from '../core/reclaim.ts'
import { pieceEnd } from '../core/text-pieces.ts'
import { EVENT_END, eventStart, eventText } from '../protocol/sse.ts'
import type { Backlogs } from './backlogs.ts'

/** Answers up to this size are not counted while they are sent. Their number is bounded by that of connections. */
export const UNCOUNTED_ANSWER_BYTES = 64 * 1024
/**
 * Longer output is written piece by piece, as the client reads: Node.js copies what it writes, and the copy cannot be
 * released early.
 */
const PIECE_BYTES = 64 * 1024

/** Output that waits, from offset `at` on. Text is kept as text, because it would otherwise be in memory twice. */
interface Waiting {
  readonly data: string | Buffer
  readonly size: number
  at: number
}

/**
 * Output to one client on one connection, written as fast as the client reads. `Backlogs` counts the waiting bytes, and
 * closes the connection when they are too many.
 */
export class Outlet {
  /** Principal of the client. */
  readonly principal: string
  readonly #response: ServerResponse
  readonly #backlogs: Backlogs
  #waiting: Waiting[] = []
  /** Bytes that wait. */
  #bytes = 0
  /** Bytes that the socket has not sent, where nothing waits behind them. */
  #unsent = 0
  #large = 0
  #listens = false
  #ending = false
  /** Called when the client has caught up. */
  onCaughtUp: (() => void) | undefined
  /** When the client last took something, by `performance.now()`. */
  #movedAt = 0
  /** Since when the client is behind, by `performance.now()`. */
  behindSince = 0

  constructor(response: ServerResponse, principal: string, backlogs: Backlogs) {
    this.#response = response
    this.principal = principal
    this.#backlogs = backlogs
  }

  /** Bytes that wait. */
  get bytes(): number {
    return this.#bytes + this.#unsent
  }

  /** Whether the client has not yet taken earlier output, on this response or on earlier ones of its connection. */
  get behind(): boolean {
    return this.#waiting.length > 0 || this.#mustWait
  }

  /**
   * When the client last took something, by `performance.now()`. The client is not late while earlier responses are
   * due.
   */
  get movedAt(): number {
    return this.#isQueued ? performance.now() : this.#movedAt
  }

  /** Whether earlier responses of its connection are not finished. */
  get #isQueued(): boolean {
    return this.#response.socket === null && !this.#response.destroyed
  }

  get #mustWait(): boolean {
    return this.#response.writableNeedDrain || this.#isQueued
  }

  get ended(): boolean {
    return this.#ending || this.#response.writableEnded || this.#response.destroyed
  }

  /** Writes one message. It may come in parts so that a large one is not copied. */
  write(...parts: readonly (string | Buffer)[]): void {
    if (this.ended) return
    const wasBehind = this.behind
    if (!wasBehind && lengthOf(parts) <= PIECE_BYTES) {
      for (const part of parts) this.#response.write(part)
      if (!this.behind) return
      this.#fallsBehind()
      this.#countUnsent()
      return
    }
    let added = 0
    for (const data of parts) {
      const size = Buffer.byteLength(data)
      if (size > UNCOUNTED_ANSWER_BYTES) this.#large += size
      this.#waiting.push({ data, size, at: 0 })
      added += size
    }
    this.#bytes += added
    if (wasBehind) this.#listen()
    else this.#fallsBehind()
    this.#backlogs.changed(this, added)
    this.#pump()
  }

  /** Writes one event. `data` must be on one line. */
  event(data: string, id?: string): void {
    if (data.length <= PIECE_BYTES) this.write(eventText(data, id))
    else this.write(eventStart(id), data, EVENT_END)
  }

  /** Ends the connection when the client has taken what was written. */
  end(): void {
    if (this.behind) this.#ending = true
    else this.#finish()
  }

  /** Closes the connection and drops the waiting output. */
  destroy(): void {
    // A response that waits for earlier ones has no socket of its own yet.
    this.#response.req.socket.destroy()
    this.#response.destroy()
    this.#gone()
  }

  #finish(): void {
    if (!this.#response.writableEnded) this.#response.end()
    letGo(this.#large)
    this.#large = 0
  }

  #fallsBehind(): void {
    this.#movedAt = this.behindSince = performance.now()
    this.#listen()
  }

  #listen(): void {
    if (this.#listens) return
    this.#listens = true
    const moved = (): void => {
      this.#movedAt = performance.now()
      this.#pump()
    }
    this.#response.on('drain', moved)
    this.#response.once('socket', moved)
    this.#response.on('close', () => this.#gone())
    this.#backlogs.began(this)
  }

  #pump(): void {
    while (!this.#mustWait) {
      const [first] = this.#waiting
      if (!first) break
      const { data, at, size } = first
      first.at = typeof data === 'string' ? pieceEnd(data, at) : Math.min(data.length, at + PIECE_BYTES)
      const piece = typeof data === 'string' ? data.slice(at, first.at) : data.subarray(at, first.at)
      if (first.at === data.length) {
        // A message is held in full until its last piece is sent.
        this.#waiting.shift()
        this.#bytes -= size
        this.#backlogs.changed(this, -size)
      }
      this.#response.write(piece)
    }
    this.#countUnsent()
    if (this.behind) return
    if (this.#ending) this.#finish()
    else this.onCaughtUp?.()
  }

  /**
   * A waiting message is counted until its last piece is written. The unsent bytes in the socket are counted from then
   * on.
   */
  #countUnsent(): void {
    const isUnsent = this.#waiting.length === 0 && this.#response.writableNeedDrain
    const before = this.#unsent
    this.#unsent = isUnsent ? this.#response.writableLength : 0
    if (this.#unsent !== before) this.#backlogs.changed(this, this.#unsent - before)
  }

  #gone(): void {
    const { bytes } = this
    this.#waiting = []
    this.#bytes = this.#unsent = 0
    this.#backlogs.changed(this, -bytes)
    this.#backlogs.over(this)
    letGo(this.#large)
    this.#large = 0
  }
}

function lengthOf(parts: readonly (string | Buffer)[]): number {
  let length = 0
  for (const part of parts) length += part.length
  return length
}
