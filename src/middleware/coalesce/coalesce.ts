import { Cancellation } from '../../core/cancellation.ts'
import { monotonicNow } from '../../core/clock.ts'
import type { CallHandler, CallMiddleware } from '../../core/compose.ts'
import { GatewayError, type ErrorCode } from '../../core/errors.ts'
import type { Exchange, InputRequest, JsonObject, Outcome } from '../../core/exchange.ts'
import type { Route } from '../../core/route.ts'
import { find, members } from '../../protocol/json-text.ts'
import { Waiter, type CoalesceOptions } from './waiter.ts'
import { CacheableExchange } from '../cacheable-exchange.ts'

/** Failures that concern one call only: other callers may succeed. */
const OF_ONE_CALL: ReadonlySet<ErrorCode> = new Set<ErrorCode>([
  'cancelled',
  'cannot_ask',
  'missing_capability',
  'invalid_params',
  'invalid_request',
  'denied',
])
/** And failures that concern every caller of the same identity. */
const OF_ONE_PRINCIPAL: ReadonlySet<ErrorCode> = new Set<ErrorCode>([
  'rate_limited',
  'quota_exhausted',
  'quota_unavailable',
  'overloaded',
])

/**
 * Merges concurrent calls with the same key into one. Each caller waits as long as it would have waited alone, and can
 * leave alone; the last one to leave cancels the call. A question to the client that leads the call ends the sharing. A
 * result fetched before a change is not given to callers that came after the change.
 */
export function coalesce(options: CoalesceOptions): CallMiddleware {
  return next => {
    const requests = new SharedRequests(options, next)
    return (exchange, route) =>
      exchange instanceof CacheableExchange ? requests.join(exchange, route) : next(exchange, route)
  }
}

/** Number of hash buckets, a power of two: about as many as concurrent calls. */
const BUCKETS = 256
/** Characters of a key that determine its bucket. */
const SAMPLES = 24

function bucketOf(key: string): number {
  const step = Math.max(1, Math.floor(key.length / SAMPLES))
  let mixed = key.length
  for (let at = key.length - 1; at >= 0; at -= step) mixed = (Math.imul(mixed, 31) + key.charCodeAt(at)) | 0
  return mixed & (BUCKETS - 1)
}

/** Shared calls in progress, by key. */
class SharedRequests {
  readonly #options: CoalesceOptions
  readonly next: CallHandler
  /**
   * By bucket, each the first of a chain. Not a `Map`: for the reason given at `IdTable`, it would keep old entries in
   * memory.
   */
  readonly #buckets: (SharedRequest | undefined)[] = Array.from({ length: BUCKETS }, () => undefined)

  constructor(options: CoalesceOptions, next: CallHandler) {
    this.#options = options
    this.next = next
  }

