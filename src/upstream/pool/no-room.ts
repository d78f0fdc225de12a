import { monotonicNow } from '../../core/clock.ts'
import { GatewayError } from '../../core/errors.ts'
import type { Exchange } from '../../core/exchange.ts'

/** How long a call waits for the gateway's own list requests on a link whose slot it needs. */
const WAIT_MS = 2000
const LOOK_MS = 10

/** A slot that can be closed for another link. */
export interface Giving {
  /** Whether nothing is lost when it is closed. */
  readonly evictable: boolean
  /** Whether only the gateway's own list requests use it, which can be sent over another link. */
  readonly yields: boolean
  /** In milliseconds of `monotonicNow()`. 0: not open. */
  readonly lastUsed: number
}

/**
 * The slot to close for another link: the one that has been idle longest, or, with `force`, one that only the gateway's
 * own list requests use.
 */
export function toGiveUp<T extends Giving>(slots: Iterable<T>, force: boolean): T | undefined {
  let evictable: T | undefined
  let yielding: T | undefined
  for (const slot of slots)
    if (slot.evictable) {
      if (!evictable || slot.lastUsed < evictable.lastUsed) evictable = slot
    } else if (force && slot.yields) yielding ??= slot
  return evictable ?? yielding
}

/** There is no room for another link. `listing` are the slots that only list requests of the gateway occupy. */
export class NoRoom extends GatewayError {
  readonly #listing: readonly Giving[]

  constructor(message: string, server: string, slots: Iterable<Giving>) {
    super('overloaded', message, { server })
    this.#listing = [...slots].filter(slot => slot.yields)
  }

  /** Whether waiting may help. */
  get passes(): boolean {
    return this.#listing.length > 0
  }

  /** Resolves when one of them has changed, the call is cancelled, or two seconds have passed. */
  async passed({ cancellation }: Pick<Exchange, 'cancellation'>): Promise<void> {
    const until = monotonicNow() + WAIT_MS
    while (
      this.#listing.every(slot => slot.yields) &&
      cancellation.reason === undefined &&
      monotonicNow() < until
    )
      await new Promise(resolve => setTimeout(resolve, LOOK_MS).unref())
  }
}
