import { GatewayError } from '../core/errors.ts'
import type { Principal } from '../core/principal.ts'

/**
 * Why a reload ends the sessions and streams of a client: its credential is no longer valid, or nothing is left that it
 * may use.
 */
export function noLongerServed({ name }: Principal, isKnown: boolean, endpoint: string): GatewayError {
  if (!isKnown)
    return new GatewayError(
      'unauthenticated',
      `The configuration of the gateway has changed, and the credentials of "${name}" are no longer valid. Ask the operator of the gateway for new ones.`,
    )
  const where = endpoint === '' ? 'There is nothing here' : `There is nothing at ${JSON.stringify(endpoint)}`
  return new GatewayError(
    'forbidden',
    `The configuration of the gateway has changed. ${where} that "${name}" may use any more. Ask the operator of the gateway.`,
  )
}
