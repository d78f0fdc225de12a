import { backoffMs, jittered } from '../../core/backoff.ts'
import { monotonicNow } from '../../core/clock.ts'
import { GatewayError } from '../../core/errors.ts'
import type { Exchange, Outcome } from '../../core/exchange.ts'
import { pause } from '../../core/timeout.ts'
import type { Pool } from '../../upstream/pool/pool.ts'
import type { Excluded } from '../../upstream/replica/replica-set.ts'
import type { Replica } from '../../upstream/replica/replica.ts'
import { Attempt, isOfReplica } from '../attempt.ts'

/** A call does not wait for a longer `Retry-After`. */
const MAX_PAUSE_MS = 10_000
/** Pause before a retry at the same replica. */
const PAUSE = { firstMs: 100, mostMs: MAX_PAUSE_MS }

export interface Failover {
  readonly pool: Pool
  readonly exchange: Exchange
  /** Whether the call may be executed twice. */
  readonly repeatable: boolean
  /** Start of the call's time limit, by `performance.now()`. */
  readonly since: number
  /** Replicas that are excluded in any case. */
  readonly lacking: Excluded | undefined
  run(attempt: Attempt): Promise<Outcome>
}

/**
 * Continues a call whose first attempt failed. The progress of that attempt decides: a call that was certainly not
 * executed may go to any replica; a call that may have been executed goes to another one only if it is repeatable and
 * the server's retry budget allows it; an answered call is not repeated. The time limit of the call is that of its
 * first attempt.
 * @throws the failure of the last attempt
 */
export async function failover(call: Failover, first: Attempt, error: GatewayError): Promise<Outcome> {
  const { pool, exchange, lacking } = call
  const { server } = pool
  const tried = new Set<Replica>()
  const leftOut: Excluded = replica => tried.has(replica) || (lacking?.(replica) ?? false)
  let attempt = first
  let failure = error
  let greetedAnew = false
  for (let repeats = 0; ;) {
    if (!mayGoOn(call, failure)) throw failure
    const { replica } = attempt
    // A replica that lost the session only has to be greeted again.
    const again = failure.code === 'session_lost' && !greetedAnew
    if (again) greetedAnew = true
    else if (replica) tried.add(replica)
    const moves = again || pool.replicas.hasOther(leftOut)
    // A retry elsewhere of a call that was not executed costs no server anything, and the number of replicas bounds it.
    if (!moves || failure.delivery === 'unknown') {
      if (repeats++ >= server.retries) throw failure
      if (failure.delivery === 'unknown' && !pool.replicas.retryBudget.tryRepeat(monotonicNow()))
        throw failure
    }
    if (!moves) {
      const pauseMs = pauseBefore(repeats, failure)
      if (pauseMs >= leftMs(call)) throw failure
      await pause(pauseMs, exchange.cancellation)
      tried.clear()
    }
    const left = leftMs(call)
    if (left <= 0 || exchange.cancellation.reason !== undefined) throw failure
    exchange.trace.repeated()
    attempt = new Attempt(tried.size === 0 ? lacking : leftOut, left === Infinity ? undefined : left)
    try {
      const outcome = await call.run(attempt)
      attempt.answered()
      return outcome
    } catch (caught) {
      failure = GatewayError.from(caught, server.name)
      attempt.failed(failure)
    }
  }
}

function mayGoOn({ exchange, repeatable }: Failover, failure: GatewayError): boolean {
  if (exchange.cancellation.reason !== undefined || !isOfReplica(failure)) return false
  // The client would be asked again.
  if (exchange.state.asked) return false
  return failure.delivery === 'not_sent' || (failure.delivery === 'unknown' && repeatable)
}

/** Remaining time of the call, in milliseconds. */
function leftMs({ pool, since }: Failover): number {
  const { timeoutMs } = pool.server
  return timeoutMs === 0 ? Infinity : timeoutMs - (performance.now() - since)
}

function pauseBefore(repeat: number, { retryAfterMs }: GatewayError): number {
  const pauseMs = jittered(backoffMs(repeat - 1, PAUSE), Math.random())
  if (retryAfterMs === undefined) return pauseMs
  return retryAfterMs > MAX_PAUSE_MS ? Infinity : Math.max(pauseMs, retryAfterMs)
}
