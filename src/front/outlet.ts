import type { ServerResponse } from 'node:http'
import { letGo } from '../core/reclaim.ts'
import { pieceEnd } from '../core/text-pieces.ts'
import { EVENT_END, eventStart, eventText } from '../protocol/sse.ts'
import type { Backlogs } from './backlogs.ts'

/** More than this is written piece by piece, as the client takes it: what the system holds of it cannot be taken back. */
export const LARGE_BYTES = 256 * 1024
const PIECE_BYTES = 64 * 1024

/** What waits, from `at` on. Text is held as it came: as bytes it would lie in memory twice. */
interface Waiting {
  readonly data: string | Buffer
  readonly size: number
  at: number
}

/** What goes to one client on one connection, as fast as that reads. What waits is counted by `Backlogs`, which ends it when it is too much. */
export class Outlet {
  /** Whose it is. */
  readonly principal: string
  readonly #response: ServerResponse
  readonly #backlogs: Backlogs
  #waiting: Waiting[] = []
  #bytes = 0
  #large = 0
  #listens = false
  #ending = false
  /** Called when the client has caught up. */
  onCaughtUp: (() => void) | undefined
  /** When the client last took something, by `performance.now()`. */
  movedAt = 0
  /** Since when the client is behind, by `performance.now()`. */
  behindSince = 0

  constructor(response: ServerResponse, principal: string, backlogs: Backlogs) {
    this.#response = response
    this.principal = principal
    this.#backlogs = backlogs
  }

  /** Bytes that wait. */
  get bytes(): number {
    return this.#bytes
  }

  /** The client has not yet taken what was written before. */
  get behind(): boolean {
    return this.#waiting.length > 0 || this.#response.writableNeedDrain
  }

  get ended(): boolean {
    return this.#ending || this.#response.writableEnded || this.#response.destroyed
  }

  write(data: string | Buffer): void {
    if (this.ended) return
    const wasBehind = this.behind
    if (!wasBehind && data.length <= LARGE_BYTES) {
      if (!this.#response.write(data)) this.#fallsBehind()
      return
    }
    const size = Buffer.byteLength(data)
    if (size > LARGE_BYTES) this.#large += size
    this.#waiting.push({ data, size, at: 0 })
    this.#bytes += size
    if (wasBehind) this.#listen()
    else this.#fallsBehind()
    this.#backlogs.changed(this, size)
    this.#pump()
  }

  /** Writes one event. `data` must be on one line. A large one goes in parts, so that it is not copied. */
  event(data: string, id?: string): void {
    if (data.length <= LARGE_BYTES) return this.write(eventText(data, id))
    this.write(eventStart(id))
    this.write(data)
    this.write(EVENT_END)
  }

  end(): void {
    if (this.#waiting.length > 0) this.#ending = true
    else this.#finish()
  }

  /** Ends the connection with what is left on it. */
  destroy(): void {
    this.#response.destroy()
    this.#gone()
  }

  #finish(): void {
    if (!this.#response.writableEnded) this.#response.end()
    letGo(this.#large)
    this.#large = 0
  }

  #fallsBehind(): void {
    this.movedAt = this.behindSince = performance.now()
    this.#listen()
  }

  #listen(): void {
    if (this.#listens) return
    this.#listens = true
    this.#response.on('drain', () => {
      this.movedAt = performance.now()
      this.#pump()
    })
    this.#response.on('close', () => this.#gone())
    this.#backlogs.began(this)
  }

  #pump(): void {
    while (!this.#response.writableNeedDrain) {
      const [first] = this.#waiting
      if (!first) break
      const { data, at, size } = first
      first.at = typeof data === 'string' ? pieceEnd(data, at) : Math.min(data.length, at + PIECE_BYTES)
      const piece = typeof data === 'string' ? data.slice(at, first.at) : data.subarray(at, first.at)
      if (first.at === data.length) {
        // Before its last piece is gone, all of it is held.
        this.#waiting.shift()
        this.#bytes -= size
        this.#backlogs.changed(this, -size)
      }
      this.#response.write(piece)
    }
    if (this.behind) return
    if (this.#ending) this.#finish()
    else this.onCaughtUp?.()
  }

  #gone(): void {
    this.#waiting = []
    this.#backlogs.changed(this, -this.#bytes)
    this.#bytes = 0
    this.#backlogs.over(this)
    letGo(this.#large)
    this.#large = 0
  }
}
