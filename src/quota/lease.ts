import { lifeOf, type Taken } from '../state/store.ts'
import type { LeaseOptions, Refusal } from './lease-options.ts'
import { uncounted } from './lost.ts'
import { unheard, StoreUnavailableError, type Uncounted } from './store-availability.ts'

/** For how long a lease should last at the rate at which it is used, at least. */
const HORIZON_MS = 250
/** Most of what is left that one process takes at once, so that smaller and smaller parts go round when the end comes near. */
const SHARE = 1 / 12
/** A share of the rest lasts so much longer when it is small: no other process misses it, and the store is asked less often. */
const PLENTY = 1 / 1000
const LONG_HORIZON_MS = 5000
/** Of what is left, as long as nothing is known of how much will be used. */
const FIRST_SHARE = PLENTY / 4
/** Parts of sliding windows that are about to lapse are replaced before: a sweep may be late. */
const SOON_MS = 150
/** How long it may take until a wall clock that was set is noticed. */
const LOOK_MS = 100
/** Credit that has not been used for so long goes back to the other processes. */
const IDLE_MS = 1000
/** Once nothing was left: others may give something back, so it is asked again, but not for each call. */
const RECHECK_MS = 250
/** Questions on behalf of one call; others that wait may be served first. */
const MAX_ROUNDS = 50

/**
 * This process's part of a limited amount. What it has taken from the store counts as used for everyone; it is handed out from memory, the next part is fetched before
 * the last is used up, and what is not needed goes back. Credit of a sliding window lapses soon after it was taken, because it counts from then.
 */
