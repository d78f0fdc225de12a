import { isLoopback } from '../../core/loopback.ts'
import type { ServerEntry } from '../options/file.ts'
import type { OAuthEntry } from '../options/oauth.ts'
import type { Path, Problem } from '../problem.ts'

/** Conditions over several keys of a login. */
export function checkOAuth({ oauth, auth }: ServerEntry, path: Path): Problem[] {
  const at = [...path, 'oauth']
  if (oauth === false || oauth === undefined) return []
  const clientId = oauth.clientId ?? oauth.client_id ?? auth?.CLIENT_ID
  const clientSecret = oauth.clientSecret ?? auth?.CLIENT_SECRET
  return [
    ...checkNames(oauth, auth, path),
    ...checkAuthentication({ ...oauth, clientId, clientSecret }, at),
    ...checkRedirect(oauth, at),
    ...checkGrant({ ...oauth, clientId, clientSecret }, at),
  ]
}

/** Keys that mean the same. */
function checkNames(oauth: OAuthEntry, auth: ServerEntry['auth'], path: Path): Problem[] {
  const groups: readonly (readonly (readonly [string, string, unknown])[])[] = [
    [
      ['oauth', 'clientId', oauth.clientId],
      ['oauth', 'client_id', oauth.client_id],
      ['auth', 'CLIENT_ID', auth?.CLIENT_ID],
    ],
    [
      ['oauth', 'clientSecret', oauth.clientSecret],
      ['auth', 'CLIENT_SECRET', auth?.CLIENT_SECRET],
    ],
    [
      ['oauth', 'scopes', oauth.scopes],
      ['oauth', 'scope', oauth.scope],
      ['auth', 'scopes', auth?.scopes],
    ],
    [
      ['oauth', 'redirect', oauth.redirect],
      ['oauth', 'redirectUri', oauth.redirectUri],
      ['oauth', 'callbackPort', oauth.callbackPort],
    ],
  ]
  return groups.flatMap(names => {
    const [first, ...others] = names.filter(([, , value]) => value !== undefined)
    return others.map(([section, key]): Problem => ({
      path: [...path, section, key],
      about: 'key',
      cause: `means the same as ${first?.slice(0, 2).join('.')}, which is there as well`,
      fix: 'Remove one of them.',
    }))
  })
}

function checkAuthentication(oauth: OAuthEntry, path: Path): Problem[] {
  const { clientId, clientSecret, privateKey, authMethod, clientMetadataUrl } = oauth
  const problem = (key: string, cause: string, fix: string): Problem[] => [
    { path: [...path, key], about: 'key', cause, fix },
  ]
  if (clientSecret !== undefined && clientId === undefined)
    return problem('clientSecret', 'belongs to a clientId, and there is none', 'Add "clientId".')
  if (privateKey !== undefined && clientId === undefined && clientMetadataUrl === undefined)
    return problem('privateKey', 'belongs to a clientId, and there is none', 'Add "clientId".')
  if (clientSecret !== undefined && privateKey !== undefined && authMethod === undefined)
    return problem(
      'privateKey',
      'stands beside clientSecret',
      'Remove one of the two, or choose with "authMethod".',
    )
  if (authMethod === 'private_key_jwt' && privateKey === undefined)
    return problem('authMethod', 'is private_key_jwt, and there is no key', 'Add "privateKey".')
  if (
    authMethod !== undefined &&
    authMethod !== 'private_key_jwt' &&
    clientSecret === undefined &&
    privateKey
  )
    return problem('authMethod', `is ${authMethod}, and there is a privateKey`, 'Make it "private_key_jwt".')
  const isSecret = authMethod === 'client_secret_basic' || authMethod === 'client_secret_post'
  if (isSecret && clientId !== undefined && clientSecret === undefined)
    return problem('authMethod', `is ${authMethod}, and there is no secret`, 'Add "clientSecret".')
  return []
}

function checkRedirect({ redirect, redirectUri }: OAuthEntry, path: Path): Problem[] {
  const written = typeof redirect === 'string' ? redirect : redirectUri
  if (written === undefined) return []
  const { protocol, hostname, hash } = new URL(written)
  const at = [...path, typeof redirect === 'string' ? 'redirect' : 'redirectUri']
  if (hash !== '')
    return [{ path: at, cause: 'has a fragment', fix: 'Remove "#" and what follows: OAuth forbids it.' }]
  if (protocol === 'https:' || isLoopback(hostname)) return []
  const fix = 'Write "https:", or an address of this machine such as "http://127.0.0.1:8976/callback".'
  return [{ path: at, cause: 'is neither https nor an address of this machine', fix }]
}

function checkGrant(oauth: OAuthEntry, path: Path): Problem[] {
  const { grant = 'code', idp, clientId, clientSecret, privateKey, per } = oauth
  const problem = (key: string, cause: string, fix: string): Problem[] => [
    { path: [...path, key], about: 'key', cause, fix },
  ]
  const exchanges = grant === 'token_exchange' || grant === 'id_jag'
  if (idp && !exchanges && grant !== 'jwt_bearer')
    return problem('idp', `is not used by the grant "${grant}"`, 'Remove it, or set "grant".')
  if (exchanges && idp?.subjectToken === undefined)
    return problem(
      'grant',
      `is ${grant}, and there is no token to exchange`,
      'Add "idp" with "subjectToken".',
    )
  if (grant === 'id_jag' && idp?.issuer === undefined && idp?.tokenEndpoint === undefined)
    return problem('idp', 'does not say where the identity provider is', 'Add "issuer" or "tokenEndpoint".')
  if (idp?.subjectToken === 'caller') {
    // The token of a caller is for the gateway: an identity provider may exchange it, and nothing else sees it.
    if (!exchanges || (idp.issuer === undefined && idp.tokenEndpoint === undefined))
      return problem(
        'idp',
        'takes the token of the caller, which goes to an identity provider only',
        'Add "issuer" or "tokenEndpoint" to it, and the grant "id_jag" or "token_exchange".',
      )
    if (per !== 'client')
      return problem(
        'idp',
        'takes the token of the caller, and all clients have one account',
        'Set "per" to "client".',
      )
  }
  if (grant === 'jwt_bearer' && idp?.subjectToken === undefined && privateKey === undefined)
    return problem(
      'grant',
      'is jwt_bearer, and there is neither a token nor a key',
      'Add "privateKey", or "idp" with "subjectToken".',
    )
  if (grant !== 'client_credentials') return []
  if (clientId === undefined || (clientSecret === undefined && privateKey === undefined))
    return problem(
      'grant',
      'is client_credentials, and the gateway has nothing to show',
      'Add "clientId", and "clientSecret" or "privateKey".',
    )
  if (per === 'client')
    return problem(
      'per',
      'is "client", and the grant client_credentials is the same for all clients',
      'Remove it, or use another grant.',
    )
  return []
}
