import type { RetryBudget } from '../../upstream/balance/retry-budget.ts'
import { CallState } from '../../core/call-state.ts'
import { CallTrace } from '../../core/call-trace.ts'
import { Cancellation } from '../../core/cancellation.ts'
import { monotonicNow } from '../../core/clock.ts'
import { GatewayError } from '../../core/errors.ts'
import type { Exchange, Outcome } from '../../core/exchange.ts'
import { Delegate } from '../../core/derived-exchange.ts'
import type { Excluded } from '../../upstream/replica/replica-set.ts'
import type { Replica } from '../../upstream/replica/replica.ts'
import { Attempt } from '../attempt.ts'
import type { ServerCall } from './server-call.ts'

/** Delay until a call looks again for a second attempt after the budget refused one. */
const MIN_AGAIN_MS = 100
/** Half of the 60 seconds that the official SDKs allow for a call. */
const MAX_UNKNOWN_MS = 30_000

/** One of two concurrent attempts. It can be cancelled separately. */
class Branch extends Delegate {
  readonly #cancellation = new Cancellation()
  readonly #trace: CallTrace
  readonly #state: CallState
  /** Whether its notifications reach the client, which would otherwise get those of both attempts. */
  readonly #heard: boolean

  constructor(inner: Exchange, heard: boolean) {
    super(inner)
    this.#heard = heard
    this.#trace = heard ? inner.trace : new CallTrace()
    this.#state = heard ? inner.state : new CallState()
    inner.cancellation.onCancel(reason => this.#cancellation.cancel(reason))
  }

  override get cancellation(): Cancellation {
    return this.#cancellation
  }

  override get trace(): CallTrace {
    return this.#trace
  }

  override get state(): CallState {
    return this.#state
  }

  override get canBeAsked(): Exchange['canBeAsked'] {
    return this.#heard ? super.canBeAsked : 'never'
  }

  override notify(method: string, params: string | undefined): void {
    if (this.#heard) super.notify(method, params)
  }

  override ask(...args: Parameters<Exchange['ask']>): Promise<string> {
    if (this.#heard) return super.ask(...args)
    return Promise.reject(
      new GatewayError('cannot_ask', 'A second attempt at the same call may not ask the client.'),
    )
  }
}

/** Delay while latencies are unknown: late enough to be rare, early enough to leave time for the second attempt. */
function unknownMs(timeoutMs: number): number {
  return timeoutMs === 0 ? MAX_UNKNOWN_MS : Math.min(MAX_UNKNOWN_MS, timeoutMs / 4)
}

/**
 * Hedges a repeatable call: when it takes longer than 95 % of those before, or its replica fails a check, it is sent to
 * another replica as well. The first answer wins and the other attempt is cancelled. A failure waits for the other
 * attempt.
 */
export function hedged(call: ServerCall): Promise<Outcome> {
  const { pool, exchange, lacking } = call
  return new Promise((resolve, reject) => {
    const main = new Branch(exchange, true)
    const attempt = new Attempt(lacking)
    let beside: Branch | undefined
    let running = 1
    let failure: GatewayError | undefined
    let settled = false
    let watched: Replica | undefined
    const now = performance.now()

    const settle = (winner: Branch): void => {
      settled = true
      clearTimeout(timer)
      watched?.unwatchChecks(ill)
      if (winner !== main) {
        exchange.trace.answeredBy(winner.trace)
        exchange.state.stick(winner.state.replica)
      }
      for (const branch of [main, beside])
        if (branch && branch !== winner) branch.cancellation.cancel('answered by another replica')
    }
    const won = (branch: Branch) => (outcome: Outcome) => {
      if (settled) return
      settle(branch)
      pool.replicas.latencies.add(performance.now() - now)
      resolve(outcome)
    }
    const lost = (branch: Branch) => (error: unknown) => {
      running--
      if (branch === main || !failure) failure = GatewayError.from(error, pool.server.name)
      if (settled || running > 0) return
      settle(branch)
      reject(failure)
    }
    const tryBeside = (budget: RetryBudget): void => {
      const { replica } = attempt
      const leftOut: Excluded = other => other === replica || (lacking?.(other) ?? false)
      if (settled || beside || !replica || main.state.asked || !pool.replicas.hasOther(leftOut)) return
      if (!budget.tryRepeat(monotonicNow())) return
      beside = new Branch(exchange, false)
      running++
      call.as(beside).once(new Attempt(leftOut)).then(won(beside), lost(beside))
    }
    const ill = (): void => tryBeside(pool.replicas.retryBudget)
    const delayMs = Math.max(1, Math.ceil(pool.replicas.latencies.p95 ?? unknownMs(pool.server.timeoutMs)))
    const slow = (): void => {
      tryBeside(pool.replicas.hedgeBudget)
      // Other calls were slow, too, so the budget may allow an attempt later.
      if (!beside && !settled) timer = setTimeout(slow, Math.max(MIN_AGAIN_MS, delayMs))
    }
    let timer = pool.server.hedge ? setTimeout(slow, delayMs) : undefined
    pool.replicas.hedgeBudget.called()
    call.as(main).persist(attempt).then(won(main), lost(main))
    watched = attempt.replica
    watched?.watchChecks(ill)
  })
}
