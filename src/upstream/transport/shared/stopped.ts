import { GatewayError } from '../../../core/errors.ts'
import type { DropReason } from '../../../core/drop-reason.ts'

/** Error for a large message that was given up to free its memory. */
export function stopped(server: string, { code, what, fix }: DropReason): GatewayError {
  return new GatewayError(code, `Server "${server}" ${what}. Fix: ${fix}.`, { server, delivery: 'unknown' })
}
