import type { ErrorCode } from '../../core/errors.ts'
import { BackOff } from './back-off.ts'
import type { HealthOptions } from './health-options.ts'
import { Outcomes } from './outcomes.ts'

/** Failure of a call; a `GatewayError` and its kind have these members. */
export interface Failure {
  readonly code: ErrorCode
  readonly message: string
  /** The delay that the server requested, not the back-off of the gateway. */
  readonly retryAfterMs?: number | undefined
  readonly countsAgainstHealth: boolean
}

export type HealthState = 'ready' | 'degraded' | 'ejected' | 'needs_login'

/** Current problem of the replica. */
interface Finding {
  readonly state: HealthState
  readonly cause: string | undefined
  readonly since: number
  readonly nextTry: number | undefined
}

/** Outage: the replica cannot take calls. `since` is the start of the whole outage, not of the last try. */
interface Outage {
  readonly kind: 'unreachable' | 'needs_login' | 'busy'
  readonly cause: string
  readonly since: number
  readonly until: number
}

/** Ejection: the replica should not get calls. */
interface Ejection {
  readonly cause: string
  readonly since: number
  readonly until: number
}

const FEWEST_CALLS = 20
const CHECKS_IN_A_ROW = 2
const LONGEST_EJECTION_MS = 5 * 60_000
const FIRST_TRY_MS = 500
const LAST_TRY_MS = 60_000
const LONGEST_BUSY_MS = 60_000
/** Share of a replica that has just returned, or whose state the next calls decide. */
const FIRST_SHARE = 0.1

/**
 * Health of one replica, from the outcomes of calls, checks and connection attempts. Times are milliseconds of the
 * clock of the caller. The methods that record an outcome return whether it took the replica out or brought it back.
 */
export class Health {
  #options: HealthOptions
  readonly #clock: () => number
  readonly #random: () => number
  readonly #recent = new Outcomes()
  #ejections: BackOff
  readonly #tries: BackOff
  readonly #began: number
  #outage: Outage | undefined
  #ejection: Ejection | undefined
  #differs: { readonly cause: string; readonly since: number } | undefined
  /** Set while the gateway has to log in. Calls are still sent, because only they show that it has. */
  #loggedOut: { readonly cause: string; readonly since: number } | undefined
  #failure: { readonly cause: string; readonly at: number } | undefined
  /** Calls that failed, since the last one that did not. */
  #inARow = 0
  #checksFailed = 0
  #nextCheck: number
  #returnedAt = -Infinity
  #fullShareAt = -Infinity
  /** Time from which `succeeded` has work to do: always while something is wrong, otherwise once a second. */
  #looksAt = -Infinity
  readonly #onTurn: ((cause: string | undefined) => void) | undefined
  /** Whether `onTurn` has reported it as out or ejected. */
  #saidAway = false

  /** `onTurn` is called when the replica goes out or is ejected, with the cause, and when it is back, without one. */
  constructor(
    options: HealthOptions,
    clock: () => number,
    random: () => number,
    onTurn?: (cause: string | undefined) => void,
  ) {
    this.#options = options
    this.#onTurn = onTurn
    this.#clock = clock
    this.#random = random
    this.#ejections = ejections(options.baseEjectionTimeMs, random)
    this.#tries = new BackOff({ firstMs: FIRST_TRY_MS, mostMs: LAST_TRY_MS, random })
    this.#began = clock()
    // Randomised, so that replicas that start together are not always checked together.
    this.#nextCheck = this.#began + options.intervalMs * (0.5 + random() / 2)
  }

  /** Applies other options. The recorded state stays. A counter whose option has changed starts again. */
  configure(options: HealthOptions): void {
    const { failures, baseEjectionTimeMs, intervalMs, slowStartMs } = this.#options
    this.#options = options
    if (options.failures !== failures) this.#inARow = 0
    if (options.baseEjectionTimeMs !== baseEjectionTimeMs)
      this.#ejections = ejections(options.baseEjectionTimeMs, this.#random)
    if (options.intervalMs !== intervalMs) this.#nextCheck = this.#clock() + options.intervalMs / 2
    // A slow start that is under way takes the new time, from its beginning.
    if (options.slowStartMs !== slowStartMs) this.#fullShareAt = this.#returnedAt + options.slowStartMs
  }

  get state(): HealthState {
    return this.#finding().state
  }

  /** Why the state is not `ready`. Contains no secrets. */
  get cause(): string | undefined {
    return this.#finding().cause
  }

  /** When the state began. */
  get since(): number {
    return this.#finding().since
  }

  /** When the replica is tried again. In the past if no call has tried it since. */
  get nextTry(): number | undefined {
    return this.#finding().nextTry
  }

  /** Whether it cannot take calls: unreachable, without a valid login or delayed, before the time of the next try. */
  out(now: number): boolean {
    return this.#outage !== undefined && now < this.#outage.until
  }

  /** Whether it has requested a delay that is not over. */
  busy(now: number): boolean {
    return this.#outage?.kind === 'busy' && now < this.#outage.until
  }

