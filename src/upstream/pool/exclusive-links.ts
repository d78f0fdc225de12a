import type { ServerConfig } from '../../config/types.ts'
import { monotonicNow } from '../../core/clock.ts'
import type { Deadlines } from '../../core/deadlines.ts'
import { GatewayError } from '../../core/errors.ts'
import type { Exchange } from '../../core/exchange.ts'
import { shuttingDown } from '../../core/shutting-down.ts'
import type { LinkSlot } from './link-slot.ts'

/** Slots that serve one call at a time: which of them are taken, and which calls wait for one, oldest first. */
export class ExclusiveLinks {
  readonly #server: ServerConfig
  readonly #deadlines: Deadlines
  readonly #waiting: (() => void)[] = []
  #closed = false

  constructor(server: ServerConfig, deadlines: Deadlines) {
    this.#server = server
    this.#deadlines = deadlines
  }

  /**
   * A slot for this call alone. `at` returns the slot of a number from 1 on. @throws GatewayError `overloaded`,
   * `cancelled`, `shutting_down`
   */
  async checkOut(exchange: Exchange, at: (number: number) => LinkSlot): Promise<LinkSlot> {
    const { name, maxExclusiveLinks, linkTimeoutMs } = this.#server
    const until = monotonicNow() + linkTimeoutMs
    for (let waited = false; ; waited = true) {
      if (this.#closed) throw shuttingDown(name)
      if (exchange.cancellation.reason !== undefined) {
        // The cancelled call may have been woken already, so the next one is woken.
        this.#waiting.shift()?.()
        throw new GatewayError('cancelled', 'The request was cancelled.', { server: name })
      }
      for (let number = 1; number <= maxExclusiveLinks; number++) {
        const slot = at(number)
        if (slot.leased) continue
        slot.lease()
        return slot
      }
      if (monotonicNow() >= until)
        throw new GatewayError(
          'overloaded',
          `Server "${name}" is busy with ${maxExclusiveLinks} calls, each of which has a conversation to itself ("isolation": "call"). Try again when one of them has ended, or raise "maxExclusiveLinks" of this server.`,
          { server: name, retryAfterMs: linkTimeoutMs },
        )
      await this.#turn(exchange, until, waited)
    }
  }

  /** Wakes the call that has waited longest, because a slot has been returned. */
  wake(): void {
    this.#waiting.shift()?.()
  }

  close(): void {
    this.#closed = true
    for (const wake of this.#waiting.splice(0)) wake()
  }

  #turn(exchange: Exchange, until: number, waited: boolean): Promise<void> {
    return new Promise<void>(resolve => {
      // A call that was woken in vain keeps its place in the queue.
      if (waited) this.#waiting.unshift(resolve)
      else this.#waiting.push(resolve)
      const leave = (): void => {
        const at = this.#waiting.indexOf(resolve)
        if (at >= 0) this.#waiting.splice(at, 1)
        resolve()
      }
      this.#deadlines.set({ expire: leave }, until - monotonicNow())
      exchange.cancellation.onCancel(leave)
    })
  }
}
