import { GatewayError } from '../../core/errors.ts'
import { OAuthFailure } from '../oauth/failure.ts'

/** The owner of a call has to log in at its server; `message` says why, and what to do. */
export function loginFailure(server: string, message: string, cause?: unknown): GatewayError {
  return new GatewayError('needs_login', message, { server, cause })
}

/** Only sentences of the gateway itself are shown: what an authorization server says may quote a secret. */
export function loginErrorOf(caught: unknown, server: string): GatewayError {
  if (caught instanceof GatewayError && caught.code !== 'internal') return caught
  if (caught instanceof OAuthFailure) return loginFailure(server, caught.message, caught)
  if (caught instanceof Error && caught.name === 'TimeoutError')
    return loginFailure(
      server,
      `The authorization server of server "${server}" did not answer in time. Fix: check that it is reachable from here, and try again.`,
      caught,
    )
  return loginFailure(
    server,
    `The login to server "${server}" has failed; the log of the gateway has the cause.`,
    caught,
  )
}