export class Lease {
  // What every call reads and writes stands first and together: a call has many leases, and most of its time with them goes into fetching memory.
  /** What may be handed out. Negative: what has been used beyond, and is not booked yet. */
  #credit = 0
  /**
   * By the steady clock. Sliding windows: when `#credit` lapses. Fixed windows: until when the wall clock, which may have been set, need not be read, to know that the
   * window goes on.
   */
  #goodUntil = Infinity
  /** The next part is fetched below at once. */
  #urgent = 0
  #usedSince = 0
  /** In the store, when it was last asked, and what is on its way back to it. */
  #left = 0
  /** Since the last sweep. */
  #wasUsed = false
  #awake = false
  #asking: Promise<void> | undefined
  readonly key: string
  #limit: number
  readonly #options: LeaseOptions
  readonly #lifeMs: number
  /** Fixed windows: end of the window that `#credit` belongs to, by the wall. */
  #until = 0
  #resetsAt: string | undefined
  /** Sliding windows: the store's time at which `#credit` was taken. */
  #takenAt = 0
  /** When the credit at hand became that of this window or part. */
  #since = 0
  /** Parts of sliding windows that lapsed unused. */
  #returns: { amount: number; takenAt: number }[] = []
  /** When it was asked for more, the last time and the time before, and what was used after each: the rate of use over both. */
  #askedAt = -Infinity
  #askedBefore = -Infinity
  #usedBefore = 0
  /** As of the last sweep. */
  #usedAt = 0
  /** The next part is fetched below, with the next sweep. */
  #low = 0
  /** Wanted by waiting requests. */
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
    if (window.kind === 'calendar') this.#goodUntil = -Infinity
  }

  get limit(): number {
    return this.#limit
  }

  /** What has been used stays used. Credit that was granted by a larger limit goes back. */
  changeLimit(limit: number): void {
    if (limit === this.#limit) return
    const isLower = limit < this.#limit
    this.#left = rounded(this.#left + limit - this.#limit)
    this.#limit = limit
    this.#shortOf = Infinity
    if (isLower && this.#credit > 0 && !this.#asking) unheard(this.#return())
  }

  /** What this process knows to be left: exact when it is alone, else as of its last question. */
  get left(): number {
    return Math.max(0, rounded(this.leftAt(this.#options.clock.steady())))
  }

  /** As `left`, for a caller that knows the time already: not rounded, and negative where more has been used than there was. */
  leftAt(steady: number): number {
    this.#rollAt(steady)
    return this.#left + this.#credit
  }

  /** When all is there again, ISO 8601; `undefined` where there is no such moment. */
  get resetsAt(): string | undefined {
    if (this.#options.window.kind === 'sliding') return undefined
    if (this.#until === 0) this.#roll()
    return (this.#resetsAt ??= new Date(this.#until).toISOString())
  }

  /** Takes from what is at hand. A caller with several leases reads the steady clock once for all of them. */
  tryTake(amount: number, steady = this.#options.clock.steady()): boolean {
    this.#rollAt(steady)
    if (this.#credit < amount) return false
    this.#use(amount)
    return true
  }

  /** Whether something is at hand, for what is charged when it has ended. */
  tryAdmit(steady = this.#options.clock.steady()): boolean {
    this.#rollAt(steady)
    if (this.#credit <= 0) return false
    this.#wasUsed = true
    return true
  }

  /** Asks the store for what will be taken, when it is not at hand: a caller with several leases need not wait for one after the other. */
  prepare(amount: number): void {
    this.#roll()
    if (this.#credit >= amount || this.#asking || this.#options.reach.away || amount >= this.#shortOf) return
    unheard(this.#refill(amount))
  }

  /** Asks the store as often as it grants something. @throws Unreachable if `fail` is `closed` */
  async take(amount: number): Promise<Refusal | undefined> {
    return await this.#wait(amount, amount, () => this.tryTake(amount))
  }

  /** As `take`, for `tryAdmit`. */
  async admit(): Promise<Refusal | undefined> {
    return await this.#wait(1, 0, () => this.tryAdmit())
  }

  /** Books what was used without having been taken. */
  charge(amount: number, steady = this.#options.clock.steady()): void {
    this.#rollAt(steady)
    this.#use(amount)
    // What is beyond the limit has to show to the others before they are granted more.
    if (this.#credit < 0 && !this.#asking) unheard(this.#ask(0, 0))
  }

  /** Puts back what was taken at `since` (steady clock) and not used after all. */
  giveBack(amount: number, since: number): void {
    this.#roll()
    // Of an earlier window or part it is lost: it must not be used in another one.
    if (since >= this.#since) this.#credit += amount
    this.#usedSince -= amount
    this.#wake()
  }

  /** Learns what is left now. @throws Unreachable */
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

  /** Housekeeping, some times a second while it returns true. */
  sweep(): boolean {
    this.#roll()
    const now = this.#options.clock.steady()
    if (this.#wasUsed) this.#usedAt = now
    this.#wasUsed = false
    const idle = now - this.#usedAt >= Math.min(IDLE_MS, this.#lifeMs)
    const { away } = this.#options.reach
    if (!this.#asking) {
      // Debts also try whether the store is back.
      if (this.#credit < 0 || (!away && this.#returnsNow(idle))) unheard(this.#ask(0, 0))
      else if (this.#credit > 0 && idle && !away) unheard(this.#return())
      else if ((this.#credit < this.#low || this.#lapsesSoon(now)) && this.#left > 0 && !away)
        unheard(this.#refill(0))
    }
    this.#awake = this.#credit !== 0 || this.#returns.length > 0 || this.#asking !== undefined
    return this.#awake
  }

  /** What little lapsed of plenty goes back with the next question. */
  #returnsNow(idle: boolean): boolean {
    const [first] = this.#returns
    return first !== undefined && (idle || this.#returns.length > 1 || first.amount > this.#left * PLENTY)
  }

  #lapsesSoon(now: number): boolean {
    return this.#credit > 0 && this.#lifeMs > 2 * SOON_MS && now + SOON_MS >= this.#goodUntil
  }

  /** Gives everything back and books everything. */
  async close(): Promise<void> {
    await this.#asking?.catch(() => undefined)
    this.#roll()
    try {
      if (this.#credit > 0) await this.#return()
      while (this.#returns.length > 0 || this.#credit < 0) await this.#ask(0, 0)
    } catch {
      // Reported by the first that noticed; what was taken stays taken.
    }
  }

  /** `booked`: what an attempt takes, for when it has to pass without the store. */
  async #wait(amount: number, booked: number, attempt: () => boolean): Promise<Refusal | undefined> {
    const { reach, clock } = this.#options
    for (let round = 1; ; round++) {
      if (attempt()) return undefined
      if (amount >= this.#shortOf && clock.steady() < this.#recheckAt) return { retryAt: this.#retryAt }
      this.#wanted += amount
      try {
        // A store whose answers are too late to be used is none.
        if (round > MAX_ROUNDS) throw new StoreUnavailableError(RECHECK_MS)
        await (this.#asking ?? this.#refill(amount))
      } catch (error) {
        if (!(error instanceof StoreUnavailableError)) throw error
        reach.concern()
        if (reach.fail === 'closed') throw error
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
    // As long as there is time, with the others that need more, so that the store has one write for all of them.
    if (this.#credit < this.#urgent && !this.#asking && this.#left > 0) unheard(this.#refill(0))
  }

  #roll(): void {
    this.#rollAt(this.#options.clock.steady())
  }

  /** Leaves behind what is over: a window that has ended, or a part that has lapsed. */
  #rollAt(steady: number): void {
    if (steady >= this.#goodUntil) this.#look(steady)
  }

  #look(steady: number): void {
    const { window, clock } = this.#options
    if (window.kind === 'calendar') {
      const wall = clock.wallAt(steady)
      this.#goodUntil = steady + Math.min(LOOK_MS, Math.max(0, this.#until - wall))
      // A clock that goes backwards stays in its window.
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
    // Never all that is left, unless it is asked for.
    const share = Math.min(Math.ceil(expected), Math.floor((this.#left - owed) * SHARE))
    // Half of what is enough for two lives is left when the first is over.
    const long = Math.ceil(perMs * Math.min(LONG_HORIZON_MS, 2 * this.#lifeMs))
    const plenty = Math.floor((this.#left - owed) * PLENTY)
    const first = unknown ? Math.floor((this.#left - owed) * FIRST_SHARE) : 0
    const ahead = Math.max(share, Math.min(long, plenty), first)
    const want = rounded(Math.max(missing, ahead, needed === 0 ? 1 : 0))
    const atLeast =
      needed === 0 ? Math.min(1, want) : rounded(Math.max(0, needed - Math.max(0, this.#credit)))
    return this.#ask(want, Math.min(want, atLeast))
  }

  /** One question to the store, one at a time: books, gives back, and takes. */
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
      // It was for a window that is over.
      if (asked.until !== this.#until) return
    }
    const unknown = this.#uncounted
    if (unknown) {
      // What was granted is left to lapse: it comes of a count that begins in the middle.
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
        // One part at a time; the rest of the last one goes back where it came from.
        if (this.#credit > 0) this.#returns.push({ amount: this.#credit, takenAt: this.#takenAt })
        this.#credit = granted + Math.min(0, this.#credit)
        this.#takenAt = at
        this.#goodUntil = asked.sentAt + this.#lifeMs
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

  /** Gives unused credit back, so that it cannot be used meanwhile. */
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

/** Sums of decimals must not drift. */
export function rounded(amount: number): number {
  return Math.round(amount * 1000) / 1000
}
