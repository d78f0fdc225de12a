import type { Store } from '../state/store.ts'
import type { Clock } from '../core/clock.ts'
import type { LeaseRefusal } from './lease-options.ts'
import { unclaimed } from './lost.ts'
import {
  unheard,
  StoreUnavailableError,
  type StoreAvailability,
  type Uncounted,
} from './store-availability.ts'

/** A claim that is not renewed expires, so that the permits of a process that died are free again. */
export const CLAIM_MS = 10_000
const RENEW_MS = CLAIM_MS / 3
/** Permits that have not been needed for this long are returned to the other processes. */
const IDLE_MS = 300
/** How long a call waits for a permit that another process may free: longer than unused ones are kept. */
const WAIT_MS = 1000
/** Intervals of requests to the store for waiting calls. */
const ASK_AGAIN_MS = [50, 150, 300, 500]
/** Additional share of claimed permits, so that the next call finds a permit in memory. */
const SPARE = 1 / 16

export interface ConcurrencyLeasesOptions {
  readonly key: string
  readonly limit: number
  /** Unique to this object. */
  readonly holder: string
  readonly store: Store
  readonly reach: StoreAvailability
  readonly clock: Clock
  /** Called when there is something to renew or to return, and `sweep` has to be called periodically. */
  readonly wake: (leases: ConcurrencyLeases) => void
}

/**
 * This process's part of a limited number of permits: claimed in the store as long as they are needed, granted from
 * memory. One timer renews all claims. A call that finds no permit waits a moment for one.
 */
export class ConcurrencyLeases {
  // The members that every call reads and writes come first and together, as in `AmountLease`.
  #inUse = 0
  #held = 0
  /** Steady clock: the claim may have expired by then. */
  #validUntil = -Infinity
  /** Since the last `sweep`. */
  #wasNeeded = false
  #awake = false
  /** Whether a request is in `#waiting`. */
  #waits = false
  readonly key: string
  #limit: number
  readonly #options: ConcurrencyLeasesOptions
  /** Calls that have no permit yet. */
  #entering = 0
  /** Free permits in the store, when it was last asked. */
  #left: number
  #renewAt = Infinity
  /** As of the last `sweep`. */
  #neededAt = 0
  #asking: Promise<void> | undefined
  readonly #waiting: (() => void)[] = []
  #closed = false

  constructor(options: ConcurrencyLeasesOptions) {
    this.key = options.key
    this.#limit = options.limit
    this.#options = options
    this.#left = options.limit
  }

  get limit(): number {
    return this.#limit
  }

