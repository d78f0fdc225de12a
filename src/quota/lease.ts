import { lifeOf, type Taken } from '../state/store.ts'
import type { LeaseOptions, LeaseRefusal } from './lease-options.ts'
import { uncounted } from './lost.ts'
import { unheard, StoreUnavailableError, type Uncounted } from './store-availability.ts'

/** Minimum time for which a lease should last at the current rate of use. */
const HORIZON_MS = 250
/** Maximum share of the rest that one process takes at once, so that the parts become smaller towards the end. */
const SHARE = 1 / 12
/** A part below this share of the rest lasts longer: other processes do not miss it, and the store is asked less. */
const PLENTY = 1 / 1000
const LONG_HORIZON_MS = 5000
/** First share of the rest, while the rate of use is unknown. */
const FIRST_SHARE = PLENTY / 4
/** Parts of sliding windows are replaced this long before they expire, because a sweep may be late. */
const SOON_MS = 150
/** How long it may take to notice that the wall clock was set. */
const LOOK_MS = 100
/** Credit that has not been used for this long is returned to the other processes. */
const IDLE_MS = 1000
/** Interval of requests to the store after nothing was left: others may return something. */
const RECHECK_MS = 250
/** Maximum requests for one call. Other waiting calls may be served first. */
const MAX_ROUNDS = 50

/**
 * This process's part of a limited amount. What it has taken from the store counts as used for all processes. It is
 * granted from memory, the next part is fetched before the last is used up, and unused credit is returned. Credit of a
 * sliding window expires soon after it was taken, because it counts from then.
 */
export class AmountLease {
  // What every call uses comes first and together: calls have many leases, whose main cost is memory access.
  /** Available credit. Negative: use beyond it that is not booked yet. */
  #credit = 0
  /**
   * By the steady clock. Sliding windows: when `#credit` expires. Fixed windows: until when the window certainly
   * continues, without reading the wall clock, which may have been set.
   */
  #validUntil = Infinity
  /** Below this credit, the next part is fetched at once. */
  #urgent = 0
  #usedSince = 0
  /** The rest in the store, when it was last asked, and what is being returned to it. */
  #left = 0
  /** Since the last sweep. */
  #wasUsed = false
  #awake = false
  #asking: Promise<void> | undefined
  readonly key: string
  #limit: number
  readonly #options: LeaseOptions
  readonly #lifeMs: number
  /** Fixed windows: end of the window of `#credit`, by the wall clock. */
  #until = 0
  #resetsAt: string | undefined
  /** Sliding windows: the store's time at which `#credit` was taken. */
  #takenAt = 0
  /** When the current window or part of the credit began. */
  #since = 0
  /** Parts of sliding windows that expired unused. */
  #returns: { amount: number; takenAt: number }[] = []
  /** Times of the last two requests for more, and the use after each: the rate of use over both. */
  #askedAt = -Infinity
  #askedBefore = -Infinity
  #usedBefore = 0
  /** As of the last sweep. */
  #usedAt = 0
  /** Below this credit, the next part is fetched with the next sweep. */
  #low = 0
  /** Wanted by waiting calls. */
  #wanted = 0
  #shortOf = Infinity
  #recheckAt = 0
  #retryAt = 0

  constructor(options: LeaseOptions) {
    this.key = options.key
    this.#limit = options.limit
    this.#options = options
    this.#left = options.limit
    const { window } = options
    this.#lifeMs = window.kind === 'sliding' ? lifeOf(window.ms) : Infinity
    if (window.kind === 'calendar') this.#validUntil = -Infinity
  }

  get limit(): number {
    return this.#limit
  }

