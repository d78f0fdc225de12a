import { growingLru } from './growing-lru.ts'

interface Kept {
  readonly token: string
  /** Unix milliseconds. */
  readonly expiresAt: number
}

const MAX_CALLERS = 10_000

/**
 * The tokens with which callers have logged in at the gateway, while a server has an identity provider that exchanges
 * them (`oauth.idp.subjectToken` is "caller"). Nothing is kept otherwise. In memory only, until they end, the newest of
 * each principal. They are shown to that identity provider, and to nothing else.
 */
export class CallerTokens {
  readonly #kept = growingLru<string, Kept>(MAX_CALLERS)
  #isWanted = false

  /** Whether a server of the configuration needs them. */
  want(isWanted: boolean): void {
    this.#isWanted = isWanted
    if (!isWanted) this.#kept.clear()
  }

  /** @param principal its id; @param expiresAt Unix milliseconds */
  keep(principal: string, token: string, expiresAt: number): void {
    if (!this.#isWanted) return
    const known = this.#kept.get(principal)
    if (known === undefined || known.expiresAt <= expiresAt) this.#kept.set(principal, { token, expiresAt })
  }

  /** The token of a principal. `undefined`: there is none that is still good. */
  of(principal: string): string | undefined {
    const kept = this.#kept.get(principal)
    if (kept === undefined) return undefined
    if (kept.expiresAt > Date.now()) return kept.token
    this.#kept.delete(principal)
    return undefined
  }
}
