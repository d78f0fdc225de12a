import type { ErrorCode } from '../../core/errors.ts'
import { BackOff } from './back-off.ts'
import { Outcomes } from './outcomes.ts'

/** See `docs/resilience.md`, Health. */
export interface HealthOptions {
  /** Failures in a row that eject. */
  readonly failures: number
  /** Fraction of the calls within ten seconds above which failures eject. */
  readonly errorRate: number
  /** Times the median of the others above which an average latency ejects. */
  readonly slowBy: number
  /** Fraction of the replicas above which ejections are not believed. */
  readonly panic: number
  /** How long the first ejection lasts. */
  readonly baseEjectionTimeMs: number
  /** How long the share of a replica that returned grows; 0: it has all of it at once. */
  readonly slowStartMs: number
  /** Time between checks; 0: there are none, and calls decide instead. */
  readonly intervalMs: number
  /** A check. */
  readonly timeoutMs: number
}

/** What a call failed with; a `GatewayError` and its kind say that. */
export interface Failure {
  readonly code: ErrorCode
  readonly message: string
  /** The server asked to be left alone for so long. Not how long the gateway itself backs off. */
  readonly retryAfterMs?: number | undefined
  readonly countsAgainstHealth: boolean
}

export type HealthState = 'ready' | 'degraded' | 'ejected' | 'needs-login'

/** What is the matter. */
interface Finding {
  readonly state: HealthState
  readonly cause: string | undefined
  readonly since: number
  readonly nextTry: number | undefined
}

/** A fact: it cannot take calls. `since` is of the whole time, not of the last try. */
interface Outage {
  readonly kind: 'unreachable' | 'needs-login' | 'busy'
  readonly cause: string
  readonly since: number
  readonly until: number
}

/** A judgement: it had better not get calls. */
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
/** Share of a replica that has just returned, or that calls are about to decide on. */
const FIRST_SHARE = 0.1