  /**
   * Whether it is ejected, because of failures, checks or latency. The ejection lasts until a check has passed. Without
   * checks, for lack of a link or because they are switched off, calls decide instead.
   */
  ejected(now: number): boolean {
    return this.#ejection !== undefined && now < this.#callsDecideAt(this.#ejection)
  }

  /** Effective share of its weight: 1, or less until it is known to be healthy. */
  share(now: number): number {
    if (now >= this.#fullShareAt && this.#outage === undefined && this.#ejection === undefined) return 1
    if (this.#ejection !== undefined) return FIRST_SHARE
    if (this.#outage !== undefined && this.#outage.kind !== 'busy') return FIRST_SHARE
    if (now >= this.#fullShareAt) return 1
    const grown = (now - this.#returnedAt) / (this.#fullShareAt - this.#returnedAt)
    return FIRST_SHARE + (1 - FIRST_SHARE) * Math.max(0, grown)
  }

  /** Whether a check is due: at the end of an ejection or a back-off, otherwise every `intervalMs`. */
  dueForCheck(now: number): boolean {
    if (now < this.#nextCheck || this.#options.intervalMs === 0) return false
    return now >= (this.#ejection?.until ?? now) && !this.out(now)
  }

  /** Records that a check has started. The next one is not due before its timeout. */
  checkBegan(now: number): void {
    this.#nextCheck = now + this.#options.timeoutMs
  }

  /** Records an answered call. Costs a comparison and an addition while nothing is wrong. */
  succeeded(now: number): boolean {
    const returned = now >= this.#looksAt && this.#look(now)
    this.#recent.succeeded()
    return returned
  }

  /**
   * Records a failed call.
   * @param began when the call began, where known: a call from before the replica's return is not evidence of its state
   * since.
   */
  failed(failure: Failure, now: number, began = now): boolean {
    if (failure.code === 'upstream_unauthorized') return this.#goOut('needs_login', failure.message, now)
    if (failure.retryAfterMs !== undefined) return this.busyUntil(now + failure.retryAfterMs, failure.message)
    if (!failure.countsAgainstHealth || began < this.#returnedAt) return false
    if (this.#ejection !== undefined) {
      // Before the end of the ejection this is an earlier call. Afterwards it is the deciding call.
      return now >= this.#ejection.until && this.#eject(failure.message, now)
    }
    this.#failure = { cause: failure.message, at: now }
    this.#recent.failed(now)
    this.#looksAt = -Infinity
    if (++this.#inARow >= this.#options.failures) {
      return this.#eject(`${this.#inARow} failures in a row, the last one: ${failure.message}`, now)
    }
    const failures = this.#recent.failures(now)
    const calls = this.#recent.calls(now)
    if (calls < FEWEST_CALLS || failures <= calls * this.#options.errorRate) return false
    return this.#eject(`${failures} of the last ${calls} calls failed, the last one: ${failure.message}`, now)
  }

  /**
   * Records that it refused the connection, or that its start failed. `nextTry` is set if it will not be started
   * earlier.
   */
  unreachable(cause: string, now: number, nextTry?: number): boolean {
    return this.#goOut('unreachable', cause, now, nextTry)
  }

  /** Records that the gateway has to log in. It stays in use: the next call tries at once. */
  loggedOut(cause: string, now: number): void {
    this.#loggedOut = { cause, since: this.#loggedOut?.since ?? now }
    this.#looksAt = -Infinity
  }

  /** Lets the next call try at once to reach it. Returns whether it was unreachable for longer. */
  tryNow(now: number): boolean {
    if (this.#outage?.kind !== 'unreachable' || !this.out(now)) return false
    this.#outage = { ...this.#outage, until: now }
    this.#nextCheck = now
    return true
  }

  /** Whether the last attempt to reach it failed. The next try may be due. */
  get away(): boolean {
    return this.#outage?.kind === 'unreachable'
  }

  /** Records that a link to it was opened. */
  reachable(now: number): boolean {
    this.#loggedOut = undefined
    if (this.#outage === undefined) return false
    const { kind } = this.#outage
    if (kind === 'busy') return false
    this.#outage = undefined
    this.#tries.back(now)
    this.#inARow = 0
    if (this.#ejection === undefined) this.#startSlowly(now)
    this.#turned(undefined)
    return true
  }

  /** Records that it has requested a delay, of at most a minute. */
  busyUntil(until: number, cause = 'The server is busy and asked to be left alone for a while.'): boolean {
    const now = this.#clock()
    const already = this.out(now)
    if (this.#outage !== undefined && this.#outage.kind !== 'busy') {
      if (already) return false
      this.reachable(now)
    }
    const bounded = Math.min(until, now + LONGEST_BUSY_MS)
    this.#outage = {
      kind: 'busy',
      cause,
      since: already ? (this.#outage as Outage).since : now,
      until: already ? Math.max((this.#outage as Outage).until, bounded) : bounded,
    }
    this.#looksAt = -Infinity
    this.#turned(cause)
    return !already
  }

  checkPassed(now: number): boolean {
    this.#checksFailed = 0
    this.#nextCheck = now + this.#options.intervalMs
    return this.#passed(now)
  }

  checkFailed(cause: string, now: number): boolean {
    this.#nextCheck = now + this.#options.intervalMs
    if (this.#ejection !== undefined) return now >= this.#ejection.until && this.#eject(cause, now)
    this.#failure = { cause, at: now }
    return ++this.#checksFailed >= CHECKS_IN_A_ROW && this.#eject(cause, now)
  }

  /** Records that it is much slower than the others. */
  outlier(cause: string, now: number): boolean {
    return this.#ejection === undefined && this.#eject(cause, now)
  }

  /** Records that its tools differ from those of most replicas. */
  differs(cause: string): void {
    this.#differs = { cause, since: this.#differs?.since ?? this.#clock() }
  }

  agrees(): void {
    this.#differs = undefined
  }

  /** Handles a success while something is wrong, or the first one in another second. */
  #look(now: number): boolean {
    const returned = this.#passed(now)
    this.#inARow = 0
    this.#recent.turn(now)
    if (this.#outage === undefined && this.#ejection === undefined) this.#looksAt = this.#recent.turnsAt
    return returned
  }

  /** Handles an answer: every problem whose time is over has ended. */
  #passed(now: number): boolean {
    this.#loggedOut = undefined
    if (this.#outage?.kind === 'busy' && now >= this.#outage.until) this.#outage = undefined
    const reached = this.#outage !== undefined && !this.out(now) && this.reachable(now)
    if (this.#ejection === undefined || now < this.#ejection.until) {
      this.#turned(undefined)
      return reached
    }
    this.#ejection = undefined
    this.#ejections.back(now)
    this.#startSlowly(now)
    this.#turned(undefined)
    return true
  }

  /** Calls `onTurn` once when it is out or ejected, and once when it is neither. */
  #turned(cause: string | undefined): void {
    const away = this.#outage !== undefined || this.#ejection !== undefined
    if (away === this.#saidAway) return
    this.#saidAway = away
    this.#onTurn?.(away ? cause : undefined)
  }

  #startSlowly(now: number): void {
    this.#returnedAt = now
    this.#fullShareAt = now + this.#options.slowStartMs
  }

  #eject(cause: string, now: number): boolean {
    const since = this.#ejection?.since ?? now
    this.#ejection = { cause, since, until: now + this.#ejections.next(now) }
    // The failures that led to the ejection must not count again after the return.
    this.#inARow = 0
    this.#recent.clear()
    this.#failure = undefined
    this.#checksFailed = 0
    this.#nextCheck = this.#ejection.until
    this.#looksAt = -Infinity
    this.#turned(cause)
    return true
  }

  #goOut(kind: 'unreachable' | 'needs_login', cause: string, now: number, nextTry = -Infinity): boolean {
    const known = this.#outage?.kind === 'busy' ? undefined : this.#outage
    // Calls that fail together count as one failure.
    const backedOff = known !== undefined && now < known.until ? known.until : now + this.#tries.next(now)
    const until = Math.max(backedOff, nextTry)
    this.#outage = { kind, cause, since: known?.kind === kind ? known.since : now, until }
    this.#nextCheck = until
    this.#looksAt = -Infinity
    this.#turned(cause)
    return known === undefined
  }

  #callsDecideAt({ until }: Ejection): number {
    const { intervalMs, timeoutMs } = this.#options
    return intervalMs === 0 ? until : until + intervalMs + timeoutMs
  }

  #finding(): Finding {
    const now = this.#clock()
    const outage = this.#outage?.kind === 'busy' && !this.out(now) ? undefined : this.#outage
    if (outage !== undefined) {
      const state = outage.kind === 'needs_login' ? 'needs_login' : 'ejected'
      return { state, cause: outage.cause, since: outage.since, nextTry: outage.until }
    }
    if (this.#ejection !== undefined) {
      const { cause, since, until } = this.#ejection
      return { state: 'ejected', cause, since, nextTry: until }
    }
    if (this.#loggedOut !== undefined) return { state: 'needs_login', ...this.#loggedOut, nextTry: undefined }
    const degraded = (cause: string, since: number): Finding => ({
      state: 'degraded',
      cause,
      since,
      nextTry: undefined,
    })
    if (this.#failure !== undefined && (this.#checksFailed > 0 || this.#recent.failures(now) > 0)) {
      return degraded(this.#failure.cause, this.#failure.at)
    }
    if (this.#differs !== undefined) return degraded(this.#differs.cause, this.#differs.since)
    if (now < this.#fullShareAt) {
      return degraded(
        `It has returned, and has ${Math.round(this.share(now) * 100)} % of its share.`,
        this.#returnedAt,
      )
    }
    const since = Math.max(this.#began, this.#fullShareAt, this.#failure?.at ?? 0)
    return { state: 'ready', cause: undefined, since, nextTry: undefined }
  }
}

function ejections(firstMs: number, random: () => number): BackOff {
  return new BackOff({ firstMs, mostMs: Math.max(firstMs, LONGEST_EJECTION_MS), random })
}
