import { HeldBy } from './held-by.ts'
import { letGo } from './reclaim.ts'

/** What servers are sending and what clients have not read, over the whole process, before servers have to wait. */
const MAX_BYTES = 48 * 1024 * 1024
/** Smaller messages are not counted: their number is that of connections. */
const SMALL_BYTES = 256 * 1024
/** A message that has waited for so long goes on, whatever is held. */
const MAX_WAIT_MS = 10_000
/** A message of which nothing has come for so long makes no room for others. */
const STALLED_MS = 2000

export function isSmall(bytes: number): boolean {
  return bytes <= SMALL_BYTES
}

/** A stream from a server. */
export interface Flow {
  pause(): void
  resume(): void
}

/**
 * Bounds what large messages from servers hold on their way to clients. It counts the bytes of messages that are not yet complete, and those that wait for
 * clients to read them. No owner may hold more than is free, so there is always room for another one; what does not fit is not read from its server until
 * something leaves. One message at a time goes on all the same when nothing waits for a client and no other message is coming, since then nothing else could
 * make room; and each one does after ten seconds.
 */
export class BufferLimit {
  readonly #maxBytes: number
  /** Bytes by owner. */
  readonly #held = new HeldBy()
  /** In the order in which they became large. */
  readonly #receptions = new Set<Reception>()
  #bytes = 0
  #unread = 0
  #timer: NodeJS.Timeout | undefined

  constructor(maxBytes = MAX_BYTES) {
    this.#maxBytes = maxBytes
  }

  /** Bytes that are held, of all owners. */
  get bytes(): number {
    return this.#bytes
  }

  /** So many more bytes wait for clients of `owner` than before; less when negative. */
  waits(owner: string, bytes: number): void {
    this.#unread += bytes
    this.#hold(owner, bytes)
    if (bytes < 0) this.#resume()
  }

  /** Called by a reception: it holds so many bytes more. */
  received(reception: Reception, bytes: number): void {
    this.#receptions.add(reception)
    this.#hold(reception.owner, bytes)
    if (!this.#mayGoOn(reception)) {
      reception.wait()
      this.#timer ??= setInterval(() => this.#resume(), 1000).unref()
    }
  }

  /** Called by a reception: it is over, and held so many bytes. */
  over(reception: Reception, bytes: number): void {
    if (!this.#receptions.delete(reception)) return
    letGo(bytes)
    this.#hold(reception.owner, -bytes)
    this.#resume()
  }

  #hold(owner: string, bytes: number): void {
    this.#bytes += bytes
    this.#held.add(owner, bytes)
  }

  #mayGoOn(reception: Reception): boolean {
    if (this.#held.of(reception.owner) <= this.#maxBytes - this.#bytes) return true
    return reception.hasWaited(MAX_WAIT_MS) || (this.#unread === 0 && !this.#othersCome(reception))
  }

  #othersCome(reception: Reception): boolean {
    for (const other of this.#receptions) if (other !== reception && other.comes(STALLED_MS)) return true
    return false
  }

  #resume(): void {
    let waiting = false
    for (const reception of this.#receptions) {
      if (!reception.isWaiting) continue
      if (this.#mayGoOn(reception)) reception.goOn()
      else waiting = true
    }
    if (waiting || this.#timer === undefined) return
    clearInterval(this.#timer)
    this.#timer = undefined
  }
}

/** One stream on which messages come, one after another; it is not read while what it brings has no room. */
export class Reception {
  readonly owner: string
  readonly #limit: BufferLimit
  readonly #flow: Flow
  #bytes = 0
  #waitsSince: number | undefined
  #movedAt = 0
  /** It has waited long enough: the rest of its message is read as it comes. */
  #patient = false

  /** `owner`: whose messages these are. */
  constructor(limit: BufferLimit, owner: string, flow: Flow) {
    this.#limit = limit
    this.owner = owner
    this.#flow = flow
  }

  /** So many bytes of an unfinished message are held now. */
  at(bytes: number): void {
    if (isSmall(bytes)) {
      if (this.#bytes > 0) this.end()
      return
    }
    const more = bytes - this.#bytes
    if (more > 0) this.#movedAt = performance.now()
    this.#bytes = bytes
    this.#limit.received(this, more)
  }

  /** Nothing is held any more. */
  end(): void {
    const bytes = this.#bytes
    this.#bytes = 0
    this.#patient = false
    this.goOn()
    this.#limit.over(this, bytes)
  }

  /** Whether something of its message has come within the last `ms`, and more may. */
  comes(ms: number): boolean {
    return this.#waitsSince === undefined && performance.now() - this.#movedAt < ms
  }

  get isWaiting(): boolean {
    return this.#waitsSince !== undefined
  }

  /** Whether it has waited for so long with the message that is not complete. */
  hasWaited(ms: number): boolean {
    this.#patient ||= this.#waitsSince !== undefined && performance.now() - this.#waitsSince > ms
    return this.#patient
  }

  wait(): void {
    if (this.#waitsSince !== undefined) return
    this.#waitsSince = performance.now()
    this.#flow.pause()
  }

  goOn(): void {
    if (this.#waitsSince === undefined) return
    this.#waitsSince = undefined
    this.#movedAt = performance.now()
    this.#flow.resume()
  }
}

/** Counts in this process what comes on a stream of a server: as that of the client whose call it answers, else as the server's own. */
export function receptionFrom(server: string, flow: Flow, client?: string): Reception {
  return new Reception(processBuffers(), client ?? `server ${server}`, flow)
}

/** The one of this process. */
let ofProcess: BufferLimit | undefined

export function processBuffers(): BufferLimit {
  ofProcess ??= new BufferLimit()
  return ofProcess
}
