import type { Handler } from '../../core/compose.ts'
import type { Opening } from '../../core/client-request.ts'
import type { Opened } from '../../core/exchange.ts'

/** What a request comes to that only opens a session or a stream. */
export const OPENED: Opened = { kind: 'opened', text: '' }

/** Innermost, in place of the router: nothing is looked up for what only opens a session or a stream. Rejects with the refusal of what was refused before. */
export const opened: Handler<Opening> = ({ refusal }) =>
  refusal ? Promise.reject(refusal) : Promise.resolve(OPENED)
