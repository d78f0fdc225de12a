import { monotonicNow } from '../../core/clock.ts'
import type { CallHandler } from '../../core/compose.ts'
import type { Deadline, Deadlines } from '../../core/deadlines.ts'
import { GatewayError } from '../../core/errors.ts'
import type { Outcome } from '../../core/exchange.ts'
import type { Route } from '../../core/route.ts'
import type { CacheableExchange } from '../cacheable-exchange.ts'

export interface CoalesceOptions {
  readonly deadlines: Deadlines
  /** How long a call of a server may take, in milliseconds; 0: no limit. */
  readonly timeoutMs: (server: string) => number
}

/** A call that several callers wait for. */
interface Shared {
  /** Whether it has been sent to the server. */
  readonly sent: boolean
  /** When the server's time limit was last restarted, in milliseconds of `monotonicNow()`; 0 before. */
  readonly movedAt: number
  remove(caller: Waiter, reason: string): void
}

/** The waiting call of one client. */
export class Waiter implements Deadline {
  heapIndex: number | undefined
  due: number | undefined
  readonly call: CacheableExchange
  readonly route: Route
  readonly since = monotonicNow()
  /** The shared call that it waits for. `undefined`: it runs alone. */
  flight: Shared | undefined
  readonly #options: CoalesceOptions
  readonly #resolve: (outcome: Outcome | Promise<Outcome>) => void
  readonly #reject: (error: unknown) => void
  #settled = false

  constructor(
    options: CoalesceOptions,
    call: CacheableExchange,
    route: Route,
    resolve: (outcome: Outcome | Promise<Outcome>) => void,
    reject: (error: unknown) => void,
  ) {
    this.#options = options
    this.call = call
    this.route = route
    this.#resolve = resolve
    this.#reject = reject
  }

  get timeoutMs(): number {
    return this.#options.timeoutMs(this.route.server)
  }

  /**
   * When its time is over, in milliseconds of `monotonicNow()`: counted from its arrival, from the sending of the call,
   * and again from each progress.
   */
  get endsAt(): number {
    const { timeoutMs } = this
    return timeoutMs === 0 ? Infinity : Math.max(this.since, this.flight?.movedAt ?? 0) + timeoutMs
  }

  watch(): void {
    this.#options.deadlines.set(this, this.timeoutMs)
  }

  expire(): void {
    if (this.#settled) return
    const leftMs = this.endsAt - monotonicNow()
    if (leftMs > 0 || this.flight?.sent === false) {
      this.#options.deadlines.set(this, Math.max(leftMs, 1))
      return
    }
    const { server } = this.route
    this.#out('timeout')
    this.reject(
      new GatewayError(
        'upstream_timeout',
        `Server "${server}" did not answer ${this.call.request.method} within ${this.timeoutMs / 1000} s. Try again, or raise "timeout" of this server.`,
        { server, delivery: 'unknown' },
      ),
    )
  }

  cancel(reason: string): void {
    if (this.#settled) return
    this.#out(reason)
    this.reject(
      new GatewayError('cancelled', 'The request was cancelled.', {
        server: this.route.server,
        delivery: 'unknown',
      }),
    )
  }

  /** Makes a call of its own, which is not shared. */
  goAlone(next: CallHandler): void {
    this.flight = undefined
    this.#settle()
    this.#resolve(next(this.call, this.route))
  }

  resolve(outcome: Outcome): void {
    this.#settle()
    this.#resolve(outcome)
  }

  reject(error: unknown): void {
    this.#settle()
    this.#reject(error)
  }

  #settle(): void {
    this.#settled = true
    this.#options.deadlines.remove(this)
  }

  #out(reason: string): void {
    const { flight } = this
    this.flight = undefined
    flight?.remove(this, reason)
  }
}
