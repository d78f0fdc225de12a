import type { GatewayError } from '../core/errors.ts'
import { IdTable } from '../core/id-table.ts'

/** A request whose client waits for its answer. */
interface Owed {
  /** Answers with the failure and cancels the work on the request. */
  stop(error: GatewayError, serverInfo: string): void
}

/** Requests that have not been answered yet, over all fronts. */
export class CallsInFlight {
  readonly #calls = new IdTable<number, Owed>()
  #next = 1
  #onNone: (() => void) | undefined

  get size(): number {
    return this.#calls.size
  }

  /** @returns the index to pass to `remove` */
  add(call: Owed): number {
    const number = this.#next++
    this.#calls.set(number, call)
    return number
  }

  remove(number: number): void {
    this.#calls.take(number)
    if (this.#onNone !== undefined && this.#calls.size === 0) this.#onNone()
  }

  /** Answers every remaining call with `error`. A call stays in the table until the work on it has ended. */
  stop(error: GatewayError, serverInfo: string): void {
    for (const call of this.#calls.values()) call.stop(error, serverInfo)
  }

  /** Resolves when no call is left, or after `ms`. */
  async none(ms: number): Promise<void> {
    if (this.#calls.size === 0) return
    await new Promise<void>(resolve => {
      const before = this.#onNone
      const done = (): void => {
        clearTimeout(timer)
        this.#onNone = before
        before?.()
        resolve()
      }
      const timer = setTimeout(done, ms)
      this.#onNone = done
    })
  }
}
