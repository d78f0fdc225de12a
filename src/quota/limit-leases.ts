import { randomUUID } from 'node:crypto'
import type { Clock } from '../core/clock.ts'
import { growingLru } from '../core/growing-lru.ts'
import type { Logger } from '../core/logger.ts'
import type { Store } from '../state/store.ts'
import type { Budgeted, Leased, Rated } from './admission-gate.ts'
import { ConcurrencyLeases } from './concurrency-leases.ts'
import type { Active, LeaseOptions, Window } from './lease-options.ts'
import { AmountLease } from './lease.ts'
import type { Limit } from './limits.ts'
import { calendar, type EndOf } from './period.ts'
import { StoreAvailability } from './store-availability.ts'

/** A limit with this process's part of it. */
export type Live = Rated | Leased | Budgeted

export interface LimitLeasesOptions {
  readonly store: Store
  readonly logger: Logger
  readonly clock: Clock
  readonly failureMode: 'open' | 'closed'
}

interface Kept {
  readonly lease: AmountLease | ConcurrencyLeases
  /** The latest configuration that has set the limit of the lease. */
  version: number
}

/** Maximum number of leases in memory. The counters of other limits are in the store alone. */
const MAX_LEASES = 50_000
/** Interval of returning, booking and renewing. */
const SWEEP_MS = 100

/**
 * This process's parts of limits, by the key of the limit. They live as long as the gateway: used amounts stay used
 * under another configuration, whatever the limit is then.
 */
export class LimitLeases {
  readonly #options: LimitLeasesOptions
  readonly reach: StoreAvailability
  readonly #leases = growingLru<string, Kept>(MAX_LEASES)
  readonly #holder = randomUUID()
  readonly #ends = new Map<string, EndOf>()
  readonly #active = new Set<Active>()
  #holders = 0
  #versions = 0
  #timer: NodeJS.Timeout | undefined
  #closed = false

  constructor(options: LimitLeasesOptions) {
    const { store, logger, clock, failureMode } = options
    this.#options = options
    this.reach = new StoreAvailability(failureMode, logger, clock, store)
  }

  /** The number of another configuration, for `of`. Later configurations have higher ones. */
  nextVersion(): number {
    return ++this.#versions
  }

  /**
   * The lease of a limit, which is the same for equal keys and windows. From now on it uses this limit, unless a later
   * configuration has set another one.
   */
  of(limit: Limit, timeZone: string | undefined, version: number): Live {
    if (limit.kind === 'concurrency')
      return { limit, leases: this.#concurrencyOf(limit.key, limit.limit, version) }
    const window: Window =
      limit.kind === 'rate'
        ? { kind: 'sliding', ms: limit.periodMs }
        : { kind: 'calendar', endOf: this.#endOf(limit.period, timeZone) }
    const name = limit.kind === 'rate' ? limit.key : `${limit.key}\n${timeZone}`
    const lease = this.#leaseOf(name, { ...this.#common(limit.key, limit.limit), window }, version)
    return limit.kind === 'rate' ? { limit, lease } : { limit, lease }
  }

  /** Returns everything. Idempotent. Does not wait for an unreachable store. */
  async close(): Promise<void> {
    this.#closed = true
    clearTimeout(this.#timer)
    const active = [...this.#active]
    this.#active.clear()
    await Promise.all(active.map(limit => limit.close()))
  }

  #leaseOf(name: string, options: LeaseOptions, version: number): AmountLease {
    const known = this.#known(name, options.limit, version)
    if (known instanceof AmountLease) return known
    const lease = new AmountLease(options)
    this.#leases.set(name, { lease, version })
    return lease
  }

  #concurrencyOf(key: string, limit: number, version: number): ConcurrencyLeases {
    const known = this.#known(key, limit, version)
    if (known instanceof ConcurrencyLeases) return known
    // Not the process, because an identity that was dropped may still have running calls.
    const holder = `${this.#holder}/${++this.#holders}`
    const lease = new ConcurrencyLeases({ ...this.#common(key, limit), holder })
    this.#leases.set(key, { lease, version })
    return lease
  }

  /** A lease in memory. Requests of a former configuration do not change its limit back. */
  #known(name: string, limit: number, version: number): AmountLease | ConcurrencyLeases | undefined {
    const kept = this.#leases.get(name)
    if (kept && version >= kept.version) {
      kept.version = version
      kept.lease.changeLimit(limit)
    }
    return kept?.lease
  }

  #common(key: string, limit: number): Omit<LeaseOptions, 'window'> {
    const { store, clock } = this.#options
    return { key, limit, store, reach: this.reach, clock, wake: active => this.#wake(active) }
  }

  #endOf(period: 'minute' | 'hour' | 'day' | 'month', timeZone: string | undefined): EndOf {
    const key = `${period} ${timeZone}`
    let endOf = this.#ends.get(key)
    if (!endOf) this.#ends.set(key, (endOf = calendar(period, timeZone)))
    return endOf
  }

  #wake(active: Active): void {
    this.#active.add(active)
    if (this.#timer || this.#closed) return
    this.#timer = setTimeout(() => this.#sweep(), SWEEP_MS)
    this.#timer.unref()
  }

  #sweep(): void {
    this.#timer = undefined
    for (const active of this.#active) if (!active.sweep()) this.#active.delete(active)
    if (this.#timer || this.#active.size === 0 || this.#closed) return
    this.#timer = setTimeout(() => this.#sweep(), SWEEP_MS)
    this.#timer.unref()
  }
}
