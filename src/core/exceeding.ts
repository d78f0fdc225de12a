import { LEAST_BYTES_PER_S } from './given-up.ts'
import { HeldBy } from './held-by.ts'
import type { Reception } from './reception.ts'

/** A turn in which less than half of the least rate came for so long goes to the next in line. */
const SLOW_TURN_MS = 2000

/** A message that goes on although it does not fit. */
interface Turn {
  readonly reception: Reception
  /** Whose it was when it began. */
  readonly client: string
  /** By `performance.now()`. */
  readonly beganAt: number
  /** What there was of it when it began. */
  readonly bytes: number
}

/**
 * Messages that go on although they do not fit: one of each server, or one in all where the room is full. They are what keeps everything from waiting for
 * everything. The server whose turns took least time is next, and for one server the client whose turns did: slow messages do not hold up quick ones of others.
 */
export class Exceeding {
  /** By server, in the order in which they began. */
  readonly #byServer = new Map<string, Turn>()
  /** Milliseconds that turns took, by server, and by server and client. */
  #byServerMs = new HeldBy()
  #byClientMs = new HeldBy()

  /** The message that no other one may exceed beside: that of `server`, or without one the first of all. */
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

  /** Ends turns in which too little came: their messages wait for another one. */
  endSlow(): void {
    const now = performance.now()
    for (const [server, turn] of this.#byServer) {
      const ms = now - turn.beganAt
      if (ms < SLOW_TURN_MS || (turn.reception.bytes - turn.bytes) * 2000 >= LEAST_BYTES_PER_S * ms) continue
      this.#byServer.delete(server)
      this.#took(turn)
    }
  }

  /** Whether the turns of `one` took less time than those of `other`. */
  hadLess(one: string, other: string): boolean {
    return this.#byServerMs.of(one) < this.#byServerMs.of(other)
  }

  /** Nothing waits any more. */
  forgetTurns(): void {
    this.#byServerMs = new HeldBy()
    this.#byClientMs = new HeldBy()
  }

  /** Sorts by what turns took; of those with the same time, the order stays. */
  sort(waiting: Reception[]): Reception[] {
    return waiting.sort(
      (one, other) =>
        this.#byServerMs.of(one.server) - this.#byServerMs.of(other.server) ||
        this.#byClientMs.of(pairOf(one.server, one.client)) -
          this.#byClientMs.of(pairOf(other.server, other.client)),
    )
  }

  #took({ reception: { server }, client, beganAt }: Turn): void {
    // A turn within one moment counts, too.
    const ms = Math.max(1, performance.now() - beganAt)
    this.#byServerMs.add(server, ms)
    this.#byClientMs.add(pairOf(server, client), ms)
  }
}

function pairOf(server: string, client: string): string {
  return `${server}\n${client}`
}
