import { STALLED, type DropReason } from './drop-reason.ts'
import { Pace } from './pace.ts'
import { Pauses } from './pauses.ts'

/** Messages up to this size are small. */
export const SMALL_MESSAGE_BYTES = 256 * 1024
/** Messages up to this size are not counted: the connection itself buffers as much. */
export const UNCOUNTED_BYTES = 16 * 1024
/** A longer gap between two samples is discarded, because the process was busy or did not sample. */
const LONGEST_LOOK_MS = 2000

export function isSmall(bytes: number): boolean {
  return bytes <= SMALL_MESSAGE_BYTES
}

/** After this long without counted bytes, a message is considered idle. */
const QUIET_MS = 500

/** A stream from a server. */
export interface Flow {
  pause(): void
  resume(): void
}

/** The source of a message, and its owner. */
export interface Origin {
  readonly server: string
  /** Names the client whose call the message answers; when that is unknown, a key that stands for the server. */
  readonly client: () => string
}

/** What bounds receptions. */
export interface Bounding {
  /** Messages above this size are large; the limit is lower while small messages hold much. */
  readonly largeFrom: number
  /** Adds to the bytes held by small messages; a negative amount removes them. */
  small(bytes: number): void
  received(reception: Reception, bytes: number): void
  over(reception: Reception, bytes: number): void
}

/** One stream of successive messages. It is not read while there is no room for its message. */
export class Reception {
  readonly server: string
  /** The owner of the current message. */
  client: string
  readonly #clientNow: () => string
  readonly #limit: Bounding
  readonly #flow: Flow
  readonly #giveUp: (why: DropReason) => void
  readonly #pauses = new Pauses()
  readonly #pace = new Pace()
  #bytes = 0
  #smallBytes = 0
  #waitsSince: number | undefined
  /** How long the message waited before the current wait. */
  #waitedMs = 0
  /** When the message last reached `#movedBytes`, by `performance.now()`. */
  #movedAt = 0
  #movedBytes = 0
  #suspected = false
  /** Time and bytes of the last sample; `undefined` when the message has waited since. */
  #looked: { readonly at: number; readonly bytes: number } | undefined

  /** `giveUp` drops the unfinished message and fails the call that it answers. */
  constructor(limit: Bounding, origin: Origin, flow: Flow, giveUp: (why: DropReason) => void) {
    this.#limit = limit
    this.server = origin.server
    this.#clientNow = origin.client
    this.client = origin.client()
    this.#flow = flow
    this.#giveUp = giveUp
  }

  /** Determines the owner of the message again, because other clients may now have calls on the stream. */
  attribute(): void {
    this.client = this.#clientNow()
  }

  /** Bytes of the unfinished message, when it is large. */
  get bytes(): number {
    return this.#bytes
  }

  /** Reports the number of bytes held of the unfinished message. */
  at(bytes: number): void {
    // Fewer bytes than before mean that another message has begun.
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

  /** Reports that nothing is held any more. */
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

  /** Drops the message because others wait for its room. */
  giveUp(why: DropReason): void {
    this.#giveUp(why)
    this.end()
  }

  /**
   * Whether the message has stalled. Two samples in a row are required: bytes that arrived while the process was busy
   * are read between them.
   */
  hasStopped(): boolean {
    const stalled = this.#bytes > 0 && this.#waitsSince === undefined && this.#isStalled
    const suspected = this.#suspected
    this.#suspected = stalled
    return stalled && suspected
  }

  /** Called at intervals: counts the bytes received since the last call. Time spent waiting is not counted. */
  look(): void {
    const at = performance.now()
    const last = this.#looked
    this.#looked = this.#waitsSince === undefined ? { at, bytes: this.#bytes } : undefined
    if (last && this.#looked && at - last.at <= LONGEST_LOOK_MS)
      this.#pace.add(at - last.at, this.#bytes - last.bytes)
  }

  /** Whether no bytes of the message arrived recently. */
  get isQuiet(): boolean {
    return performance.now() - this.#movedAt >= QUIET_MS
  }

  /** Recent rate of the message while it was read; `undefined` while it waits or when unknown. */
  get bytesPerSecond(): number | undefined {
    return this.#waitsSince === undefined ? this.#pace.bytesPerSecond : undefined
  }

  get isWaiting(): boolean {
    return this.#waitsSince !== undefined
  }

  /** Total wait of the message so far; 0 while it does not wait. */
  get waitedMs(): number {
    return this.#waitsSince === undefined ? 0 : this.#waitedMs + performance.now() - this.#waitsSince
  }

  /** How long the stream was paused for lack of room since `moment`, a value of `monotonicNow()`. */
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
