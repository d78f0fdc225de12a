import { GatewayError } from '../../../core/errors.ts'
import type { GivenUp } from '../../../core/given-up.ts'

/** A server began a large message that had to give up its room. */
export function stopped(server: string, { code, what, fix }: GivenUp): GatewayError {
  return new GatewayError(code, `Server "${server}" ${what}. Fix: ${fix}.`, { server, delivery: 'unknown' })
}
