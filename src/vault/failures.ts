import { describeError, GatewayError } from '../core/errors.ts'

const MAX_CAUSE_CHARS = 200

/** A failure of the vault. `why` names the cause and the fix, and is safe to show to a client. */
export function vaultFailure(server: string, why: string, cause?: unknown): GatewayError {
  const what =
    server === '' ? 'A login under way cannot be kept' : `The credentials of "${server}" cannot be used`
  return failure(`${what}: ${why}`, server, cause)
}

/** The logins as a whole cannot be read. An operator asks for them: the message names the store and the cause. */
export function unreadable(store: string, cause: unknown): GatewayError {
  const why = describeError(cause).slice(0, MAX_CAUSE_CHARS)
  return failure(
    `The logins cannot be listed, because the state store "${store}" cannot be read: ${why}. Fix: repair the store, or set "gateway.state" to another one and log in anew.`,
    '',
    cause,
  )
}

function failure(message: string, server: string, cause: unknown): GatewayError {
  return new GatewayError('upstream_unauthorized', message, {
    ...(server === '' ? {} : { server }),
    ...(cause === undefined ? {} : { cause }),
  })
}

/** Makes the rejection of a store one that names server and fix. A `GatewayError` stays as it is. */
export async function fromStore<T>(server: string, work: Promise<T>): Promise<T> {
  try {
    return await work
  } catch (error) {
    if (error instanceof GatewayError) throw error
    throw vaultFailure(
      server,
      'the state store cannot be read or written. Fix: the log of the gateway has the cause.',
      error,
    )
  }
}
