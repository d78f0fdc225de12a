import { GatewayError } from './errors.ts'

/**
 * Runs something that uses a link, and once more where it failed only because that link was of no use any more and nothing of it had been sent: the
 * server forgot the session, is another one now, or was gone already.
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
