import { Exceeding } from './exceeding.ts'
import { FairRoom } from './fair-room.ts'
import { LEAST_BYTES_PER_S, STOPPED, tooMany, tooSlow, type DropReason } from './drop-reason.ts'
import { letGo } from './reclaim.ts'
import { Reception, SMALL_MESSAGE_BYTES, type Flow } from './reception.ts'

/** Bytes in the whole process, received from servers or not yet read by clients, above which servers have to wait. */
const MAX_BYTES = 48 * 1024 * 1024
/**
 * Unfinished messages, waiting ones included, hold at most this many times `MAX_BYTES`. A single message may be larger.
 */
const MOST = 4
/**
 * After this wait, a message no longer waits for clients to read, and the messages in its way must keep a minimum rate.
 */
const MAX_WAIT_MS = 10_000
/**
 * After this wait, a message for a client that has read everything causes unread messages of other clients to be
 * dropped.
 */
const MAX_HELD_UP_MS = 750
/** Interval at which waiting messages are examined. */
const LOOK_MS = 500
/**
 * Above this size a message counts as large when small messages fill the room, or when enough messages wait to fill it.
 */
const CROWDED_SMALL_BYTES = 32 * 1024

const NONE: ReadonlySet<Reception> = new Set()

/** Connections to clients on which messages wait to be read. */
export interface UnreadConnections {
  /**
   * Ends the connection that has held room for longest, of the client that holds most. Returns whether a connection
   * that reads too slowly was found.
   */
  endLongest(): boolean
}

/**
 * Bounds the memory of large messages from servers on their way to clients. It counts the bytes of unfinished messages
 * and of messages that clients have not read yet. Each client and each server has a share (`FairRoom`). A message that
 * does not fit is not read from its server until room becomes free.
 *
 * To prevent deadlock, one message of each server, or a single one when the room is full, proceeds although it does not
 * fit (`Exceeding`). In its first ten seconds a message leaves that turn to others and waits for the unread messages of
 * its client; when the room is full because of other clients, it waits for the unread messages of any client. After
 * that, messages take turns, and a message in the way of others must keep a minimum rate.
 *
 * A stalled message gives up its room when others wait for it. When the room is full, a connection that reads too
 * slowly is ended in favour of a client that has read everything. In every case, unfinished messages hold at most
 * `MOST` times the room plus one message.
 */
export class BufferLimit {
  readonly #room: FairRoom
  /** In the order in which they became large. */
  readonly #receptions = new Set<Reception>()
  readonly #exceeding = new Exceeding()
  readonly #unreadBy = new Set<UnreadConnections>()
  #smallBytes = 0
  #waiting = 0
  /** Whether a message has waited long enough to get a turn. */
  #isDue = false
  #timer: NodeJS.Timeout | undefined

  constructor(maxBytes = MAX_BYTES) {
    this.#room = new FairRoom(maxBytes)
  }

  /** Bytes held in total. */
  get bytes(): number {
    return this.#room.bytes
  }

  /** Adds `bytes` to the unread bytes of `client`; a negative amount removes them. */
  waits(client: string, bytes: number): void {
    this.#room.unread(client, bytes)
    if (bytes < 0) this.#resume()
  }

  /** Registers connections on which counted messages wait. */
  unreadBy(connections: UnreadConnections): void {
    this.#unreadBy.add(connections)
  }

  /** Unregisters connections on which no message waits. */
  allReadBy(connections: UnreadConnections): void {
    this.#unreadBy.delete(connections)
  }

  /** Called by a reception: adds to the bytes held by small messages; a negative amount removes them. */
  small(bytes: number): void {
    this.#smallBytes += bytes
    if (bytes < 0) letGo(-bytes)
  }

  /** Size above which messages currently count as large. */
  get largeFrom(): number {
    const { maxBytes } = this.#room
    const isCrowded = this.#smallBytes > maxBytes || this.#waiting * SMALL_MESSAGE_BYTES > maxBytes
    return isCrowded ? CROWDED_SMALL_BYTES : SMALL_MESSAGE_BYTES
  }

