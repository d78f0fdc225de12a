import { LEAST_BYTES_PER_S } from './drop-reason.ts'
import { HeldBy } from './held-by.ts'
import type { Reception } from './reception.ts'

/** A turn passes to the next in line when its message stays below half of the minimum rate for this long. */
const SLOW_TURN_MS = 2000

/** A message that proceeds although it does not fit. */
interface Turn {
  readonly reception: Reception
  /** The client of the message when the turn began. */
  readonly client: string
  /** Start of the turn, by `performance.now()`. */
  readonly beganAt: number
  /** Bytes of the message at the start of the turn. */
  readonly bytes: number
}

/**
 * Messages that proceed although they do not fit: one per server, or a single one when the room is full. They prevent
 * deadlock. The next turn goes to the server with the least turn time so far, and within a server to the client with
 * the least, so that slow messages do not delay fast ones of others.
 */
export class Exceeding {
  /** By server, in the order in which they began. */
  readonly #byServer = new Map<string, Turn>()
  /** Turn time in milliseconds, by server, and by server and client. */
  #byServerMs = new HeldBy()
  #byClientMs = new HeldBy()

  /** The message that holds the only turn of `server`, or, without a server, the first of all turns. */
  of(server: string | undefined, without: ReadonlySet<Reception>): Reception | undefined {
    if (server === undefined) {
      for (const { reception } of this.#byServer.values()) if (!without.has(reception)) return reception
      return undefined
    }
    const reception = this.#byServer.get(server)?.reception
    return reception && without.has(reception) ? undefined : reception
  }

  began(reception: Reception): void {
    const { server, client } = reception
    const last = this.#byServer.get(server)
    if (last?.reception === reception) return
    if (last) this.#took(last)
    this.#byServer.set(server, { reception, client, beganAt: performance.now(), bytes: reception.bytes })
  }

  over(reception: Reception): void {
    const turn = this.#byServer.get(reception.server)
    if (turn?.reception !== reception) return
    this.#byServer.delete(reception.server)
    this.#took(turn)
  }

  /** Ends turns whose messages are too slow. These messages wait for another turn. */
  endSlow(): void {
    const now = performance.now()
    for (const [server, turn] of this.#byServer) {
      const ms = now - turn.beganAt
      if (ms < SLOW_TURN_MS || (turn.reception.bytes - turn.bytes) * 2000 >= LEAST_BYTES_PER_S * ms) continue
      this.#byServer.delete(server)
      this.#took(turn)
    }
  }

  /** Whether `one` has used less turn time than `other`. */
  hadLess(one: string, other: string): boolean {
    return this.#byServerMs.of(one) < this.#byServerMs.of(other)
  }

  /** Resets turn times when no message waits. */
  forgetTurns(): void {
    this.#byServerMs = new HeldBy()
    this.#byClientMs = new HeldBy()
  }

  /** Sorts by turn time; the sort is stable. */
  sort(waiting: Reception[]): Reception[] {
    return waiting.sort(
      (one, other) =>
        this.#byServerMs.of(one.server) - this.#byServerMs.of(other.server) ||
        this.#byClientMs.of(pairOf(one.server, one.client)) -
          this.#byClientMs.of(pairOf(other.server, other.client)),
    )
  }

  #took({ reception: { server }, client, beganAt }: Turn): void {
    // A turn shorter than a millisecond counts as one.
    const ms = Math.max(1, performance.now() - beganAt)
    this.#byServerMs.add(server, ms)
    this.#byClientMs.add(pairOf(server, client), ms)
  }
}

function pairOf(server: string, client: string): string {
  return `${server}\n${client}`
}
