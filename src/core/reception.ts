import { Pauses } from './pauses.ts'

/** Smaller messages are not counted: their number is that of connections. */
const SMALL_BYTES = 256 * 1024
/** A message of which less than so many bytes come within so many milliseconds has stopped. */
export const STALLED = { bytes: 16 * 1024, ms: 2000 }

export function isSmall(bytes: number): boolean {
  return bytes <= SMALL_BYTES
}

/** A stream from a server. */
export interface Flow {
  pause(): void
  resume(): void
}

/** Where a message comes from, and whose it is. */
export interface Origin {
  readonly server: string
  /** Names the client whose call it answers now; where that may be any, what stands for the server. */
  readonly client: () => string
}

/** What bounds receptions. */
export interface Bounding {
  received(reception: Reception, bytes: number): void
  over(reception: Reception, bytes: number): void
}

/** One stream on which messages come, one after another; it is not read while what it brings has no room. */
export class Reception {
  readonly server: string
  /** Whose its message is. */
  client: string
  readonly #clientNow: () => string
  readonly #limit: Bounding
  readonly #flow: Flow
  readonly #giveUp: () => void
  readonly #pauses = new Pauses()
  #bytes = 0
  #waitsSince: number | undefined
  /** When its message last came to `#movedBytes`, by `performance.now()`. */
  #movedAt = 0
  #movedBytes = 0
  #suspected = false
  /** It has waited long enough: the rest of its message is read as it comes. */
  #patient = false

  /** `giveUp` lets go of the unfinished message and fails the call that it answers. */
  constructor(limit: Bounding, origin: Origin, flow: Flow, giveUp: () => void) {
    this.#limit = limit
    this.server = origin.server
    this.#clientNow = origin.client
    this.client = origin.client()
    this.#flow = flow
    this.#giveUp = giveUp
  }

  /** Asks again whose its message is: others may have calls on the same stream by now. */
  attribute(): void {
    this.client = this.#clientNow()
  }

  /** Bytes of the unfinished message, where it is large. */
  get bytes(): number {
    return this.#bytes
  }

  /** So many bytes of an unfinished message are held now. */
  at(bytes: number): void {
    if (isSmall(bytes)) {
      if (this.#bytes > 0) this.end()
      return
    }
    if (this.#bytes === 0) this.attribute()
    const more = bytes - this.#bytes
    // Another message has begun.
    if (more < 0) this.#movedBytes = 0
    if (this.#bytes === 0 || bytes - this.#movedBytes >= STALLED.bytes) this.#moved(bytes)
    this.#bytes = bytes
    this.#limit.received(this, more)
  }

  /** Nothing is held any more. */
  end(): void {
    const bytes = this.#bytes
    this.#bytes = 0
    this.#movedBytes = 0
    this.#patient = false
    this.goOn()
    this.#limit.over(this, bytes)
  }

  /** Its message has stopped and takes room that others wait for. */
  giveUp(): void {
    this.#giveUp()
    this.end()
  }

  /** Whether more of its message may come. */
  get comes(): boolean {
    return this.#waitsSince === undefined && !this.#isStalled
  }

  /**
   * Whether its message has stopped. Only the second look in a row says so: what came while the process was busy is read between the two.
   */
  hasStopped(): boolean {
    const stalled = this.#bytes > 0 && this.#waitsSince === undefined && this.#isStalled
    const suspected = this.#suspected
    this.#suspected = stalled
    return stalled && suspected
  }

  get isWaiting(): boolean {
    return this.#waitsSince !== undefined
  }

  /** How long it has waited by now. */
  get waitedMs(): number {
    return this.#waitsSince === undefined ? 0 : performance.now() - this.#waitsSince
  }

  /** Whether it has waited for so long with the message that is not complete. */
  hasWaited(ms: number): boolean {
    this.#patient ||= this.waitedMs > ms
    return this.#patient
  }

  /** How long the stream was not read for want of room, since `moment` of `monotonicNow()`. */
  pausedMs(moment: number): number {
    return this.#pauses.after(moment)
  }

  wait(): void {
    if (this.#waitsSince !== undefined) return
    this.#waitsSince = performance.now()
    this.#pauses.begin()
    this.#flow.pause()
  }

  goOn(): void {
    if (this.#waitsSince === undefined) return
    this.#waitsSince = undefined
    this.#pauses.end()
    this.#moved(this.#bytes)
    this.#flow.resume()
  }

  get #isStalled(): boolean {
    return performance.now() - this.#movedAt >= STALLED.ms
  }

  #moved(bytes: number): void {
    this.#movedAt = performance.now()
    this.#movedBytes = bytes
    this.#suspected = false
  }
}
