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
 * Until what servers of a client's view say of themselves is known. A client is told that once, when it is greeted. Of servers that are listed for other kinds of
 * clients enough is known. `leftMs` says for how long a server that has never been listed is waited for. `undefined`: nothing is.
 */
export function introduced(
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
