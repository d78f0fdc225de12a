import type { Exchange } from '../core/exchange.ts'
import type { View } from './view.ts'

interface Completed {
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
): Promise<void> | undefined {
  const longest = (view: View | undefined): number => Math.max(0, ...(view?.missing ?? []).map(leftMs))
  const ms = longest(catalog.view(exchange.view))
  if (ms === 0) return undefined
  const isEnough = (view: View | undefined): boolean => longest(view) === 0
  return within(ms, catalog.complete(exchange.view, exchange, isEnough))
}

/** Resolves when `wait` has ended, after `ms` in any case: who else waits goes on. */
function within(ms: number, wait: Promise<unknown>): Promise<void> {
  return new Promise(resolve => {
    const timer = setTimeout(resolve, ms)
    const end = (): void => {
      clearTimeout(timer)
      resolve()
    }
    wait.then(end, end)
  })
}
