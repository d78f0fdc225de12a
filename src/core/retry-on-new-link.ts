import { GatewayError } from './errors.ts'

/**
 * Runs an operation on a link, and once more when it failed only because the link was unusable and nothing had been
 * sent: the server has forgotten the session, was replaced, or was already gone.
 */
export async function retryOnNewLink<T>(run: () => Promise<T>): Promise<T> {
  try {
    return await run()
  } catch (error) {
    if (!mayRetryOnNewLink(error)) throw error
    return await run()
  }
}

/** Whether the same request may be sent over a new link. */
export function mayRetryOnNewLink(error: unknown): boolean {
  return (
    error instanceof GatewayError &&
    error.delivery === 'not_sent' &&
    (error.code === 'session_lost' || error.code === 'upstream_closed')
  )
}