/**
 * What outcomes of calls, checks and attempts to reach it say about one replica. Times are milliseconds of the clock that is handed in.
 * Methods that tell it something return whether that took the replica out or brought it back.
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
  #failure: { readonly cause: string; readonly at: number } | undefined
  /** Calls that failed, since the last one that did not. */
  #inARow = 0
  #checksFailed = 0
  #nextCheck: number
  #returnedAt = -Infinity
  #fullShareAt = -Infinity
  /** `succeeded` has something to do from then on: always while something is wrong, else once a second. */
  #looksAt = -Infinity
  readonly #onTurn: ((cause: string | undefined) => void) | undefined
  /** Whether it was said to be out or ejected. */
  #saidAway = false

  /** `onTurn` hears when it goes out or is ejected, with the cause, and when it is back, without one. */
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
    // Replicas that start together are not checked together for ever.
    this.#nextCheck = this.#began + options.intervalMs * (0.5 + random() / 2)
  }

  /** Judges by other options from now on. What was seen stays; what is counted by an option that differs begins anew. */
  configure(options: HealthOptions): void {
    const { failures, baseEjectionTimeMs, intervalMs } = this.#options
    this.#options = options
    if (options.failures !== failures) this.#inARow = 0
    if (options.baseEjectionTimeMs !== baseEjectionTimeMs)
      this.#ejections = ejections(options.baseEjectionTimeMs, this.#random)
    if (options.intervalMs !== intervalMs) this.#nextCheck = this.#clock() + options.intervalMs / 2
  }

  get state(): HealthState {
    return this.#finding().state
  }

  /** Why it is not `ready`; safe to show. */
  get cause(): string | undefined {
    return this.#finding().cause
  }

  /** When the state began. */
  get since(): number {
    return this.#finding().since
  }

  /** When it is tried again; in the past where nobody has done so yet. */
  get nextTry(): number | undefined {
    return this.#finding().nextTry
  }

  /** A fact: it cannot be reached, has no valid login or asked to be left alone, and it is not time to try again. */
  out(now: number): boolean {
    return this.#outage !== undefined && now < this.#outage.until
  }

  /** It asked to be left alone, and it is not time to try again. */
  busy(now: number): boolean {
    return this.#outage?.kind === 'busy' && now < this.#outage.until
  }

  /**
   * A judgement, made by failures, checks or latency. It stands until a check has passed. Where no check comes, for want of a link or because they are
   * switched off, calls decide instead.
   */
  ejected(now: number): boolean {
    return this.#ejection !== undefined && now < this.#callsDecideAt(this.#ejection)
  }

  /** Part of its weight that it may have: 1, or less while it is not known to be well. */
  share(now: number): number {
    if (now >= this.#fullShareAt && this.#outage === undefined && this.#ejection === undefined) return 1
    if (this.#ejection !== undefined) return FIRST_SHARE
    if (this.#outage !== undefined && this.#outage.kind !== 'busy') return FIRST_SHARE
    if (now >= this.#fullShareAt) return 1
    const grown = (now - this.#returnedAt) / (this.#fullShareAt - this.#returnedAt)
    return FIRST_SHARE + (1 - FIRST_SHARE) * Math.max(0, grown)
  }

  /** Whether it is time to check it: at the end of an ejection or of a back-off, else every `intervalMs`. */
  dueForCheck(now: number): boolean {
    if (now < this.#nextCheck || this.#options.intervalMs === 0) return false
    return now >= (this.#ejection?.until ?? now) && !this.out(now)
  }

  /** A check is under way, so another one is not due before its bound. */
  checkBegan(now: number): void {
    this.#nextCheck = now + this.#options.timeoutMs
  }

  /** A call was answered. Costs a comparison and an addition while nothing is wrong. */
  succeeded(now: number): boolean {
    const returned = now >= this.#looksAt && this.#look(now)
    this.#recent.succeeded()
    return returned
  }

  /**
   * A call was not answered.
   * @param began when it began, where that is known: a call from before the replica's return says nothing of it since.
   */
  failed(failure: Failure, now: number, began = now): boolean {
    if (failure.code === 'upstream_unauthorized') return this.#goOut('needs-login', failure.message, now)
    if (failure.retryAfterMs !== undefined) return this.busyUntil(now + failure.retryAfterMs, failure.message)
    if (!failure.countsAgainstHealth || began < this.#returnedAt) return false
    if (this.#ejection !== undefined) {
      // Before its time this is a call from before; afterwards it is the one that decides.
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

  /** It refused the connection, or its start failed. `nextTry` is set where whoever starts it will not do so earlier. */
  unreachable(cause: string, now: number, nextTry?: number): boolean {
    return this.#goOut('unreachable', cause, now, nextTry)
  }

  /** Whether it could not be reached the last time; it may be time to try again. */
  get away(): boolean {
    return this.#outage?.kind === 'unreachable'
  }

  /** A link to it was opened. */
  reachable(now: number): boolean {
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

  /** It asked to be left alone; believed for a minute at most. */
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

  /** It is much slower than the others. */
  outlier(cause: string, now: number): boolean {
    return this.#ejection === undefined && this.#eject(cause, now)
  }

  /** What it offers is not what most replicas offer. */
  differs(cause: string): void {
    this.#differs = { cause, since: this.#differs?.since ?? this.#clock() }
  }

  agrees(): void {
    this.#differs = undefined
  }

  /** A success while something is wrong, or in another second than the last one. */
  #look(now: number): boolean {
    const returned = this.#passed(now)
    this.#inARow = 0
    this.#recent.turn(now)
    if (this.#outage === undefined && this.#ejection === undefined) this.#looksAt = this.#recent.turnsAt
    return returned
  }

  /** It answered: whatever has lasted its time is over. */
  #passed(now: number): boolean {
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

  /** Says once that it is out or ejected, and once that it is neither. */
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
    // What led to it has been judged, and does not count a second time after the return.
    this.#inARow = 0
    this.#recent.clear()
    this.#failure = undefined
    this.#checksFailed = 0
    this.#nextCheck = this.#ejection.until
    this.#looksAt = -Infinity
    this.#turned(cause)
    return true
  }

  #goOut(kind: 'unreachable' | 'needs-login', cause: string, now: number, nextTry = -Infinity): boolean {
    const known = this.#outage?.kind === 'busy' ? undefined : this.#outage
    // Calls that fail together are one failure.
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
      const state = outage.kind === 'needs-login' ? 'needs-login' : 'ejected'
      return { state, cause: outage.cause, since: outage.since, nextTry: outage.until }
    }
    if (this.#ejection !== undefined) {
      const { cause, since, until } = this.#ejection
      return { state: 'ejected', cause, since, nextTry: until }
    }
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
