import { GatewayError } from '../../core/errors.ts'
import { LOCAL } from '../../core/principal.ts'
import { shellWord } from '../../core/shell-word.ts'
import { OAuthFailure } from '../oauth/failure.ts'
import { GATEWAY_OWNER } from '../owner.ts'

/** How a failed login reaches the callers of a server. */

const MAX_SHOWN_SCOPE = 200

/** Whose login is missing, and where it is kept. */
export interface LoginPlace {
  readonly server: string
  readonly owner: string
  /** Whether a command can put a login there. */
  readonly isShared: boolean
}

export function needsLogin(place: LoginPlace, why?: string): GatewayError {
  const { server } = place
  const cause = why ?? 'needs a login (HTTP 401)'
  const key = why === undefined ? ' A server that wants a key gets it by "headers.Authorization".' : ''
  const command = commandFor(place)
  const ways =
    command === undefined ? 'call a tool of it again and' : `run ${command}, or call a tool of it again and`
  return new GatewayError('needs_login', `Server "${server}" ${cause}. Fix: ${ways} follow the link.${key}`, {
    server,
    delivery: 'answered',
  })
}

/** The command that logs an owner in. `undefined`: none reaches the state of the gateway, or can name the owner. */
function commandFor({ server, owner, isShared }: LoginPlace): string | undefined {
  if (!isShared) return undefined
  if (owner === GATEWAY_OWNER || owner === LOCAL.id) return `"mcp-manifold login ${shellWord(server)}"`
  const client = /^client:(.+)$/s.exec(owner)?.[1]
  return client === undefined
    ? undefined
    : `"mcp-manifold login ${shellWord(server)} --client ${shellWord(client)}"`
}

/** How a login is replaced by another one, at the end of a sentence. */
function loginAgain(place: LoginPlace): string {
  const command = commandFor(place)
  return command === undefined
    ? `log out (POST /admin/servers/${place.server}/logout of the admin API) and in again by a call`
    : `log in again with ${command}`
}

/** The server refuses even tokens that are new. */
export function refusesNewTokens(place: LoginPlace): GatewayError {
  return unauthorized(
    place.server,
    'refuses tokens that its authorization server has just issued',
    `check "oauth.resource" and "oauth.scopes", or ${loginAgain(place)}`,
  )
}

export function refusesAccount(server: string): GatewayError {
  return unauthorized(
    server,
    'refuses this to the account that is logged in (403)',
    'ask for the permission there',
  )
}

/** The server refuses a request that carried nothing, and does not ask for a login. */
export function refusesGateway(server: string): GatewayError {
  return unauthorized(
    server,
    'refused the gateway (HTTP 403)',
    'set "headers.Authorization" of this server, or permit the gateway there',
  )
}

/** The server asks for scopes that do not help. */
export function asksInVain(server: string): GatewayError {
  return unauthorized(
    server,
    'asks for permissions that its login has been granted',
    'check what the account may do there, and "oauth.scopes"',
  )
}

export function asksForMore(place: LoginPlace): GatewayError {
  return unauthorized(
    place.server,
    'asks for more and more permissions',
    `set all of them in "oauth.scopes", and ${loginAgain(place)}`,
  )
}

export function needsScopes(place: LoginPlace, scopes: readonly string[]): GatewayError {
  const shown = scopes
    .join(' ')
    .replace(/[^\x20-\x7e]/g, '')
    .slice(0, MAX_SHOWN_SCOPE)
  return needsLogin(place, `needs a login with more permissions (${shown})`)
}

export function unauthorized(server: string, why: string, fix: string): GatewayError {
  return new GatewayError('upstream_unauthorized', `Server "${server}" ${why}. Fix: ${fix}.`, {
    server,
    delivery: 'answered',
  })
}

/** What is no failure of a login keeps its own words, if they may be shown. */
export function accountError(server: string, caught: unknown): GatewayError {
  if (caught instanceof GatewayError) return caught
  if (caught instanceof OAuthFailure)
    return new GatewayError('upstream_unauthorized', caught.message, { server })
  const isTimeout = caught instanceof Error && caught.name === 'TimeoutError'
  return new GatewayError(
    'upstream_unauthorized',
    isTimeout
      ? `The authorization server of server "${server}" did not answer in time. Fix: check that it is reachable from here.`
      : `The gateway could not get credentials for server "${server}". Fix: its log has the cause.`,
    { server, cause: caught },
  )
}
