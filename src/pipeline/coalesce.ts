import { Cancellation } from '../core/cancellation.ts'
import type { Handler, Middleware } from '../core/compose.ts'
import type { Deadline, Deadlines } from '../core/deadlines.ts'
import { GatewayError, type ErrorCode } from '../core/errors.ts'
import type { InputRequest, JsonObject, Outcome } from '../core/exchange.ts'
import type { Route } from '../core/route.ts'
import { find, members } from '../protocol/json-text.ts'
import { Sought } from './sought.ts'

export interface CoalesceOptions {
  readonly deadlines: Deadlines
  /** How long a call of a server may take, in milliseconds; 0: for ever. */
  readonly timeoutMs: (server: string) => number
}

/** Failures that are those of one caller: others may fare better. */
const OF_ONE_CALL: ReadonlySet<ErrorCode> = new Set<ErrorCode>([
  'cancelled',
  'cannot_ask',
  'missing_capability',
  'invalid_params',
  'invalid_request',
  'denied',
])
/** And those that everyone of the same identity would meet with. */
const OF_ONE_PRINCIPAL: ReadonlySet<ErrorCode> = new Set<ErrorCode>([
  'rate_limited',
  'quota_exhausted',
  'quota_unavailable',
  'overloaded',
])

/**
 * Makes one call of those that seek the same at the same time. Each caller waits for as long as it would have waited alone, and leaves alone; the last one out
 * cancels the call. A question to the client who leads the call ends the sharing. What has been read before a change is not given to those who came after it.
 */
export function coalesce(options: CoalesceOptions): Middleware {
  return next => {
    const flights = new Flights(options, next)
    return (exchange, route) =>
      exchange instanceof Sought ? flights.join(exchange, route) : next(exchange, route)
  }
}

/** A power of two, about as many as calls are under way at once. */
const PLACES = 256
/** Characters of a key that decide about its place. */
const SAMPLES = 24

function placeOf(key: string): number {
  const step = Math.max(1, Math.floor(key.length / SAMPLES))
  let mixed = key.length
  for (let at = key.length - 1; at >= 0; at -= step) mixed = (Math.imul(mixed, 31) + key.charCodeAt(at)) | 0
  return mixed & (PLACES - 1)
}

/** Calls under way, by what they seek. */
class Flights {
  readonly options: CoalesceOptions
  readonly next: Handler
  /** By place, each the first of a chain. Not a `Map`: for the reason that `IdTable` gives, it would keep alive what has passed through it. */
  readonly #places: (Flight | undefined)[] = Array.from({ length: PLACES }, () => undefined)

  constructor(options: CoalesceOptions, next: Handler) {
    this.options = options
    this.next = next
  }

  join(call: Sought, route: Route): Promise<Outcome> {
    return new Promise((resolve, reject) => {
      const caller = new Caller(this, call, route, resolve, reject)
      call.cancellation.onCancel(reason => caller.cancel(reason))
      if (call.cancellation.reason === undefined) this.board(caller)
    })
  }

  /** Puts a caller on a call under way, else makes one for it. */
  board(caller: Caller): void {
    const { call } = caller
    const { key, plan, tags } = call.wanted
    const wantsProgress = call.request.progressToken !== undefined
    const place = placeOf(key)
    for (let flight = this.#places[place]; flight; flight = flight.following)
      if (
        flight.wanted.key === key &&
        (flight.tellsProgress || !wantsProgress) &&
        plan.changes.isCurrent(flight.epoch, tags)
      ) {
        flight.add(caller)
        return
      }
    const flight = new Flight(this, caller, place)
    flight.following = this.#places[place]
    this.#places[place] = flight
    flight.start()
  }

  /** Nobody else gets on it. Idempotent. */
  leave(flight: Flight): void {
    const { place } = flight
    let before: Flight | undefined
    for (let at = this.#places[place]; at; before = at, at = at.following) {
      if (at !== flight) continue
      if (before) before.following = flight.following
      else this.#places[place] = flight.following
      flight.following = undefined
      return
    }
  }
}

/** One client's call, waiting. */
class Caller implements Deadline {
  place: number | undefined
  due: number | undefined
  readonly call: Sought
  readonly route: Route
  readonly since = Date.now()
  /** What it waits for; `undefined` when it goes alone. */
  flight: Flight | undefined
  readonly #flights: Flights
  readonly #resolve: (outcome: Outcome | Promise<Outcome>) => void
  readonly #reject: (error: unknown) => void
  #settled = false

  constructor(
    flights: Flights,
    call: Sought,
    route: Route,
    resolve: (outcome: Outcome | Promise<Outcome>) => void,
    reject: (error: unknown) => void,
  ) {
    this.#flights = flights
    this.call = call
    this.route = route
    this.#resolve = resolve
    this.#reject = reject
  }

  get timeoutMs(): number {
    return this.#flights.options.timeoutMs(this.route.server)
  }

  /** When its time is over, in Unix milliseconds: counted from when it came, from when the call was sent, and anew from each progress. */
  get endsAt(): number {
    const { timeoutMs } = this
    return timeoutMs === 0 ? Infinity : Math.max(this.since, this.flight?.movedAt ?? 0) + timeoutMs
  }

  watch(): void {
    this.#flights.options.deadlines.set(this, this.timeoutMs)
  }

