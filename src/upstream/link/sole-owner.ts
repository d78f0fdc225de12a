import type { Exchange } from '../../core/exchange.ts'

/** The client of all these calls. `undefined`: there is none, or there are several. */
export function soleOwner(exchanges: readonly Exchange[]): string | undefined {
  const owner = exchanges[0]?.principal.id
  return exchanges.every(({ principal }) => principal.id === owner) ? owner : undefined
}
