import { FairRoom } from './fair-room.ts'
import { letGo } from './reclaim.ts'
import { Reception, type Flow } from './reception.ts'

/** What servers are sending and what clients have not read, over the whole process, before servers have to wait. */
const MAX_BYTES = 48 * 1024 * 1024
/** A message that has waited for so long goes on, whatever is held. */
const MAX_WAIT_MS = 10_000
/** After so long, a message for a client that has read everything has others' unread messages ended. */
const MAX_HELD_UP_MS = 750
/** How often it is looked at what waits. */
const LOOK_MS = 500

/** Connections to clients, on which messages wait to be read. */
export interface Unread {
  /** Ends the connection that takes room for longest, of the client that has most, where there is one that reads too slowly. */
  endLongest(): boolean
}

/**
 * Bounds what large messages from servers hold on their way to clients. It counts the bytes of messages that are not yet complete, and those that wait
 * for clients to read them. Each client and each server has a share (`FairRoom`); what does not fit is not read from its server until something leaves.
 * Where nothing waits for its client, and nothing else comes from its server, a message goes on all the same, since nothing of its own could make room;
 * where the others make the room full, this takes that nothing waits for any client and nothing else comes. After ten seconds each one goes on.
 * A message that has stopped gives up its room where others wait for it. Where the room is full, so does a connection that reads too slowly, for a client
 * that has read everything.
 */
export class BufferLimit {
  readonly #room: FairRoom
  /** In the order in which they became large. */
  readonly #receptions = new Set<Reception>()
  readonly #unreadBy = new Set<Unread>()
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

  /** On `connections` messages wait that count. */
  unreadBy(connections: Unread): void {
    this.#unreadBy.add(connections)
  }

  /** Nothing waits on `connections` any more. */
  allReadBy(connections: Unread): void {
    this.#unreadBy.delete(connections)
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
    if (this.#room.fits(client, server)) return true
    const isFull = this.#room.isFullFor(client)
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
    for (const reception of this.#receptions)
      if (reception.waitedMs > MAX_HELD_UP_MS) this.#endUnreadFor(reception)
    this.#resume()
  }

  /** Others that do not read do not hold up a client that does. */
  #endUnreadFor({ client }: Reception): void {
    if (this.#room.unreadOf(client) > 0) return
    while (this.#room.isFullFor(client)) if (![...this.#unreadBy].some(unread => unread.endLongest())) return
  }

  /** Of messages that have stopped, the largest go first, and only those whose room lets another one go on. */
  #giveUp(stopped: Reception[]): void {
    stopped.sort((one, other) => other.bytes - one.bytes)
    for (const reception of this.#receptions) {
      if (!reception.isWaiting || !this.#wouldGoOn(reception, stopped)) continue
      while (reception.isWaiting && !this.#mayGoOn(reception)) {
        const next = stopped.shift()
        if (!next) return
        if (next.bytes > 0) next.giveUp()
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
