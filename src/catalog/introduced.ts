import type { Exchange } from '../core/exchange.ts'
import { within } from '../core/timeout.ts'
import type { View } from './view.ts'
import type { Views } from './views.ts'

interface Completed {
  readonly views: Pick<Views, 'ready'>
  view(name: string): View | undefined
  /** As `Catalog.complete`. */
  complete(
    name: string,
    exchange: Exchange,
    isEnough: (view: View | undefined) => boolean,
  ): Promise<View | undefined>
}

/**
 * Resolves when the instructions of the servers of a client's view are available, because a client receives them only
 * in the answer to its greeting. A server that has been listed for another kind of client is not waited for. `leftMs`
 * gives the time for which a server that has never been listed is waited for. `undefined`: there is nothing to wait
 * for.
 */
export function whenIntroduced(
  catalog: Completed,
  exchange: Exchange,
  leftMs: (server: string) => number,
): Promise<unknown> | undefined {
  const known = (): Promise<unknown> | undefined => knownOf(catalog, exchange, leftMs)
  return catalog.views.ready(exchange.view)?.then(known) ?? known()
}

function knownOf(
  catalog: Completed,
  exchange: Exchange,
  leftMs: (server: string) => number,
): Promise<unknown> | undefined {
  const longest = (view: View | undefined): number => Math.max(0, ...(view?.missing ?? []).map(leftMs))
  const ms = longest(catalog.view(exchange.view))
  if (ms === 0) return undefined
  const isEnough = (view: View | undefined): boolean => longest(view) === 0
  return within(catalog.complete(exchange.view, exchange, isEnough), ms)
}
