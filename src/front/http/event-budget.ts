/** Bound of the events that all sessions together keep for clients that resume, and for streams that are not open. */
const MAX_BYTES = 64 * 1024 * 1024
/** Once exceeded, the total is reduced to this, so that not every event has to make room. */
const TARGET_BYTES = (MAX_BYTES / 8) * 7

interface Log {
  readonly principal: string
  readonly bytes: number
  shed(): void
}

/**
 * Bounds the memory of the event logs of all sessions. Beyond the bound, the largest log of the client with the most
 * bytes drops its oldest events.
 */
export class EventBudget {
  /** Counted bytes of each log that is not empty. */
  readonly #logs = new Map<Log, number>()
  #bytes = 0

  get bytes(): number {
    return this.#bytes
  }

  /** Records that the size of a log has changed. */
  changed(log: Log): void {
    this.#count(log)
    if (this.#bytes <= MAX_BYTES) return
    const held = new Map<string, number>()
    for (const [{ principal }, bytes] of this.#logs) held.set(principal, (held.get(principal) ?? 0) + bytes)
    while (this.#bytes > TARGET_BYTES) {
      const largest = this.#largest(held)
      if (!largest) return
      const before = largest.bytes
      largest.shed()
      this.#count(largest)
      held.set(largest.principal, (held.get(largest.principal) ?? 0) - before + largest.bytes)
    }
  }

  #count(log: Log): void {
    this.#bytes += log.bytes - (this.#logs.get(log) ?? 0)
    if (log.bytes > 0) this.#logs.set(log, log.bytes)
    else this.#logs.delete(log)
  }

  #largest(held: ReadonlyMap<string, number>): Log | undefined {
    let best: Log | undefined
    for (const log of this.#logs.keys()) {
      const more = best ? (held.get(log.principal) ?? 0) - (held.get(best.principal) ?? 0) : 1
      if (more > 0 || (more === 0 && log.bytes > (best?.bytes ?? 0))) best = log
    }
    return best
  }
}
