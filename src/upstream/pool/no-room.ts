import { monotonicNow } from '../../core/clock.ts'
import { GatewayError } from '../../core/errors.ts'
import type { Exchange } from '../../core/exchange.ts'

/** How long a call waits for lists that the gateway fetches over a link whose place it needs. */
const WAIT_MS = 2000
const LOOK_MS = 10

/** A place for a link, as far as another link may take it. */
export interface Giving {
  /** Whether nothing is lost when it is closed. */
  readonly evictable: boolean
  /** Whether only the gateway's own lists are in the way, which it can fetch over another link. */
  readonly yields: boolean
  /** In Unix milliseconds; 0 for one that is not open. */
  readonly lastUsed: number
}

/** The place that is to be given up for another link: the one idle longest, or, with `force`, one over which the gateway fetches lists. */
export function toGiveUp<T extends Giving>(places: Iterable<T>, force: boolean): T | undefined {
  let spare: T | undefined
  let yielding: T | undefined
  for (const place of places)
    if (place.evictable) {
      if (!spare || place.lastUsed < spare.lastUsed) spare = place
    } else if (force && place.yields) yielding ??= place
  return spare ?? yielding
}

/** There is no place for another link. `listing` are those that only lists of the gateway keep. */
export class NoRoom extends GatewayError {
  readonly #listing: readonly Giving[]

  constructor(message: string, server: string, places: Iterable<Giving>) {
    super('overloaded', message, { server })
    this.#listing = [...places].filter(place => place.yields)
  }

  /** Whether it is worth to wait. */
  get passes(): boolean {
    return this.#listing.length > 0
  }

  /** Resolves once one of them has changed, the call is cancelled, or two seconds have passed. */
  async passed({ cancellation }: Pick<Exchange, 'cancellation'>): Promise<void> {
    const until = monotonicNow() + WAIT_MS
    while (
      this.#listing.every(place => place.yields) &&
      cancellation.reason === undefined &&
      monotonicNow() < until
    )
      await new Promise(resolve => setTimeout(resolve, LOOK_MS).unref())
  }
}