  /** Permits in use stay in use. If they exceed the limit, none is granted until they are fewer. */
  changeLimit(limit: number): void {
    if (limit === this.#limit) return
    this.#left += limit - this.#limit
    this.#limit = limit
    this.#held = Math.min(this.#held, Math.max(limit, this.#inUse))
    this.#renewAt = -Infinity
    this.#wake()
  }

  /** As of the last request to the store. */
  get left(): number {
    return Math.max(0, this.#left + this.#held - this.#inUse)
  }

  get resetsAt(): undefined {
    return undefined
  }

  /** Takes a permit that is claimed already. */
  tryEnter(steady = this.#options.clock.steady()): boolean {
    if (this.#inUse >= this.#held || this.#inUse >= this.#limit || steady >= this.#validUntil) return false
    this.#inUse++
    this.#wasNeeded = true
    return true
  }

  /** Waits a moment for a permit. @throws StoreUnavailableError with `failureMode` `closed` */
  async enter(): Promise<LeaseRefusal | undefined> {
    this.#entering++
    try {
      return await this.#enter()
    } finally {
      this.#entering--
    }
  }

  async #enter(): Promise<LeaseRefusal | undefined> {
    const { reach, clock } = this.#options
    const until = clock.steady() + WAIT_MS
    for (let round = 0; ;) {
      if (this.tryEnter()) return undefined
      try {
        if (this.#asking) {
          // The request of another call, which may have been for fewer permits.
          await this.#asking
          continue
        }
        await this.#ask(this.#wanted())
      } catch (error) {
        if (!(error instanceof StoreUnavailableError)) throw error
        reach.concern()
        if (reach.failureMode === 'closed') throw error
        this.#inUse++
        this.#wake()
        return undefined
      }
      if (this.tryEnter()) return undefined
      const waitMs = Math.min(ASK_AGAIN_MS[round++] ?? WAIT_MS, until - clock.steady())
      // If this process uses all permits, no other process can free one. Or so many calls wait already that this one
      // would wait in vain.
      const hopeless = this.#inUse >= this.limit || this.#waiting.length >= this.limit
      if (this.#closed || hopeless || waitMs <= 0) return { retryAt: clock.wall() + WAIT_MS }
      await this.#freed(waitMs)
    }
  }

  leave(): void {
    this.#inUse--
    this.#wasNeeded = true
    this.#wake()
    if (this.#waits) this.#waiting.shift()?.()
  }

  /** Reads what is left now. @throws StoreUnavailableError */
  async refresh(): Promise<void> {
    await this.#asking
    await this.#ask(Math.max(this.#held, this.#inUse))
  }

  /** Renews the claim and returns idle permits. To be called several times a second while it returns true. */
  sweep(): boolean {
    const now = this.#options.clock.steady()
    if (this.#wasNeeded) this.#neededAt = now
    this.#wasNeeded = false
    if (!this.#asking) {
      const idle = this.#held > this.#inUse && this.#entering === 0 && now - this.#neededAt >= IDLE_MS
      if (idle) unheard(this.#ask(this.#inUse))
      else if (now >= this.#renewAt) unheard(this.#ask(Math.max(this.#held, this.#inUse)))
    }
    this.#awake = this.#held > 0 || this.#inUse > 0 || this.#asking !== undefined
    return this.#awake
  }

  /** Returns all permits, even those in use: their calls have ended or are about to. */
  async close(): Promise<void> {
    this.#closed = true
    for (const wake of this.#waiting.splice(0)) wake()
    await this.#asking?.catch(() => undefined)
    if (this.#held > 0) await this.#ask(0).catch(() => undefined)
  }

  #wanted(): number {
    return Math.min(this.limit, this.#inUse + this.#entering + Math.floor(this.limit * SPARE))
  }

  /** Only one request at a time, because a later claim replaces an earlier one. */
  #ask(want: number): Promise<void> {
    const { store, reach, clock, holder } = this.#options
    const sentAt = clock.steady()
    // Returned permits must not be used in the meantime.
    const held = (this.#held = Math.min(this.#held, want))
    const unknown = (): Uncounted | undefined => unclaimed(reach, CLAIM_MS, clock)
    const refusal = want > held ? unknown() : undefined
    if (refusal) return Promise.reject(refusal)
    const asking = reach
      .run(() => store.hold({ key: this.key, holder, want, limit: this.limit, ttlMs: CLAIM_MS }))
      .then(({ permits, left }) => {
        const lost = unknown()
        this.#held = lost ? Math.min(permits, held) : permits
        this.#left = lost ? 0 : left
        this.#validUntil = sentAt + CLAIM_MS
        this.#renewAt = sentAt + RENEW_MS
        this.#wake()
        if (lost && want > held) throw lost
      })
      .finally(() => {
        if (this.#asking === asking) this.#asking = undefined
      })
    this.#asking = asking
    return asking
  }

  /** Resolves when a permit was returned in this process, or after `ms`. */
  #freed(ms: number): Promise<void> {
    return new Promise(resolve => {
      const done = (): void => {
        clearTimeout(timer)
        const at = this.#waiting.indexOf(done)
        if (at >= 0) this.#waiting.splice(at, 1)
        this.#waits = this.#waiting.length > 0
        resolve()
      }
      const timer = setTimeout(done, ms)
      this.#waiting.push(done)
      this.#waits = true
    })
  }

  #wake(): void {
    if (this.#awake) return
    this.#awake = true
    this.#options.wake(this)
  }
}