  /** Called by a reception: adds to the bytes that it holds. */
  received(reception: Reception, bytes: number): void {
    this.#receptions.add(reception)
    this.#hold(reception, bytes)
    this.#bound()
    // `#bound` may have given up this very reception.
    if (reception.bytes === 0 || this.#goesOn(reception) || reception.isWaiting) return
    // A message that waits loses its turn, because no other message waits for a waiting one.
    this.#exceeding.over(reception)
    this.#waiting++
    reception.wait()
    this.#timer ??= setInterval(() => this.#look(), LOOK_MS).unref()
  }

  /** Called by a reception that is over: releases the bytes that it held. */
  over(reception: Reception, bytes: number): void {
    if (!this.#receptions.delete(reception)) return
    this.#exceeding.over(reception)
    letGo(bytes)
    this.#hold(reception, -bytes)
    this.#resume()
  }

  #hold({ client, server }: Reception, bytes: number): void {
    this.#room.coming(client, server, bytes)
  }

  /**
   * While unfinished messages hold too much, gives up the newest message of the server that sends most, of the client
   * for which it sends most.
   */
  #bound(): void {
    const room = this.#room
    const most = MOST * room.maxBytes
    while (room.allComing > most) {
      const exceeding = this.#exceeding.of(undefined, NONE)
      if (room.allComing - (exceeding?.bytes ?? 0) <= most) return
      let worst: Reception | undefined
      for (const reception of this.#receptions) {
        if (reception === exceeding) continue
        if (!worst || this.#isWorse(reception, worst)) worst = reception
      }
      if (!worst) return
      worst.giveUp(tooMany(most))
    }
  }

  /** Of two equal receptions, the newer one is worse. */
  #isWorse(one: Reception, other: Reception): boolean {
    const more = this.#room.comingFrom(one.server) - this.#room.comingFrom(other.server)
    if (more !== 0) return more > 0
    return this.#room.comingFor(one.client, one.server) >= this.#room.comingFor(other.client, other.server)
  }

  #goesOn(reception: Reception): boolean {
    if (this.#fits(reception)) return true
    if (!this.#mayExceed(reception, NONE)) return false
    this.#exceeding.began(reception)
    return true
  }

  #fits({ client, server }: Reception): boolean {
    return this.#room.fits(client, server)
  }

