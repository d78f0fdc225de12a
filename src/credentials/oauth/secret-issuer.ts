import { isDeepStrictEqual } from 'node:util'
import type { OAuthConfig } from '../../config/types.ts'
import type { Vault } from '../../vault/vault.ts'
import { OAuthFailure } from './failure.ts'
import { isSameIssuer } from './issuer.ts'

/** No owner of a registration: those that the gateway makes are written and forgotten beside it. */
const OWNER = 'secret'

/** What the secrets of a configuration were first used for. Another identifier or server is another use. */
interface SecretUse {
  readonly clientId: string
  readonly serverUrl: string
}

/**
 * A configured secret is for one authorization server: that of the configuration, else the first that the server has
 * named, so that a server that is taken over cannot have the secret sent elsewhere.
 * @throws OAuthFailure for another one
 */
export async function checkSecretIssuer(
  issuer: string,
  {
    server,
    serverUrl,
    oauth,
    vault,
  }: {
    readonly server: string
    readonly serverUrl: string
    readonly oauth: OAuthConfig
    readonly vault: Vault
  },
): Promise<void> {
  const { clientId, clientSecret, idp } = oauth
  const given = idp !== undefined && idp.issuer === undefined && idp.tokenEndpoint === undefined
  if (oauth.issuer !== undefined || (clientSecret === undefined && !given)) return
  const name = { kind: 'registration', server, owner: OWNER } as const
  const value: SecretUse = { clientId: clientId ?? '', serverUrl }
  const first = await vault.exclusively(name, async () => {
    const kept = await vault.read<SecretUse>(name)
    if (kept && isDeepStrictEqual(kept.value, value)) return kept.issuer
    await vault.write(name, { issuer, value })
    return issuer
  })
  if (isSameIssuer(first, issuer)) return
  throw new OAuthFailure(
    `Server "${server}" names the authorization server ${new URL(issuer).host}, and the secrets in its "oauth" were for ${new URL(first).host}. Fix: set "oauth.issuer" to the right one: ${first} or ${issuer}.`,
  )
}
