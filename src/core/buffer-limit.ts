import { FairRoom } from './fair-room.ts'
import { letGo } from './reclaim.ts'
import { Reception, type Flow } from './reception.ts'

/** What servers are sending and what clients have not read, over the whole process, before servers have to wait. */
const MAX_BYTES = 48 * 1024 * 1024
/** A message that has waited for so long goes on, whatever is held. */
const MAX_WAIT_MS = 10_000
/** How often it is looked at what waits. */
const LOOK_MS = 500

/**
 * Bounds what large messages from servers hold on their way to clients. It counts the bytes of messages that are not yet complete, and those that wait for
 * clients to read them. Each client and each server has a share (`FairRoom`); what does not fit is not read from its server until something leaves.
 * Where nothing waits for its client, and nothing else comes from its server, a message goes on all the same, since nothing of its own could make room;
 * where the room is full, this takes that nothing waits for any client and nothing else comes. After ten seconds each one goes on. A message that has stopped gives up its room where others wait for it.
 */
export class BufferLimit {
  readonly #room: FairRoom
  /** In the order in which they became large. */
  readonly #receptions = new Set<Reception>()
  #timer: NodeJS.Timeout | undefined

  constructor(maxBytes = MAX_BYTES) {
    this.#room = new FairRoom(maxBytes)
  }

  /** Bytes that are held, of all. */
  get bytes(): number {
    return this.#room.bytes
  }

  /** So many more bytes wait for `client` than before; less when negative. */
  waits(client: string, bytes: number): void {
    this.#room.unread(client, bytes)
    if (bytes < 0) this.#resume()
  }

  /** Called by a reception: it holds so many bytes more. */
  received(reception: Reception, bytes: number): void {
    this.#receptions.add(reception)
    this.#hold(reception, bytes)
    if (this.#mayGoOn(reception)) return
    reception.wait()
    this.#timer ??= setInterval(() => this.#look(), LOOK_MS).unref()
  }

  /** Called by a reception: it is over, and held so many bytes. */
  over(reception: Reception, bytes: number): void {
    if (!this.#receptions.delete(reception)) return
    letGo(bytes)
    this.#hold(reception, -bytes)
    this.#resume()
  }

  #hold({ client, server }: Reception, bytes: number): void {
    this.#room.coming(client, server, bytes)
  }

  #mayGoOn(reception: Reception): boolean {
    const { client, server } = reception
    if (reception.hasWaited(MAX_WAIT_MS)) return true
    const { isFull } = this.#room
    if (!isFull && this.#room.fits(client, server)) return true
    if ((isFull ? this.#room.allUnread : this.#room.unreadOf(client)) > 0) return false
    for (const other of this.#receptions)
      if (other !== reception && (isFull || other.server === server) && other.comes) return false
    return true
  }

  #look(): void {
    for (const reception of this.#receptions) {
      this.#hold(reception, -reception.bytes)
      reception.attribute()
      this.#hold(reception, reception.bytes)
    }
    const stopped = [...this.#receptions].filter(reception => reception.hasStopped())
    if (stopped.length > 0) this.#giveUp(stopped)
    this.#resume()
  }

  /** Of messages that have stopped, the largest go first, and only those whose room lets another one go on. */
  #giveUp(stopped: Reception[]): void {
    stopped.sort((one, other) => other.bytes - one.bytes)
    for (const reception of this.#receptions) {
      if (!reception.isWaiting || !this.#wouldGoOn(reception, stopped)) continue
      while (reception.isWaiting && !this.#mayGoOn(reception)) {
        const next = stopped.shift()
        if (!next) return
        next.giveUp()
      }
    }
  }

  #wouldGoOn(reception: Reception, without: readonly Reception[]): boolean {
    for (const other of without) this.#hold(other, -other.bytes)
    const would = this.#mayGoOn(reception)
    for (const other of without) this.#hold(other, other.bytes)
    return would
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

/**
 * Counts in this process what comes on a stream of a server: as that of the client that `owner` names, else as the server's own. `giveUp` lets go of the
 * unfinished message and fails the call that it answers.
 */
export function receptionFrom(
  server: string,
  owner: () => string | undefined,
  flow: Flow,
  giveUp: () => void,
): Reception {
  const client = (): string => owner() ?? `server ${server}`
  return new Reception(processBuffers(), { server, client }, flow, giveUp)
}

/** The one of this process. */
let ofProcess: BufferLimit | undefined

export function processBuffers(): BufferLimit {
  ofProcess ??= new BufferLimit()
  return ofProcess
}