  #mayExceed(reception: Reception, without: ReadonlySet<Reception>): boolean {
    const { client, server } = reception
    const room = this.#room
    const first = this.#exceeding.of(room.isFull ? undefined : server, without)
    if (first) return first === reception
    if (reception.waitedMs > MAX_WAIT_MS) return !this.#letsPass(reception, without)
    // A turn that is due goes to the next in line rather than to the message with the longest wait.
    if (this.#isDue && reception.isWaiting && room.unreadOf(client) === 0)
      return !this.#letsPass(reception, without)
    const isFull = room.isFullFor(client)
    if ((isFull ? room.allUnread : room.unreadOf(client)) > 0) return false
    for (const other of this.#receptions)
      if (
        other !== reception &&
        (isFull || other.server === server) &&
        !other.isWaiting &&
        !without.has(other)
      )
        return false
    return true
  }

  /** Whether a message of a server with less turn time is arriving, which may soon have to wait for a turn. */
  #letsPass(reception: Reception, without: ReadonlySet<Reception>): boolean {
    for (const other of this.#receptions)
      if (!other.isWaiting && !other.isQuiet && !without.has(other))
        if (this.#exceeding.hadLess(other.server, reception.server)) return true
    return false
  }

  #look(): void {
    const slow: Reception[] = []
    const stopped: Reception[] = []
    for (const reception of this.#receptions) {
      this.#hold(reception, -reception.bytes)
      reception.attribute()
      this.#hold(reception, reception.bytes)
      reception.look()
      if ((reception.bytesPerSecond ?? LEAST_BYTES_PER_S) < LEAST_BYTES_PER_S) slow.push(reception)
      if (reception.hasStopped()) stopped.push(reception)
    }
    stopped.sort((one, other) => other.bytes - one.bytes)
    this.#makeRoom(0, stopped, () => STOPPED)
    slow.sort((one, other) => (one.bytesPerSecond ?? 0) - (other.bytesPerSecond ?? 0))
    this.#makeRoom(MAX_WAIT_MS, slow, ({ bytesPerSecond }) =>
      tooSlow(bytesPerSecond ?? 0, this.#room.maxBytes),
    )
    for (const reception of this.#receptions)
      if (reception.waitedMs > MAX_HELD_UP_MS) this.#endUnreadFor(reception)
    this.#exceeding.endSlow()
    this.#resume()
  }

  /** Clients that do not read must not delay a client that does. */
  #endUnreadFor({ client }: Reception): void {
    if (this.#room.unreadOf(client) > 0) return
    while (this.#room.isFullFor(client)) if (![...this.#unreadBy].some(unread => unread.endLongest())) return
  }

  /** Gives up those `candidates` that block a message which has waited too long, the first ones before the last. */
  #makeRoom(
    waitedMs: number,
    candidates: readonly Reception[],
    why: (reception: Reception) => DropReason,
  ): void {
    if (candidates.length === 0) return
    const seen = new Set<string>()
    for (const waiting of this.#inTurn()) {
      const { client, server } = waiting
      // The result is the same for all receptions of this client and server.
      const pair = `${server}\n${client}`
      if (seen.has(pair) || !waiting.isWaiting || waiting.waitedMs <= waitedMs) continue
      seen.add(pair)
      for (const reception of this.#inTheWay(waiting, candidates)) reception.giveUp(why(reception))
    }
  }

  #inTheWay(waiting: Reception, candidates: readonly Reception[]): ReadonlySet<Reception> {
    const without = new Set<Reception>()
    const goesOn = (): boolean => this.#fits(waiting) || this.#mayExceed(waiting, without)
    const leave = (reception: Reception): void => {
      without.add(reception)
      this.#hold(reception, -reception.bytes)
    }
    const stay = (reception: Reception): void => {
      without.delete(reception)
      this.#hold(reception, reception.bytes)
    }
    let would = goesOn()
    for (const candidate of candidates) {
      if (would) break
      if (candidate.bytes === 0) continue
      leave(candidate)
      would = goesOn()
    }
    for (const candidate of [...without].toReversed()) {
      stay(candidate)
      if (would && !goesOn()) leave(candidate)
    }
    const inTheWay = new Set(without)
    for (const reception of inTheWay) stay(reception)
    return inTheWay
  }

  #inTurn(): Reception[] {
    return this.#exceeding.sort([...this.#receptions].filter(reception => reception.isWaiting))
  }

  #resume(): void {
    if (this.#timer === undefined) return
    this.#waiting = 0
    const waiting = this.#inTurn()
    this.#isDue = waiting.some(({ waitedMs }) => waitedMs > MAX_WAIT_MS)
    for (const reception of waiting)
      if (this.#goesOn(reception)) reception.goOn()
      else this.#waiting++
    if (this.#waiting > 0) return
    this.#exceeding.forgetTurns()
    clearInterval(this.#timer)
    this.#timer = undefined
  }
}

/**
 * Counts the bytes that arrive on a stream of a server: for the client that `owner` names, or else for the server
 * itself. `giveUp` drops the unfinished message and fails the call that it answers.
 */
export function receptionFrom(
  server: string,
  owner: () => string | undefined,
  flow: Flow,
  giveUp: (why: DropReason) => void,
): Reception {
  const client = (): string => owner() ?? `server ${server}`
  return new Reception(processBuffers(), { server, client }, flow, giveUp)
}

/** The instance of this process. */
let ofProcess: BufferLimit | undefined

export function processBuffers(): BufferLimit {
  ofProcess ??= new BufferLimit()
  return ofProcess
}
