import type { Vault } from '../../vault/vault.ts'
import type { TokenSet } from '../oauth/token-set.ts'

/** A login as people see it: nothing of it is secret. */
export interface KeptLogin {
  readonly server: string
  /** `gateway`, or the id of the principal that alone uses it. */
  readonly owner: string
  /** The authorization server; empty for a token that was given by hand. */
  readonly issuer: string
  /** Unix milliseconds; `undefined` where it cannot be read. */
  readonly obtainedAt: number | undefined
  /** When the access token ends; `undefined`: it is not known. */
  readonly expiresAt: number | undefined
  /** Whether the gateway renews it by itself. */
  readonly renewable: boolean
  readonly scope: string | undefined
  /** Whether this machine has the key to use it. */
  readonly usable: boolean
}

const MOST = 10_000

/** The logins in a vault, sorted by server and owner. */
export async function keptLogins(vault: Pick<Vault, 'list' | 'read'>): Promise<readonly KeptLogin[]> {
  const names = (await vault.list()).filter(({ kind }) => kind === 'tokens').slice(0, MOST)
  const found: KeptLogin[] = []
  for (const { server, owner, issuer, opens } of names) {
    const tokens = opens ? (await vault.read<TokenSet>({ kind: 'tokens', server, owner }))?.value : undefined
    found.push({
      server,
      owner,
      issuer,
      obtainedAt: tokens?.obtainedAt,
      expiresAt: tokens?.expiresAt,
      renewable: tokens?.refreshToken !== undefined,
      scope: tokens?.scope,
      usable: tokens !== undefined,
    })
  }
  const order = ({ server, owner }: KeptLogin): string => `${server}\n${owner}`
  return found.sort((a, b) => (order(a) < order(b) ? -1 : 1))
}
