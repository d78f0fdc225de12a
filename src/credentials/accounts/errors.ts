import { GatewayError } from '../../core/errors.ts'
import { OAuthFailure } from '../oauth/failure.ts'

/** How a failed login reaches the callers of a server. */

export function needsLogin(server: string, why?: string): GatewayError {
  const cause = why === undefined ? `Server "${server}" needs a login.` : `Server "${server}" ${why}.`
  return new GatewayError(
    'needs_login',
    `${cause} Fix: run "mcp-manifold login ${server}", or call a tool of it again and follow the link.`,
    { server, delivery: 'answered' },
  )
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
