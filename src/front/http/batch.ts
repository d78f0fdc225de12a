import { GatewayError } from '../../core/errors.ts'
import type { JsonObject } from '../../core/exchange.ts'
import { elements } from '../../protocol/json-text.ts'
import { messageKindOf, takeApart, type Incoming } from '../../protocol/message.ts'
import type { Session } from '../session.ts'
import { claimsModern } from '../stateless.ts'

const MAX_BATCH = 100

/** A message of a batch. `incoming` is absent for a response. */
interface BatchMessage {
  readonly kind: ReturnType<typeof messageKindOf>
  readonly incoming: Incoming | undefined
}

/** @throws GatewayError `invalid_request` for a batch without messages or with too many */
export function checkBatch(values: readonly unknown[]): void {
  if (values.length === 0 || values.length > MAX_BATCH)
    throw new GatewayError('invalid_request', `A batch holds 1 to ${MAX_BATCH} messages.`)
}

/**
 * Takes a batch apart and gives its responses to the session. `values` are the parsed elements of `text`.
 *
 * @throws GatewayError `invalid_request` for a message of the modern era
 */
export function readBatch(text: string, values: readonly unknown[], session: Session): BatchMessage[] {
  const spans = elements(text)
  return values.map((value, index) => {
    const span = spans[index] as { start: number; end: number }
    const kind = messageKindOf(value)
    if (claimsModern((value as JsonObject).params))
      throw new GatewayError('invalid_request', 'Revision 2026-07-28 has no batches.')
    const message = { text: text.slice(span.start, span.end), value: value as JsonObject }
    if (kind === 'response') session.response(message)
    return { kind, incoming: kind === 'response' ? undefined : takeApart(message) }
  })
}