  /** Used amounts stay used. Credit granted under a larger limit is returned. */
  changeLimit(limit: number): void {
    if (limit === this.#limit) return
    const isLower = limit < this.#limit
    this.#left = rounded(this.#left + limit - this.#limit)
    this.#limit = limit
    this.#shortOf = Infinity
    if (isLower && this.#credit > 0 && !this.#asking) unheard(this.#return())
  }

  /** The rest as known to this process: exact if it is alone, otherwise as of its last request. */
  get left(): number {
    return Math.max(0, rounded(this.leftAt(this.#options.clock.steady())))
  }

  /** As `left`, for a caller that already has the time: not rounded, and negative after overuse. */
  leftAt(steady: number): number {
    this.#rollAt(steady)
    return this.#left + this.#credit
  }

  /** When the full amount is available again, ISO 8601. `undefined`: there is no such moment. */
  get resetsAt(): string | undefined {
    if (this.#options.window.kind === 'sliding') return undefined
    if (this.#until === 0) this.#roll()
    return (this.#resetsAt ??= new Date(this.#until).toISOString())
  }

  /** Takes from the available credit. A caller with several leases reads the steady clock once for all of them. */
  tryTake(amount: number, steady = this.#options.clock.steady()): boolean {
    this.#rollAt(steady)
    if (this.#credit < amount) return false
    this.#use(amount)
    return true
  }

  /** Whether credit is available, for amounts that are charged afterwards. */
  tryAdmit(steady = this.#options.clock.steady()): boolean {
    this.#rollAt(steady)
    if (this.#credit <= 0) return false
    this.#wasUsed = true
    return true
  }

  /** Requests missing credit in advance, so that a caller with several leases need not wait for one after the other. */
  prepare(amount: number): void {
    this.#roll()
    if (this.#credit >= amount || this.#asking || this.#options.reach.away || amount >= this.#shortOf) return
    unheard(this.#refill(amount))
  }

  /** Asks the store until the amount is taken or nothing is granted. @throws StoreUnavailableError if not `open` */
  async take(amount: number): Promise<LeaseRefusal | undefined> {
    return await this.#wait(amount, amount, () => this.tryTake(amount))
  }

  /** As `take`, for `tryAdmit`. */
  async admit(): Promise<LeaseRefusal | undefined> {
    return await this.#wait(1, 0, () => this.tryAdmit())
  }

  /** Books an amount that was used without having been taken. */
  charge(amount: number, steady = this.#options.clock.steady()): void {
    this.#rollAt(steady)
    this.#use(amount)
    // Overuse has to be visible to other processes before they are granted more.
    if (this.#credit < 0 && !this.#asking) unheard(this.#ask(0, 0))
  }

  /** Returns an amount that was taken at `since` (steady clock) and not used. */
  giveBack(amount: number, since: number): void {
    this.#roll()
    // Credit of an earlier window or part is lost, because it must not be used in another one.
    if (since >= this.#since) this.#credit += amount
    this.#usedSince -= amount
    this.#wake()
  }

  /** Reads what is left now. @throws StoreUnavailableError */
  async refresh(): Promise<void> {
    this.#roll()
    await this.#asking
    await this.#ask(0, 0)
    const unknown = this.#uncounted
    if (unknown) throw unknown
  }

  get #uncounted(): Uncounted | undefined {
    const { window, clock, reach } = this.#options
    return uncounted(reach, window, this.#until, clock)
  }

  /** Housekeeping, several times a second while it returns true. */
  sweep(): boolean {
    this.#roll()
    const now = this.#options.clock.steady()
    if (this.#wasUsed) this.#usedAt = now
    this.#wasUsed = false
    const idle = now - this.#usedAt >= Math.min(IDLE_MS, this.#lifeMs)
    const { away } = this.#options.reach
    if (!this.#asking) {
      // Debts are also booked to detect whether the store is back.
      if (this.#credit < 0 || (!away && this.#returnsNow(idle))) unheard(this.#ask(0, 0))
      else if (this.#credit > 0 && idle && !away) unheard(this.#return())
      else if ((this.#credit < this.#low || this.#lapsesSoon(now)) && this.#left > 0 && !away)
        unheard(this.#refill(0))
    }
    this.#awake = this.#credit !== 0 || this.#returns.length > 0 || this.#asking !== undefined
    return this.#awake
  }

  /** A small expired amount of a large rest is returned with the next request. */
  #returnsNow(idle: boolean): boolean {
    const [first] = this.#returns
    return first !== undefined && (idle || this.#returns.length > 1 || first.amount > this.#left * PLENTY)
  }

  #lapsesSoon(now: number): boolean {
    return this.#credit > 0 && this.#lifeMs > 2 * SOON_MS && now + SOON_MS >= this.#validUntil
  }

  /** Returns and books everything. */
  async close(): Promise<void> {
    await this.#asking?.catch(() => undefined)
    this.#roll()
    try {
      if (this.#credit > 0) await this.#return()
      while (this.#returns.length > 0 || this.#credit < 0) await this.#ask(0, 0)
    } catch {
      // Reported by the first call that noticed. Taken amounts stay taken.
    }
  }

  /** `booked`: the amount of an attempt, booked if it passes without the store. */
  async #wait(amount: number, booked: number, attempt: () => boolean): Promise<LeaseRefusal | undefined> {
    const { reach, clock } = this.#options
    for (let round = 1; ; round++) {
      if (attempt()) return undefined
      if (amount >= this.#shortOf && clock.steady() < this.#recheckAt) return { retryAt: this.#retryAt }
      this.#wanted += amount
      try {
        // A store whose answers come too late to be used counts as unreachable.
        if (round > MAX_ROUNDS) throw new StoreUnavailableError(RECHECK_MS)
        await (this.#asking ?? this.#refill(amount))
      } catch (error) {
        if (!(error instanceof StoreUnavailableError)) throw error
        reach.concern()
        if (reach.failureMode === 'closed') throw error
        // Booked when the store is back.
        if (booked > 0) this.charge(booked)
        return undefined
      } finally {
        this.#wanted -= amount
      }
    }
  }

  #use(amount: number): void {
    this.#credit = rounded(this.#credit - amount)
    this.#usedSince += amount
    this.#wasUsed = true
    this.#wake()
    // While there is time, with the other leases that need more, so that the store needs one write for all of them.
    if (this.#credit < this.#urgent && !this.#asking && this.#left > 0) unheard(this.#refill(0))
  }

  #roll(): void {
    this.#rollAt(this.#options.clock.steady())
  }

  /** Drops the credit of a window that has ended, or of a part that has expired. */
  #rollAt(steady: number): void {
    if (steady >= this.#validUntil) this.#look(steady)
  }

  #look(steady: number): void {
    const { window, clock } = this.#options
    if (window.kind === 'calendar') {
      const wall = clock.wallAt(steady)
      this.#validUntil = steady + Math.min(LOOK_MS, Math.max(0, this.#until - wall))
      // If the clock was set back, the window continues.
      if (wall < this.#until) return
      this.#until = window.endOf(wall)
      this.#resetsAt = undefined
      this.#credit = 0
      this.#left = this.limit
      this.#shortOf = Infinity
      this.#since = steady
    } else if (this.#credit > 0) {
      this.#returns.push({ amount: this.#credit, takenAt: this.#takenAt })
      this.#left = rounded(this.#left + this.#credit)
      this.#credit = 0
    }
  }

  #refill(needed: number): Promise<void> {
    const { clock, reach } = this.#options
    const now = clock.steady()
    const perMs = (this.#usedSince + this.#usedBefore) / Math.max(1, now - this.#askedBefore)
    const expected = perMs * Math.min(HORIZON_MS, this.#lifeMs)
    if (needed === 0 && (expected < 1 || reach.away)) {
      this.#lowBelow(0)
      return Promise.resolve()
    }
    const unknown = now - this.#askedBefore > LONG_HORIZON_MS
    this.#askedBefore = this.#askedAt
    this.#usedBefore = this.#usedSince
    this.#askedAt = now
    this.#usedSince = 0
    const owed = Math.max(0, -this.#credit)
    const missing = Math.max(needed, this.#wanted) - Math.max(0, this.#credit)
    // Never all of the rest, unless it is requested.
    const share = Math.min(Math.ceil(expected), Math.floor((this.#left - owed) * SHARE))
    // Half of the credit for two lives is left when the first is over.
    const long = Math.ceil(perMs * Math.min(LONG_HORIZON_MS, 2 * this.#lifeMs))
    const plenty = Math.floor((this.#left - owed) * PLENTY)
    const first = unknown ? Math.floor((this.#left - owed) * FIRST_SHARE) : 0
    const ahead = Math.max(share, Math.min(long, plenty), first)
    const want = rounded(Math.max(missing, ahead, needed === 0 ? 1 : 0))
    const atLeast =
      needed === 0 ? Math.min(1, want) : rounded(Math.max(0, needed - Math.max(0, this.#credit)))
    return this.#ask(want, Math.min(want, atLeast))
  }

  /** One request to the store at a time: books, returns, and takes. */
  #ask(want: number, atLeast: number): Promise<void> {
    const { store, reach, window, clock } = this.#options
    const unknown = want > 0 ? this.#uncounted : undefined
    if (unknown) return Promise.reject(unknown)
    const owed = Math.max(0, -this.#credit)
    const back = owed > 0 ? undefined : this.#returns.shift()
    const until = this.#until
    const sentAt = clock.steady()
    const sent = reach
      .run(() =>
        store.take({
          key: this.key,
          limit: this.limit,
          window: window.kind === 'sliding' ? { slidingMs: window.ms } : { until },
          want,
          atLeast,
          spend: owed > 0 ? owed : -(back?.amount ?? 0),
          ...(back && { takenAt: back.takenAt }),
        }),
      )
      .then(taken => this.#arrived(taken, { want, atLeast, owed, until, sentAt }))
    const asking = sent.finally(() => {
      if (this.#asking === asking) this.#asking = undefined
    })
    this.#asking = asking
    return asking
  }

  #arrived(
    { granted, left, retryAt, at }: Taken,
    asked: { want: number; atLeast: number; owed: number; until: number; sentAt: number },
  ): void {
    const { window, clock } = this.#options
    this.#roll()
    if (window.kind === 'calendar') {
      // It was for a window that has ended.
      if (asked.until !== this.#until) return
    }
    const unknown = this.#uncounted
    if (unknown) {
      // The granted amount expires unused, because it belongs to a count that began in the middle.
      this.#credit = rounded(this.#credit + asked.owed)
      this.#left = 0
      this.#lowBelow(0)
      if (asked.want > 0) throw unknown
      return
    }
    if (window.kind === 'calendar') {
      this.#credit = rounded(this.#credit + asked.owed + granted)
    } else {
      this.#credit = rounded(this.#credit + asked.owed)
      if (granted > 0) {
        // Only one part at a time. The rest of the last one is returned.
        if (this.#credit > 0) this.#returns.push({ amount: this.#credit, takenAt: this.#takenAt })
        this.#credit = granted + Math.min(0, this.#credit)
        this.#takenAt = at
        this.#validUntil = asked.sentAt + this.#lifeMs
        this.#since = clock.steady()
      }
    }
    this.#left = this.#returns.reduce((sum, { amount }) => rounded(sum + amount), left)
    this.#lowBelow(left > 0 ? granted / 2 : 0)
    if (granted > 0 || asked.want === 0) this.#shortOf = Infinity
    else {
      const again = retryAt === 0 ? Infinity : Math.max(1, retryAt - at)
      this.#shortOf = asked.atLeast + Math.max(0, this.#credit)
      this.#recheckAt = clock.steady() + Math.min(RECHECK_MS, again)
      this.#retryAt =
        window.kind === 'calendar' ? this.#until : clock.wall() + (again === Infinity ? 0 : again)
    }
    this.#wake()
  }

  /** Returns unused credit, so that it cannot be used meanwhile. */
  #return(): Promise<void> {
    const amount = this.#credit
    const { window, store, reach } = this.#options
    this.#left = rounded(this.#left + amount)
    this.#credit = 0
    this.#lowBelow(0)
    const asking = reach
      .run(() =>
        store.take({
          key: this.key,
          limit: this.limit,
          window: window.kind === 'sliding' ? { slidingMs: window.ms } : { until: this.#until },
          want: 0,
          atLeast: 0,
          spend: -amount,
          takenAt: this.#takenAt,
        }),
      )
      .then(({ left }) => void (this.#left = this.#uncounted ? 0 : left))
      .finally(() => {
        if (this.#asking === asking) this.#asking = undefined
      })
    this.#asking = asking
    return asking
  }

  #lowBelow(low: number): void {
    this.#low = low
    this.#urgent = low / 2
  }

  #wake(): void {
    if (this.#awake) return
    this.#awake = true
    this.#options.wake(this)
  }
}

/** Rounds, so that sums of decimals do not drift. */
export function rounded(amount: number): number {
  return Math.round(amount * 1000) / 1000
}