  expire(): void {
    if (this.#settled) return
    const leftMs = this.endsAt - Date.now()
    if (leftMs > 0 || this.flight?.sent === false) {
      this.#flights.options.deadlines.set(this, Math.max(leftMs, 1))
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

  /** Makes its own call, which nobody shares. */
  goAlone(): void {
    this.flight = undefined
    this.#settle()
    this.#resolve(this.#flights.next(this.call, this.route))
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
    this.#flights.options.deadlines.remove(this)
  }

  #out(reason: string): void {
    const { flight } = this
    this.flight = undefined
    flight?.remove(this, reason)
  }
}

/** The one call of many. It is that of the caller who came first, in all but its end. */
class Flight extends Sought {
  readonly epoch: number
  /** Where it is found, and the next one there. */
  readonly place: number
  following: Flight | undefined
  /** Whether the server tells of its progress: only who does not want to hear of that can join any other. */
  readonly tellsProgress: boolean
  readonly #flights: Flights
  readonly #route: Route
  readonly #cancellation = new Cancellation()
  /** Whose call it is; `undefined` when that one has left. */
  #leader: Caller | undefined
  #others: Set<Caller> | undefined
  #ended = false
  #heardAt = 0

  constructor(flights: Flights, leader: Caller, place: number) {
    super(leader.call, leader.call.wanted)
    this.place = place
    this.tellsProgress = leader.call.request.progressToken !== undefined
    this.epoch = this.wanted.plan.changes.now
    this.#flights = flights
    this.#route = leader.route
    this.#leader = leader
    leader.flight = this
  }

  override get cancellation(): Cancellation {
    return this.#cancellation
  }

  get sent(): boolean {
    return this.record.sentAt > 0
  }

  /** When the server was last given the time to answer anew, in Unix milliseconds. */
  get movedAt(): number {
    const { sentAt } = this.record
    return Math.max(this.#heardAt, sentAt > 0 ? performance.timeOrigin + sentAt : 0)
  }

  start(): void {
    this.#flights.next(this, this.#route).then(
      outcome => this.#answered(outcome),
      (error: unknown) => this.#failed(error),
    )
  }

  add(caller: Caller): void {
    ;(this.#others ??= new Set()).add(caller)
    caller.flight = this
    caller.watch()
  }

  remove(caller: Caller, reason: string): void {
    if (caller === this.#leader) this.#leader = undefined
    else this.#others?.delete(caller)
    if (!this.#leader && !this.#others?.size) this.#abandon(reason)
  }

  override notify(method: string, params: string | undefined): void {
    if (method !== 'notifications/progress' || params === undefined) {
      this.#leader?.call.notify(method, params)
      return
    }
    this.#heardAt = Date.now()
    this.#leader?.call.notify(method, params)
    if (!this.#others?.size) return
    const token = find(members(params), 'progressToken')
    if (!token) return
    for (const { call } of this.#others) {
      const own = call.request.progressToken
      if (own !== undefined) call.notify(method, params.slice(0, token.start) + own + params.slice(token.end))
    }
  }

  override ask(request: InputRequest): Promise<string> {
    this.record.asked = true
    this.#part()
    const leader = this.#leader
    if (leader) return leader.call.ask(request)
    this.#abandon('nobody is left to answer')
    return Promise.reject(
      new GatewayError('cannot_ask', 'The client whose call it was has left.', { server: request.server }),
    )
  }

  /** From here on it is the leader's alone. */
  #part(): void {
    this.#flights.leave(this)
    for (const other of this.#takeOthers()) other.goAlone()
  }

  #abandon(reason: string): void {
    this.#flights.leave(this)
    if (!this.#ended) this.#cancellation.cancel(reason)
  }

  #answered(outcome: Outcome): void {
    this.#end()
    const leader = this.#leader
    const others = this.#takeOthers()
    leader?.resolve(outcome)
    // What only the leader can go on with; and what somebody was asked for is no answer to the others.
    const ownOnly = this.record.asked || !isForAll(outcome)
    const { counters } = this.wanted.plan
    for (const other of others) {
      if (ownOnly) other.goAlone()
      else {
        other.call.record.cache = 'coalesced'
        counters.coalesced++
        counters.bytesSaved += outcome.text.length
        counters.upstreamMsSaved += this.record.upstreamMs
        other.resolve(outcome)
      }
    }
  }

  #failed(caught: unknown): void {
    this.#end()
    const error = GatewayError.from(caught, this.#route.server)
    const leader = this.#leader
    const now = Date.now()
    // Before the leader goes, whose time is that of the call.
    const others = this.#takeOthers().map(other => ({ other, leftMs: other.endsAt - now }))
    leader?.reject(error)
    for (const { other, leftMs } of others) {
      if (leader && this.#concerns(error, other, leftMs)) other.reject(error)
      // The first of them leads the next call.
      else this.#flights.board(other)
    }
  }

  /** Whether the failure of the leader is that of another caller as well. */
  #concerns({ code }: GatewayError, { call }: Caller, leftMs: number): boolean {
    if (OF_ONE_CALL.has(code)) return false
    if (OF_ONE_PRINCIPAL.has(code)) return call.principal.id === this.principal.id
    return code !== 'upstream_timeout' || leftMs <= 0
  }

  #end(): void {
    this.#ended = true
    this.#flights.leave(this)
  }

  #takeOthers(): Caller[] {
    const others = [...(this.#others ?? [])]
    this.#others = undefined
    return others
  }
}

/** Whether it says the same to everyone: an answer, not a question or a task. */
function isForAll(outcome: Outcome): boolean {
  if (outcome.kind !== 'result') return outcome.kind === 'error'
  const { resultType, task } = (outcome.value ?? {}) as JsonObject
  return task === undefined && (resultType === undefined || resultType === 'complete')
}
