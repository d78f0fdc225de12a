import { CLOCK, monotonicAt, monotonicNow } from '../core/clock.ts'
import type { ErrorCode, GatewayError } from '../core/errors.ts'
import type { EventSink } from '../core/event-bus.ts'
import type { Exchange } from '../core/exchange.ts'
import type { Route } from '../core/route.ts'
import { TraceView } from '../core/trace-view.ts'
import type { LinkLease } from '../upstream/pool/lease.ts'
import type { Replica } from '../upstream/replica/replica.ts'

/** Failures of a replica: to take a call, or to answer it. All others are not the replica's fault. */
const OF_REPLICA: ReadonlySet<ErrorCode> = new Set<ErrorCode>([
  'upstream_start_failed',
  'upstream_unreachable',
  'upstream_unauthorized',
  'upstream_closed',
  'upstream_protocol',
  'upstream_timeout',
  'session_lost',
])

/** Statuses about the request itself: another replica would answer the same. */
const OF_REQUEST: ReadonlySet<number> = new Set([400, 406, 411, 413, 414, 415, 422, 431])

/** Failures of a link. Its end is one failure, however many calls were on it, and is reported by its pool. */
const OF_LINK: ReadonlySet<ErrorCode> = new Set<ErrorCode>(['session_lost', 'upstream_closed'])

/** The server is overloaded, which is no evidence about the health of a replica. */
const BUSY: ReadonlySet<number> = new Set([429, 503])
const BUSY_MS = 1000

interface Reported {
  readonly events: EventSink
  readonly link: LinkLease['link']
  readonly exchange: Exchange
  readonly route: Route
}

/**
 * One attempt to have a call answered by one replica. Reports the outcome to the replica's load and health, and returns
 * its link.
 */
export class Attempt {
  /** Excluded replicas. */
  readonly excluded: ((replica: Replica) => boolean) | undefined
  /** Remaining time of the call in milliseconds. `undefined`: the full time. */
  readonly timeoutMs: number | undefined
  /** The chosen replica, as soon as it is decided. */
  replica: Replica | undefined = undefined
  /** When it was sent, by `performance.now()`. 0 before. */
  sentAt = 0
  /** Reports the attempt to the listeners of events, if any. */
  #reported: Reported | undefined = undefined
  #lease: LinkLease | undefined

  constructor(leftOut?: (replica: Replica) => boolean, timeoutMs?: number) {
    this.excluded = leftOut
    this.timeoutMs = timeoutMs
  }

  /** Records that the call is sent over a link, which `answered` or `failed` returns. `events` receive its end. */
  began(lease: LinkLease, exchange: Exchange, route: Route, events: EventSink): void {
    const { link } = lease
    const { trace, state } = exchange
    this.#lease = lease
    this.sentAt = performance.now()
    if (events.heard['attempt.ended']) this.#reported = { events, link, exchange, route }
    trace.sent(link.replica.name, this.sentAt)
    state.stick(link.replica)
    link.replica.load.began()
  }

  answered(): void {
    this.#lease?.release()
    const { replica } = this
    if (!replica || this.sentAt === 0) return
    const endedAt = performance.now()
    const now = monotonicAt(endedAt)
    replica.load.ended(endedAt - this.sentAt, now)
    replica.health.succeeded(now)
    if (this.#reported) tell(this.#reported, this.sentAt, endedAt, undefined)
  }

  /**
   * A cancelled call has taken at least this long. Without this sample, a replica whose calls are always cancelled
   * would never appear slow.
   */
  #sample({ code }: GatewayError): number | undefined {
    if (code !== 'cancelled' && code !== 'upstream_timeout') return undefined
    const ms = performance.now() - this.sentAt
    return ms > (this.replica?.load.averageMs ?? 0) ? ms : undefined
  }

  #began(now: number): number {
    return this.sentAt === 0 ? now : now - (performance.now() - this.sentAt)
  }

  failed(error: GatewayError): void {
    this.#lease?.release()
    const { replica } = this
    if (!replica) return
    const now = monotonicNow()
    if (this.sentAt > 0) replica.load.ended(this.#sample(error), now)
    if (this.#reported) tell(this.#reported, this.sentAt, performance.now(), error)
    const status = statusOf(error)
    if (isOfOwner(error, replica)) {
      if (!replica.server.perClient) replica.health.loggedOut(error.message, now)
    } else if (status !== undefined && BUSY.has(status))
      replica.health.busyUntil(now + (error.retryAfterMs ?? BUSY_MS))
    else if (isOfReplica(error) && !OF_LINK.has(error.code)) {
      const { code, message, kind, delivery } = error
      const { countsAgainstHealth } = kind
      // A call that was not sent failed in the network or at the start, unless a server refused it.
      if (delivery === 'not_sent' && status === undefined && code !== 'upstream_unauthorized')
        replica.health.unreachable(message, now)
      else replica.health.failed({ code, message, countsAgainstHealth }, now, this.#began(now))
    }
  }
}

function tell(
  { events, link, exchange, route }: Reported,
  startedAt: number,
  now: number,
  error: GatewayError | undefined,
): void {
  events.emit({
    type: 'attempt.ended',
    time: Math.floor(CLOCK.wallAt(now)),
    server: route.server,
    replica: link.replica.name,
    method: exchange.request.method,
    name: route.own,
    era: link.peer.era,
    startedAt,
    durationMs: now - startedAt,
    error,
    trace: new TraceView(exchange.trace),
  })
}

/** Whether a failure says nothing of the replica, but of what is presented to it for this call. */
function isOfOwner({ code }: GatewayError, { server }: Replica): boolean {
  return code === 'needs_login' || (server.perClient && code === 'upstream_unauthorized')
}

/** Whether another replica may succeed where this one failed. */
export function isOfReplica(error: GatewayError): boolean {
  const status = statusOf(error)
  return OF_REPLICA.has(error.code) && !(status !== undefined && OF_REQUEST.has(status))
}

/** The HTTP status of a server's refusal. */
function statusOf({ cause }: GatewayError): number | undefined {
  const status = cause instanceof Error ? (cause as { status?: unknown }).status : undefined
  return typeof status === 'number' ? status : undefined
}
