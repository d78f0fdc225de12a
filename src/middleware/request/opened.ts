import type { Handler } from '../../core/compose.ts'
import type { Opening } from '../../core/client-request.ts'
import type { Opened } from '../../core/exchange.ts'

/** Outcome of a request that only opens a session or a stream. */
export const OPENED: Opened = { kind: 'opened', text: '' }

/**
 * Innermost, in place of the router: a request that only opens a session or a stream needs no look-up. Rejects with the
 * refusal if there is one.
 */
export const opened: Handler<Opening> = ({ refusal }) =>
  refusal ? Promise.reject(refusal) : Promise.resolve(OPENED)
