import type { ServerConfig } from '../config/types.ts'
import type { Deadlines } from '../core/deadlines.ts'
import { GatewayError } from '../core/errors.ts'
import type { Exchange } from '../core/exchange.ts'
import type { Slot } from './slot.ts'

/** Slots that serve one call at a time, and the calls that wait for one. */
export class Leases {
  readonly #server: ServerConfig
  readonly #deadlines: Deadlines
  /** Oldest first. */
  readonly #waiting: (() => void)[] = []
  #closed = false

  constructor(server: ServerConfig, deadlines: Deadlines) {
    this.#server = server
    this.#deadlines = deadlines
  }

  /**
   * A slot that is the call's alone until it is given back. `find` returns one that is free.
   * @throws GatewayError `overloaded` when none becomes free in time, `cancelled`, `shutting_down`
   */
  async take(exchange: Exchange, find: () => Slot | undefined): Promise<Slot> {
    const { name, maxExclusiveLinks, linkWaitMs } = this.#server
    const until = Date.now() + linkWaitMs
    for (let waited = false; ; waited = true) {
      if (this.#closed)
        throw new GatewayError('shutting_down', 'The gateway is shutting down.', { server: name })
      if (exchange.cancellation.reason !== undefined) {
        // It may have been its turn, which is then another's.
        this.#waiting.shift()?.()
        throw new GatewayError('cancelled', 'The request was cancelled.', { server: name })
      }
      const slot = find()
      if (slot) {
        slot.leased = true
        return slot
      }
      if (Date.now() >= until)
        throw new GatewayError(
          'overloaded',
          `Server "${name}" is busy with ${maxExclusiveLinks} calls that may ask their clients something. Try again when one of them has ended, or raise "maxExclusiveLinks" of this server.`,
          { server: name, retryAfterMs: linkWaitMs },
        )
      await new Promise<void>(resolve => {
        // Whoever was woken in vain keeps the place in the queue.
        if (waited) this.#waiting.unshift(resolve)
        else this.#waiting.push(resolve)
        const leave = (): void => {
          const at = this.#waiting.indexOf(resolve)
          if (at >= 0) this.#waiting.splice(at, 1)
          resolve()
        }
        this.#deadlines.set({ expire: leave }, until - Date.now())
        exchange.cancellation.onCancel(leave)
      })
    }
  }

  giveBack(slot: Slot): void {
    slot.leased = false
    this.#waiting.shift()?.()
  }

  /** Those who wait are refused. */
  close(): void {
    this.#closed = true
    for (const wake of this.#waiting.splice(0)) wake()
  }
}
