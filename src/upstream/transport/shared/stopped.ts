import { GatewayError } from '../../../core/errors.ts'
import type { GivenUp } from '../../../core/given-up.ts'

/** Error for a large message that was given up to free its memory. */
export function stopped(server: string, { code, what, fix }: GivenUp): GatewayError {
  return new GatewayError(code, `Server "${server}" ${what}. Fix: ${fix}.`, { server, delivery: 'unknown' })
}
