import type { Reception } from './reception.ts'

/**
 * Messages that go on although they do not fit: one of each server, or one in all where the room is full. They are what keeps everything from waiting for
 * everything. The servers take turns, and for one server its clients do.
 */
export class Exceeding {
  /** By server, in the order in which they began. */
  readonly #byServer = new Map<string, Reception>()
  #turn = 0
  /** When a server or a client last had a turn. */
  readonly #serverTurns = new Map<string, number>()
  readonly #clientTurns = new Map<string, number>()

  /** The message that no other one may exceed beside: that of `server`, or without one the first of all. */
  of(server: string | undefined, without: ReadonlySet<Reception>): Reception | undefined {
    if (server === undefined) {
      for (const reception of this.#byServer.values()) if (!without.has(reception)) return reception
      return undefined
    }
    const reception = this.#byServer.get(server)
    return reception && without.has(reception) ? undefined : reception
  }

  began(reception: Reception): void {
    if (this.#byServer.get(reception.server) === reception) return
    this.#byServer.set(reception.server, reception)
    this.#turn++
    this.#serverTurns.set(reception.server, this.#turn)
    this.#clientTurns.set(reception.client, this.#turn)
  }

  over(reception: Reception): void {
    if (this.#byServer.get(reception.server) === reception) this.#byServer.delete(reception.server)
  }

  /** Nothing waits any more. */
  forgetTurns(): void {
    this.#serverTurns.clear()
    this.#clientTurns.clear()
  }

  /** Sorts by turns; of those with the same turn, the order stays. */
  sort(waiting: Reception[]): Reception[] {
    return waiting.sort(
      (one, other) =>
        this.#after(this.#serverTurns, one.server, other.server) ||
        this.#after(this.#clientTurns, one.client, other.client),
    )
  }

  #after(turns: ReadonlyMap<string, number>, one: string, other: string): number {
    return (turns.get(one) ?? 0) - (turns.get(other) ?? 0)
  }
}