  join(call: CacheableExchange, route: Route): Promise<Outcome> {
    return new Promise((resolve, reject) => {
      const caller = new Waiter(this.#options, call, route, resolve, reject)
      call.cancellation.onCancel(reason => caller.cancel(reason))
      if (call.cancellation.reason === undefined) this.joinOrStart(caller)
    })
  }

  /** Lets a caller join a call in progress, or makes one for it. */
  joinOrStart(caller: Waiter): void {
    const { call } = caller
    const { key, policy, tags } = call.lookup
    const wantsProgress = call.request.progressToken !== undefined
    const bucket = bucketOf(key)
    for (let shared = this.#buckets[bucket]; shared; shared = shared.following)
      if (
        shared.lookup.key === key &&
        (shared.reportsProgress || !wantsProgress) &&
        policy.changes.isCurrent(shared.epoch, tags)
      ) {
        shared.add(caller)
        return
      }
    const shared = new SharedRequest(this, caller, bucket)
    shared.following = this.#buckets[bucket]
    this.#buckets[bucket] = shared
    shared.start()
  }

  /** Closes a shared call to further callers. Idempotent. */
  leave(shared: SharedRequest): void {
    const { bucket } = shared
    let before: SharedRequest | undefined
    for (let at = this.#buckets[bucket]; at; before = at, at = at.following) {
      if (at !== shared) continue
      if (before) before.following = shared.following
      else this.#buckets[bucket] = shared.following
      shared.following = undefined
      return
    }
  }
}

/**
 * One call on behalf of several callers. It takes its properties from the caller that came first, except for its end.
 */
class SharedRequest extends CacheableExchange {
  readonly epoch: number
  /** Its bucket, and the next one in it. */
  readonly bucket: number
  following: SharedRequest | undefined
  /** Whether the server reports its progress. A caller that wants progress cannot join a call without it. */
  readonly reportsProgress: boolean
  readonly #requests: SharedRequests
  readonly #route: Route
  readonly #cancellation = new Cancellation()
  /** The caller that the call belongs to. `undefined`: it has left. */
  #leader: Waiter | undefined
  #others: Set<Waiter> | undefined
  #ended = false
  #heardAt = 0

  constructor(requests: SharedRequests, leader: Waiter, bucket: number) {
    super(leader.call, leader.call.lookup)
    this.bucket = bucket
    this.reportsProgress = leader.call.request.progressToken !== undefined
    this.epoch = this.lookup.policy.changes.now
    this.#requests = requests
    this.#route = leader.route
    this.#leader = leader
    leader.flight = this
  }

  override get cancellation(): Cancellation {
    return this.#cancellation
  }

  get sent(): boolean {
    return this.trace.sentAt > 0
  }

  /** When the server's time limit was last restarted, in milliseconds of `monotonicNow()`. */
  get movedAt(): number {
    const { sentAt } = this.trace
    return Math.max(this.#heardAt, sentAt > 0 ? performance.timeOrigin + sentAt : 0)
  }

  start(): void {
    this.#requests.next(this, this.#route).then(
      outcome => this.#answered(outcome),
      (error: unknown) => this.#failed(error),
    )
  }

  add(caller: Waiter): void {
    ;(this.#others ??= new Set()).add(caller)
    caller.flight = this
    caller.watch()
  }

  remove(caller: Waiter, reason: string): void {
    if (caller === this.#leader) this.#leader = undefined
    else this.#others?.delete(caller)
    if (!this.#leader && !this.#others?.size) this.#abandon(reason)
  }

  override notify(method: string, params: string | undefined): void {
    if (method !== 'notifications/progress' || params === undefined) {
      this.#leader?.call.notify(method, params)
      return
    }
    this.#heardAt = monotonicNow()
    this.#leader?.call.notify(method, params)
    if (!this.#others?.size) return
    const token = find(members(params), 'progressToken')
    if (!token) return
    for (const { call } of this.#others) {
      const own = call.request.progressToken
      if (own !== undefined) call.notify(method, params.slice(0, token.start) + own + params.slice(token.end))
    }
  }

  override get canBeAsked(): Exchange['canBeAsked'] {
    return this.#leader?.call.canBeAsked ?? 'never'
  }

  override ask(request: InputRequest): Promise<string> {
    this.#part()
    const leader = this.#leader
    if (leader) return leader.call.ask(request)
    this.#abandon('no client is left to answer')
    return Promise.reject(
      new GatewayError('cannot_ask', 'The client that made the call has disconnected.', {
        server: request.server,
      }),
    )
  }

  /** Ends the sharing: from here on the call is the leader's alone. */
  #part(): void {
    this.#requests.leave(this)
    for (const other of this.#takeOthers()) other.goAlone(this.#requests.next)
  }

  #abandon(reason: string): void {
    this.#requests.leave(this)
    if (!this.#ended) this.#cancellation.cancel(reason)
  }

  #answered(outcome: Outcome): void {
    this.#end()
    const leader = this.#leader
    const others = this.#takeOthers()
    leader?.resolve(outcome)
    // An outcome that only the leader can continue with, or that depends on its input, is not shared.
    const ownOnly = this.state.asked || !isForAll(outcome)
    const { counters } = this.lookup.policy
    for (const other of others) {
      if (ownOnly) other.goAlone(this.#requests.next)
      else {
        other.call.trace.servedFrom('coalesced')
        counters.coalesced++
        counters.bytesSaved += outcome.text.length
        counters.upstreamMsSaved += this.trace.upstreamMs
        other.resolve(outcome)
      }
    }
  }

  #failed(caught: unknown): void {
    this.#end()
    const error = GatewayError.from(caught, this.#route.server)
    const leader = this.#leader
    const now = monotonicNow()
    // Before the leader leaves, whose time limit is that of the call.
    const others = this.#takeOthers().map(other => ({ other, leftMs: other.endsAt - now }))
    leader?.reject(error)
    for (const { other, leftMs } of others) {
      if (leader && this.#concerns(error, other, leftMs)) other.reject(error)
      // The first of them leads the next call.
      else this.#requests.joinOrStart(other)
    }
  }

  /** Whether the failure of the leader concerns another caller as well. */
  #concerns({ code }: GatewayError, { call }: Waiter, leftMs: number): boolean {
    if (OF_ONE_CALL.has(code)) return false
    if (OF_ONE_PRINCIPAL.has(code)) return call.principal.id === this.principal.id
    return code !== 'upstream_timeout' || leftMs <= 0
  }

  #end(): void {
    this.#ended = true
    this.#requests.leave(this)
  }

  #takeOthers(): Waiter[] {
    const others = [...(this.#others ?? [])]
    this.#others = undefined
    return others
  }
}

/** Whether the outcome is the same for all callers: an answer, not a question or a task. */
function isForAll(outcome: Outcome): boolean {
  if (outcome.kind !== 'result') return outcome.kind === 'error'
  const { resultType, task } = (outcome.value ?? {}) as JsonObject
  return task === undefined && (resultType === undefined || resultType === 'complete')
}
