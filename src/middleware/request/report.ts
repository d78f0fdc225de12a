import type { Handler, Middleware } from '../../core/compose.ts'
import type { ClientRequest, Opening } from '../../core/client-request.ts'
import { GatewayError } from '../../core/errors.ts'
import type { EventSink } from '../../core/event-bus.ts'
import type { Outcome } from '../../core/exchange.ts'
import { OPENED } from './opened.ts'
import { Began, Ended, Refused, type RequestContext } from './request-events.ts'

export interface ReportOptions {
  readonly events: EventSink
  readonly ruleOn: RequestContext['ruleOn']
}

interface Reporting extends RequestContext {
  readonly events: EventSink
}

/**
 * Outermost: reports the outcome of every request to the listeners of events. Without listeners, a request passes
 * unchanged.
 */
export function report<R extends ClientRequest>(options: ReportOptions): Middleware<R> {
  return reporting({ ...options, routed: true })
}

/**
 * As `report`, for requests that open a session or a stream. A stream is reported when it is open (`reportOpened`), a
 * session only when it is refused.
 */
export function reportOpening({ events, ruleOn }: ReportOptions): Middleware<Opening> {
  return reporting({ events, ruleOn, routed: false })
}

/** Reports that a stream requested at `since` (`performance.now()`) is open. */
export function reportOpened({ events, ruleOn }: ReportOptions, request: ClientRequest, since: number): void {
  if (events.heard['request.ended'])
    ended({ events, ruleOn, routed: false }, request, since, OPENED, undefined)
}

function reporting<R extends ClientRequest>(to: Reporting): Middleware<R> {
  const { events } = to
  return next => request => (events.hearsRequests ? reported(to, next, request) : next(request))
}

async function reported<R extends ClientRequest>(
  to: Reporting,
  next: Handler<R>,
  request: R,
): Promise<Outcome> {
  const since = performance.now()
  if (to.events.heard['request.began']) to.events.emit(new Began(request, since, to))
  try {
    const outcome = await next(request)
    if (outcome.kind !== 'opened') ended(to, request, since, outcome, undefined)
    return outcome
  } catch (caught) {
    const error = request.cancellation?.error ?? GatewayError.from(caught)
    ended(to, request, since, undefined, error)
    throw error
  }
}

function ended(
  to: Reporting,
  request: ClientRequest,
  since: number,
  outcome: Outcome | undefined,
  error: GatewayError | undefined,
): void {
  const { events } = to
  const now = performance.now()
  const limit = error?.data?.limit
  if (error && typeof limit === 'string' && events.heard['quota.refused'])
    events.emit(new Refused(request, since, now, to, error, limit))
  if (events.heard['request.ended']) events.emit(new Ended(request, since, now, to, outcome, error))
}
