import type { Exchange } from '../../core/exchange.ts'
import type { IdTable } from '../../core/id-table.ts'
import type { CancelledCalls } from './cancelled-calls.ts'
import type { Pending } from './pending.ts'

/**
 * The calls that a server may be working on, oldest first. The arrays are built on demand and stay the same until
 * a call begins or ends, because a server may send many messages meanwhile.
 */
export class UnderWay {
  readonly #requests: IdTable<number, Pending>
  readonly #cancelledCalls: CancelledCalls
  #pending: Exchange[] | undefined
  #all: { readonly cancelledCalls: readonly Exchange[]; readonly list: readonly Exchange[] } | undefined

  constructor(requests: IdTable<number, Pending>, cancelledCalls: CancelledCalls) {
    this.#requests = requests
    this.#cancelledCalls = cancelledCalls
  }

  /** Called when a call has begun or ended. */
  changed(): void {
    this.#pending = undefined
    this.#all = undefined
  }

  /** Calls that wait for an answer. */
  get pending(): readonly Exchange[] {
    let list = this.#pending
    if (list) return list
    list = []
    for (const { exchange } of this.#requests.values()) if (exchange) list.push(exchange)
    this.#pending = list
    return list
  }

  /** Cancelled calls, followed by the pending ones. */
  get all(): readonly Exchange[] {
    const cancelledCalls = this.#cancelledCalls.exchanges()
    if (cancelledCalls.length === 0) return this.pending
    if (this.#all?.cancelledCalls !== cancelledCalls)
      this.#all = { cancelledCalls, list: [...cancelledCalls, ...this.pending] }
    return this.#all.list
  }
}
