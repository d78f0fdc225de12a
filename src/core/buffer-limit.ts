import { Exceeding } from './exceeding.ts'
import { FairRoom } from './fair-room.ts'
import { LEAST_BYTES_PER_S, STOPPED, tooMany, tooSlow, type GivenUp } from './given-up.ts'
import { letGo } from './reclaim.ts'
import { Reception, SMALL_BYTES, type Flow } from './reception.ts'

/** What servers are sending and what clients have not read, over the whole process, before servers have to wait. */
const MAX_BYTES = 48 * 1024 * 1024
/** So many times that is the most that unfinished messages hold, those included that wait; one message may be larger. */
const MOST = 4
/** For a message that has waited for so long, others have to earn their room, and it does not wait for clients to read. */
const MAX_WAIT_MS = 10_000
/** After so long, a message for a client that has read everything has others' unread messages ended. */
const MAX_HELD_UP_MS = 750
/** How often it is looked at what waits. */
const LOOK_MS = 500
/** Messages above this size are large, where small ones hold as much as the room, or as many wait as would fill it with small ones. */
const CROWDED_SMALL_BYTES = 32 * 1024

const NONE: ReadonlySet<Reception> = new Set()

/** Connections to clients, on which messages wait to be read. */
export interface Unread {
  /** Ends the connection that takes room for longest, of the client that has most, where there is one that reads too slowly. */
  endLongest(): boolean
}

/**
 * Bounds what large messages from servers hold on their way to clients. It counts the bytes of messages that are not yet complete, and those that wait
 * for clients to read them. Each client and each server has a share (`FairRoom`); what does not fit is not read from its server until something leaves.
 *
 * One message of each server, or one in all where the room is full, goes on although it does not fit (`Exceeding`), so that messages never all wait for
 * each other. In its first ten seconds a message leaves that to others that come, and waits for what its client has not read; where the others make the
 * room full, it waits for what any client has not read. After that messages take turns, and what stands in their way has to come at a least rate.
 *
 * A message that has stopped gives up its room where others wait for it. Where the room is full, so does a connection that reads too slowly, for a client
 * that has read everything. Whatever else happens, unfinished messages hold no more than `MOST` times the room, and one message.
 */
export class BufferLimit {
  readonly #room: FairRoom
  /** In the order in which they became large. */
  readonly #receptions = new Set<Reception>()
  readonly #exceeding = new Exceeding()
  readonly #unreadBy = new Set<Unread>()
  #smallBytes = 0
  #waiting = 0
  /** A message has waited for so long that it may have a turn. */
  #isDue = false
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

  /** Called by a reception: so many bytes more are held of small messages; less when negative. */
  small(bytes: number): void {
    this.#smallBytes += bytes
    if (bytes < 0) letGo(-bytes)
  }

  /** Messages above this size are large now. */
  get largeFrom(): number {
    const { maxBytes } = this.#room
    const isCrowded = this.#smallBytes > maxBytes || this.#waiting * SMALL_BYTES > maxBytes
    return isCrowded ? CROWDED_SMALL_BYTES : SMALL_BYTES
  }

  /** Called by a reception: it holds so many bytes more. */
  received(reception: Reception, bytes: number): void {
    this.#receptions.add(reception)
    this.#hold(reception, bytes)
    this.#bound()
    // It may be what had to go.
    if (reception.bytes === 0 || this.#goesOn(reception) || reception.isWaiting) return
    // A turn ends where its message has to wait: nothing else waits for one that does.
    this.#exceeding.over(reception)
    this.#waiting++
    reception.wait()
    this.#timer ??= setInterval(() => this.#look(), LOOK_MS).unref()
  }

  /** Called by a reception: it is over, and held so many bytes. */
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

  /** Where unfinished messages hold too much, the newest goes of the server that sends most, of the client for which it sends most. */
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

  /** Equal ones are worse when they are newer. */
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
    // A turn that is due goes to the next in line, not to the one that has waited for longest.
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

  /** Whether something comes whose server had less of the turns: it may be about to wait for one. */
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

  /** Others that do not read do not hold up a client that does. */
  #endUnreadFor({ client }: Reception): void {
    if (this.#room.unreadOf(client) > 0) return
    while (this.#room.isFullFor(client)) if (![...this.#unreadBy].some(unread => unread.endLongest())) return
  }

  /** Of `candidates`, those in the way of one that has waited for so long are given up, the first ones rather than the last. */
  #makeRoom(
    waitedMs: number,
    candidates: readonly Reception[],
    why: (reception: Reception) => GivenUp,
  ): void {
    if (candidates.length === 0) return
    const seen = new Set<string>()
    for (const waiting of this.#inTurn()) {
      const { client, server } = waiting
      // What holds for one of them holds for the others of the same client and server.
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
 * Counts in this process what comes on a stream of a server: as that of the client that `owner` names, else as the server's own. `giveUp` lets go of the
 * unfinished message and fails the call that it answers.
 */
export function receptionFrom(
  server: string,
  owner: () => string | undefined,
  flow: Flow,
  giveUp: (why: GivenUp) => void,
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
