import { GatewayError } from '../core/errors.ts'
import type { Principal } from '../core/principal.ts'

/** Why the conversations and streams of a client end with a reload: its credentials count no more, or there is nothing left for it. */
export function noLongerServed({ name }: Principal, isKnown: boolean, endpoint: string): GatewayError {
  if (!isKnown)
    return new GatewayError(
      'unauthenticated',
      `The configuration of the gateway has changed, and the credentials of "${name}" count no more. Ask the operator of the gateway for new ones.`,
    )
  const where = endpoint === '' ? 'There is nothing here' : `There is nothing at ${JSON.stringify(endpoint)}`
  return new GatewayError(
    'forbidden',
    `The configuration of the gateway has changed. ${where} that "${name}" may use any more. Ask the operator of the gateway.`,
  )
}
