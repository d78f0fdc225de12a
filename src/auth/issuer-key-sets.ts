import type { JwtConfig } from '../config/types.ts'
import type { Logger } from '../core/logger.ts'
import { IssuerKeys } from './issuer-keys.ts'

type Source = Pick<JwtConfig, 'issuer' | 'jwks'>

/**
 * The keys of all issuers, across configurations and fronts: a reload while an issuer cannot be reached keeps the keys
 * that were fetched before.
 */
export class IssuerKeySets {
  readonly #logger: Logger
  readonly #sets = new Map<string, IssuerKeys>()

  constructor(logger: Logger) {
    this.#logger = logger
  }

  /** The keys of an issuer at an address. The same object for the same two. */
  of({ issuer, jwks }: Source): IssuerKeys {
    const name = nameOf({ issuer, jwks })
    let keys = this.#sets.get(name)
    if (!keys) this.#sets.set(name, (keys = new IssuerKeys({ issuer, jwks, logger: this.#logger })))
    return keys
  }

  /** Forgets the keys of all other issuers. */
  keep(sources: readonly Source[]): void {
    const names = new Set(sources.map(nameOf))
    for (const name of this.#sets.keys()) if (!names.has(name)) this.#sets.delete(name)
  }
}

function nameOf({ issuer, jwks }: Source): string {
  return JSON.stringify([issuer, jwks])
}
