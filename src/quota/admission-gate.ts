import type { Measure } from '../config/types.ts'
import type { Clock } from '../core/clock.ts'
import type { AmountLease } from './lease.ts'
import type { BudgetLimit, ConcurrencyLimit, RateLimit } from './limits.ts'
import type { ConcurrencyLeases } from './concurrency-leases.ts'
import { StoreUnavailableError } from './store-availability.ts'
import { refused, limitUnavailable } from './refusals.ts'

export interface Rated {
  readonly limit: RateLimit
  readonly lease: AmountLease
}
export interface Leased {
  readonly limit: ConcurrencyLimit
  readonly leases: ConcurrencyLeases
}
export interface Budgeted {
  readonly limit: BudgetLimit
  readonly lease: AmountLease
}

/** Rates and concurrency limits that a request has to pass together. If one of them refuses it, it takes from none. */
export class AdmissionGate {
  readonly #leases: readonly ConcurrencyLeases[]
  readonly #rates: readonly AmountLease[]
  /** The limits of the leases, for refusals. */
  readonly #limitsOfLeases: readonly ConcurrencyLimit[]
  readonly #limitsOfRates: readonly RateLimit[]
  readonly #clock: Clock

  constructor(leases: readonly Leased[], rates: readonly Rated[], clock: Clock) {
    this.#leases = leases.map(leased => leased.leases)
    this.#rates = rates.map(({ lease }) => lease)
    this.#limitsOfLeases = leases.map(({ limit }) => limit)
    this.#limitsOfRates = rates.map(({ limit }) => limit)
    this.#clock = clock
  }

  /** Whether `leave` has any effect. */
  get hasLeases(): boolean {
    return this.#leases.length > 0
  }

  /**
   * `undefined` when the request may continue at once, which is the usual case. An admitted request calls `leave`.
   * Rejects with a `GatewayError`. `now` is the time of the steady clock.
   */
  enter(now = this.#clock.steady()): Promise<void> | undefined {
    const leases = this.#leases
    const rates = this.#rates
    let at = 0
    for (; at < leases.length; at++) if (!(leases[at] as ConcurrencyLeases).tryEnter(now)) break
    if (at < leases.length) return this.#wait(at, 0)
    let rate = 0
    for (; rate < rates.length; rate++) if (!(rates[rate] as AmountLease).tryTake(1, now)) break
    return rate < rates.length ? this.#wait(at, rate) : undefined
  }

  leave(): void {
    for (const leases of this.#leases) leases.leave()
  }

  /** Continues asynchronously: `at` leases and `rate` rates are taken already. */
  async #wait(at: number, rate: number): Promise<void> {
    const since = this.#clock.steady()
    const takenAt: number[] = this.#rates.slice(0, rate).map(() => since)
    for (const lease of this.#rates.slice(rate)) lease.prepare(1)
    try {
      for (; at < this.#leases.length; at++) {
        const limit = this.#limitsOfLeases[at] as ConcurrencyLimit
        const refusal = await reachable(limit, (this.#leases[at] as ConcurrencyLeases).enter())
        if (refusal) throw refused(limit, refusal, this.#clock.wall())
      }
      for (; rate < this.#rates.length; rate++) {
        const limit = this.#limitsOfRates[rate] as RateLimit
        const refusal = await reachable(limit, (this.#rates[rate] as AmountLease).take(1))
        if (refusal) throw refused(limit, refusal, this.#clock.wall())
        takenAt.push(this.#clock.steady())
      }
    } catch (error) {
      this.#leases.slice(0, at).forEach(leases => leases.leave())
      takenAt.forEach((time, index) => (this.#rates[index] as AmountLease).giveBack(1, time))
      throw error
    }
  }
}

/** Marks an amount that is charged when the call has ended. */
const LATER = -1

/** Budgets that a call uses together. */
export class Charge {
  readonly #leases: readonly AmountLease[]
  /** Amount charged in advance to each budget; `LATER` if it is known only afterwards. */
  readonly #amounts: readonly number[]
  /** The limits of the budgets, for refusals. */
  readonly #limits: readonly BudgetLimit[]
  readonly #compute: readonly AmountLease[]
  readonly #bytes: readonly AmountLease[]
  readonly #clock: Clock
  /** Whether the size of the result is charged. */
  readonly countsBytes: boolean

  /** `cost` is that of the call in units. `calls` is 0 for a request that belongs to a counted call. */
  constructor(budgets: readonly Budgeted[], calls: number, cost: number, clock: Clock) {
    this.#clock = clock
    const amountOf = ({ limit }: Budgeted): number =>
      limit.measure === 'calls' ? calls : limit.measure === 'cost' ? cost : LATER
    const leasesOf = (measure: Measure): AmountLease[] =>
      budgets.filter(({ limit }) => limit.measure === measure).map(({ lease }) => lease)
    const charged = budgets.filter(budget => amountOf(budget) !== 0)
    this.#leases = charged.map(({ lease }) => lease)
    this.#amounts = charged.map(amountOf)
    this.#limits = charged.map(({ limit }) => limit)
    this.#compute = leasesOf('compute')
    this.#bytes = leasesOf('bytes')
    this.countsBytes = this.#bytes.length > 0
  }

  /** As `AdmissionGate.enter`. An admitted call calls `settle` or `giveBack`. */
  enter(now = this.#clock.steady()): Promise<void> | undefined {
    for (let at = 0; at < this.#leases.length; at++) {
      const lease = this.#leases[at] as AmountLease
      const amount = this.#amounts[at] as number
      const has = amount === LATER ? lease.tryAdmit(now) : lease.tryTake(amount, now)
      if (!has) return this.#wait(at)
    }
    return undefined
  }

  /** Books the amounts known only now: the server has worked until `now` (steady clock). */
  settle(ms: number, bytes: number, now: number): void {
    for (const lease of this.#compute) lease.charge(ms, now)
    for (const lease of this.#bytes) lease.charge(bytes, now)
  }

  /** Returns what was taken at `since` (steady clock), because the server has not worked. */
  giveBack(since: number): void {
    this.#undo(this.#leases.length, since)
  }

  async #wait(at: number): Promise<void> {
    // Read before anything is taken, so that a later return is lost rather than credited to another window.
    const since = this.#clock.steady()
    for (let next = at; next < this.#leases.length; next++)
      (this.#leases[next] as AmountLease).prepare(Math.max(1, this.#amounts[next] as number))
    for (; at < this.#leases.length; at++) {
      const limit = this.#limits[at] as BudgetLimit
      const lease = this.#leases[at] as AmountLease
      const amount = this.#amounts[at] as number
      try {
        const refusal = await reachable(limit, amount === LATER ? lease.admit() : lease.take(amount))
        if (refusal) throw refused(limit, refusal, this.#clock.wall())
      } catch (error) {
        this.#undo(at, since)
        throw error
      }
    }
  }

  #undo(count: number, since: number): void {
    for (let at = 0; at < count; at++) {
      const amount = this.#amounts[at] as number
      if (amount !== LATER) (this.#leases[at] as AmountLease).giveBack(amount, since)
    }
  }
}

async function reachable<T>(
  limit: RateLimit | ConcurrencyLimit | BudgetLimit,
  asked: Promise<T>,
): Promise<T> {
  try {
    return await asked
  } catch (error) {
    throw error instanceof StoreUnavailableError ? limitUnavailable(limit, error) : error
  }
}
