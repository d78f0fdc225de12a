import { GatewayError } from '../core/errors.ts'

/** A failure of the vault. `why` names the cause and the fix, and is safe to show to a client. */
export function vaultFailure(server: string, why: string, cause?: unknown): GatewayError {
  const what =
    server === '' ? 'A login under way cannot be kept' : `The credentials of "${server}" cannot be used`
  return new GatewayError('upstream_unauthorized', `${what}: ${why}`, {
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
