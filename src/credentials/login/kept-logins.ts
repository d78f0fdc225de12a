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

export interface KeptLogins {
  /** Sorted by server and owner. */
  readonly logins: readonly KeptLogin[]
  /** How many more there are. */
  readonly left: number
}

const MOST = 10_000

/** The first of the logins in a vault, in the order of server and owner: all, or those at one server. */
export async function keptLogins(
  vault: Pick<Vault, 'list' | 'read'>,
  { server: only, most = MOST }: { readonly server?: string | undefined; readonly most?: number } = {},
): Promise<KeptLogins> {
  const names = (await vault.list())
    .filter(({ kind, server }) => kind === 'tokens' && (only === undefined || server === only))
    .sort((a, b) => (orderOf(a) < orderOf(b) ? -1 : 1))
  const found: KeptLogin[] = []
  for (const { server, owner, issuer, opens } of names.slice(0, most)) {
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
  return { logins: found, left: names.length - found.length }
}

function orderOf({ server, owner }: Pick<KeptLogin, 'server' | 'owner'>): string {
  return `${server}\n${owner}`
}
