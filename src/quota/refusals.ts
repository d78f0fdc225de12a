import { GatewayError, type ErrorCode } from '../core/errors.ts'
import type { LeaseRefusal } from './lease-options.ts'
import type { Limit } from './limits.ts'
import { Uncounted, type StoreUnavailableError } from './store-availability.ts'

/** The error of a refused request: the limit, the fix, and when a retry is possible. */
export function refused(limit: Limit, refusal: LeaseRefusal, now: number): GatewayError {
  const retryAfterMs = Math.max(1, Math.ceil(refusal.retryAt - now))
  const { name, text, owner } = limit
  const of = `${owner.label}${owner.part === undefined ? '' : ` for ${owner.part}`}`
  const data: Record<string, unknown> = { limit: name, of: owner.id, amount: limit.limit }
  let code: ErrorCode = 'rate_limited'
  let message: string
  if (limit.kind === 'budget') {
    code = 'quota_exhausted'
    const resetsAt = new Date(refusal.retryAt).toISOString()
    data.resetsAt = resetsAt
    message = `The budget of ${text} of ${of} is used up. It begins anew at ${resetsAt}, in ${duration(retryAfterMs)}; do not repeat the call before, or ask the operator for more.`
  } else if (limit.kind === 'rate')
    message = `The limit of ${text} of ${of} is reached. Try again in ${duration(retryAfterMs)}.`
  else message = `The limit of ${text} of ${of} is reached. Wait until one of them has ended, then try again.`
  return new GatewayError(code, message, { retryAfterMs, data })
}

/** The error when the store cannot report the rest, and the operator prefers a refusal. */
export function limitUnavailable(limit: Limit, error: StoreUnavailableError): GatewayError {
  const lost = error instanceof Uncounted
  const why = lost
    ? 'is not known, because the gateway has lost its state'
    : 'cannot be found out at the moment, because the gateway cannot reach its state'
  const or = lost ? ', or ask the operator to begin all periods anew by a restart of the gateway' : ''
  return new GatewayError(
    'quota_unavailable',
    `What is left of ${limit.text} of ${limit.owner.label} ${why}. Try again in ${duration(error.retryAfterMs)}${or}.`,
    { retryAfterMs: error.retryAfterMs, data: { limit: limit.name, of: limit.owner.id }, cause: error },
  )
}

function duration(ms: number): string {
  const seconds = Math.ceil(ms / 1000)
  if (seconds < 120) return `${seconds} s`
  const minutes = Math.ceil(seconds / 60)
  if (minutes < 120) return `${minutes} min`
  const hours = Math.ceil(minutes / 60)
  return hours < 48 ? `${hours} h` : `${Math.ceil(hours / 24)} days`
}
