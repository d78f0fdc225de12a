import { STALLED, type GivenUp } from './given-up.ts'
import { Pace } from './pace.ts'
import { Pauses } from './pauses.ts'

/** Messages up to this size are small. */
export const SMALL_BYTES = 256 * 1024
/** What has come of a message up to this size is not counted: its connection holds as much. */
export const UNCOUNTED_BYTES = 16 * 1024
/** After a longer time between two looks it is not known what came in it, since the process was busy or did not look. */
const LONGEST_LOOK_MS = 2000

export function isSmall(bytes: number): boolean {
  return bytes <= SMALL_BYTES
}

/** After so long without bytes that count, a message is not about to go on. */
const QUIET_MS = 500

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
  /** Messages above this size are large: less where the small ones hold much. */
  readonly largeFrom: number
  /** So many bytes more are held of small messages; less when negative. */
  small(bytes: number): void
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
  readonly #giveUp: (why: GivenUp) => void
  readonly #pauses = new Pauses()
  readonly #pace = new Pace()
  #bytes = 0
  #smallBytes = 0
  #waitsSince: number | undefined
  /** How long its message waited before. */
  #waitedMs = 0
  /** When its message last came to `#movedBytes`, by `performance.now()`. */
  #movedAt = 0
  #movedBytes = 0
  #suspected = false
  /** When it was last looked at its pace, and what had come by then; `undefined` when it has waited since. */
  #looked: { readonly at: number; readonly bytes: number } | undefined

  /** `giveUp` lets go of the unfinished message and fails the call that it answers. */
  constructor(limit: Bounding, origin: Origin, flow: Flow, giveUp: (why: GivenUp) => void) {
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
    // Another message has begun.
    if (bytes < this.#bytes + this.#smallBytes) this.end()
    if (this.#bytes === 0 && bytes <= this.#limit.largeFrom) {
      if (bytes > 0) this.#smallTo(bytes)
      return
    }
    this.#smallTo(0)
    if (this.#bytes === 0) this.attribute()
    const more = bytes - this.#bytes
    if (this.#bytes === 0 || bytes - this.#movedBytes >= STALLED.bytes) this.#moved(bytes)
    this.#bytes = bytes
    this.#limit.received(this, more)
  }

  /** Nothing is held any more. */
  end(): void {
    this.#smallTo(0)
    const bytes = this.#bytes
    if (bytes === 0) return
    this.#bytes = 0
    this.#movedBytes = 0
    this.#looked = undefined
    this.#pace.restart()
    this.goOn()
    this.#waitedMs = 0
    this.#limit.over(this, bytes)
  }

  /** Its message takes room that others wait for. */
  giveUp(why: GivenUp): void {
    this.#giveUp(why)
    this.end()
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

  /** Called at intervals: counts what came since the last time. The time in which it waited is not counted. */
  look(): void {
    const at = performance.now()
    const last = this.#looked
    this.#looked = this.#waitsSince === undefined ? { at, bytes: this.#bytes } : undefined
    if (last && this.#looked && at - last.at <= LONGEST_LOOK_MS)
      this.#pace.add(at - last.at, this.#bytes - last.bytes)
  }

  /** Whether nothing of its message came for a moment. */
  get isQuiet(): boolean {
    return performance.now() - this.#movedAt >= QUIET_MS
  }

  /** How fast its message came lately while it was read; `undefined` while it waits, or that is not known. */
  get bytesPerSecond(): number | undefined {
    return this.#waitsSince === undefined ? this.#pace.bytesPerSecond : undefined
  }

  get isWaiting(): boolean {
    return this.#waitsSince !== undefined
  }

  /** How long its message has waited by now, in all; 0 while it does not wait. */
  get waitedMs(): number {
    return this.#waitsSince === undefined ? 0 : this.#waitedMs + performance.now() - this.#waitsSince
  }

  /** How long the stream was not read for want of room, since `moment` of `monotonicNow()`. */
  pausedMs(moment: number): number {
    return this.#pauses.after(moment)
  }

  wait(): void {
    if (this.#waitsSince !== undefined) return
    this.#waitsSince = performance.now()
    this.#looked = undefined
    this.#pauses.begin()
    this.#flow.pause()
  }

  goOn(): void {
    if (this.#waitsSince === undefined) return
    this.#waitedMs = this.waitedMs
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

  #smallTo(bytes: number): void {
    if (bytes === this.#smallBytes) return
    this.#limit.small(bytes - this.#smallBytes)
    this.#smallBytes = bytes
  }
}
