import { GatewayError } from '../core/errors.ts'
import { STALLED } from '../core/reception.ts'

/** A server began a large message, and so little of it came that it had to give up its room. */
export function stopped(server: string): GatewayError {
  return new GatewayError(
    'upstream_timeout',
    `Server "${server}" began a large message and stopped: less than ${STALLED.bytes / 1024} KiB of it came within ` +
      `${STALLED.ms / 1000} s, while other messages waited for room. Fix: try again, or ask it for less at once.`,
    { server, delivery: 'unknown' },
  )
}
