import type { GatewayConfig, ServerConfig } from '../../config/types.ts'
import type { CallMiddleware } from '../../core/compose.ts'
import type { Deadline, Deadlines } from '../../core/deadlines.ts'
import { GatewayError, unfinishedOf } from '../../core/errors.ts'
import type { Exchange, InputRequest } from '../../core/exchange.ts'
import { FairQueue } from './fair-queue.ts'
import { type ServerQueue, type QueueRefusal, WaitingCall } from './flow.ts'
import type { Unfinished } from '../../core/unfinished.ts'
import { Delegate } from '../../core/derived-exchange.ts'
import { removedServer } from '../../core/removed-server.ts'
import { shuttingDown } from '../../core/shutting-down.ts'

export interface QueueOptions {
  readonly servers: readonly Pick<ServerConfig, 'name' | 'maxConcurrentCalls' | 'queue' | 'queueTimeoutMs'>[]
  readonly gateway: Pick<GatewayConfig, 'maxConcurrentCalls' | 'queue'>
  /** Weights of configured clients by name. All others have weight 1. */
  readonly weights: ReadonlyMap<string, number>
  readonly deadlines: Deadlines
}

/** Methods without a permit: `tasks/result` stays open as long as the task runs, and a cancellation frees a permit. */
const WITHOUT_PERMIT: ReadonlySet<string> = new Set(['tasks/result', 'tasks/cancel'])

/** Bounds of the delay given to refused calls, and the delay while latencies are unknown. */
const RETRY_AFTER_MS = { min: 100, max: 60_000, unknown: 1000 }

export interface QueueMiddlewareOptions {
  readonly limiter: ConcurrencyLimiter
}

/**
 * Limits the concurrent calls of each server, and of all servers together. Further calls wait for their turn. With a
 * free permit, no call waits. A call returns its permit while its client is being asked. The permit of a cancelled call
 * is held until its server has finished it; its client does not wait for that.
 */
export function queue({ limiter }: QueueMiddlewareOptions): CallMiddleware {
  return next => async (exchange, route) => {
    const serverQueue = limiter.serverQueue(route.server)
    if (!serverQueue || WITHOUT_PERMIT.has(exchange.request.method)) return await next(exchange, route)
    if (!limiter.enter(serverQueue)) await limiter.wait(serverQueue, exchange)
    if (exchange.features !== '') {
      const call = new Interruptible(exchange, serverQueue, limiter)
      let unfinished: Unfinished | undefined
      try {
        return await next(call, route)
      } catch (error) {
        unfinished = unfinishedOf(error)
        throw error
      } finally {
        call.end(unfinished)
      }
    }
    const since = performance.now()
    let unfinished: Unfinished | undefined
    try {
      return await next(exchange, route)
    } catch (error) {
      unfinished = unfinishedOf(error)
      throw error
    } finally {
      if (unfinished) limiter.hold(serverQueue, exchange.principal.id, unfinished, since)
      else limiter.leave(serverQueue, performance.now() - since)
    }
  }
}

/** The permits of this process: for each server, and in total. */
export class ConcurrencyLimiter {
  #options: QueueOptions
  readonly #queue: FairQueue
  readonly #serverQueues = new Map<string, ServerQueue>()
  readonly #timeouts = new WeakMap<ServerQueue, number>()

  constructor(options: QueueOptions) {
    this.#options = options
    const { gateway } = options
    this.#queue = new FairQueue({ permits: gateway.maxConcurrentCalls, bound: gateway.queue })
    this.#arrange(options)
  }

  /** Applies other limits. Calls keep their permits. Calls that wait for a removed server are refused. */
  reconfigure(options: Omit<QueueOptions, 'deadlines'>): void {
    this.#options = { ...this.#options, ...options }
    const names = new Set(options.servers.map(({ name }) => name))
    for (const name of this.#serverQueues.keys()) if (!names.has(name)) this.#serverQueues.delete(name)
    this.#arrange(this.#options)
    const { gateway } = options
    this.#queue.resize({ permits: gateway.maxConcurrentCalls, bound: gateway.queue }, names)
  }

  #arrange({ servers }: QueueOptions): void {
    for (const server of servers) {
      const serverQueue = this.#queue.serverQueue(server.name, {
        permits: server.maxConcurrentCalls,
        bound: server.queue,
      })
      this.#serverQueues.set(server.name, serverQueue)
      this.#timeouts.set(serverQueue, server.queueTimeoutMs)
    }
  }

  /** Number of calls with a permit. */
  get taken(): number {
    return this.#queue.taken
  }

  get waiting(): number {
    return this.#queue.waiting
  }

  serverQueue(server: string): ServerQueue | undefined {
    return this.#serverQueues.get(server)
  }

  enter(serverQueue: ServerQueue): boolean {
    return this.#queue.enter(serverQueue)
  }

  leave(serverQueue: ServerQueue, heldMs: number): void {
    this.#queue.leave(serverQueue, heldMs)
  }

  /**
   * Holds the server's permit until it has finished a cancelled call. `since`: when the call got it; `undefined`: it
   * has none at the moment.
   */
  hold(serverQueue: ServerQueue, clientId: string, unfinished: Unfinished, since: number | undefined): void {
    const now = performance.now()
    if (since === undefined) this.#queue.holdAnother(serverQueue, clientId)
    else this.#queue.hold(serverQueue, clientId, now - since)
    const from = since ?? now
    unfinished.onEnd(() => this.#queue.release(serverQueue, clientId, performance.now() - from))
  }

  /** Resolves when the call has a permit. @throws GatewayError `overloaded`, `shutting_down`, `cancelled` */
  async wait(serverQueue: ServerQueue, exchange: Exchange): Promise<void> {
    const since = performance.now()
    const timeoutMs = this.#timeouts.get(serverQueue) ?? 0
    const { id, client } = exchange.principal
    const weight = (client === undefined ? undefined : this.#options.weights.get(client)) ?? 1
    const { deadlines } = this.#options
    const turn = new Turn(this.#queue, refusal => this.#refused(serverQueue, refusal))
    try {
      const refusal = this.#queue.wait(serverQueue, id, weight, turn, timeoutMs)
      if (refusal !== undefined) throw this.#refused(serverQueue, refusal)
      deadlines.set(turn, timeoutMs)
      exchange.cancellation.onCancel(() =>
        turn.leave(new GatewayError('cancelled', 'The request was cancelled.', { server: serverQueue.name })),
      )
      await turn.came
    } finally {
      deadlines.remove(turn)
      exchange.trace.waited(performance.now() - since)
    }
  }

  /** As `leave`, for a call that may want a permit again. `enterAgain` or `stayAway` follows. */
  leaveForNow(serverQueue: ServerQueue, heldMs: number): void {
    this.#queue.leaveForNow(serverQueue, heldMs)
  }

  stayAway(serverQueue: ServerQueue): void {
    this.#queue.stayAway(serverQueue)
  }

  /**
   * A permit for a call that returned its own. `undefined`: it has it already; otherwise the returned turn waits for
   * it.
   */
  enterAgain(serverQueue: ServerQueue): Turn | undefined {
    const turn = new Turn(this.#queue, refusal => this.#refused(serverQueue, refusal))
    return this.#queue.enterAgain(serverQueue, turn) ? undefined : turn
  }

  /** Refuses all waiting calls. */
  close(): void {
    this.#queue.close()
  }

  #refused(serverQueue: ServerQueue, refusal: QueueRefusal | 'timeout'): GatewayError {
    const server = serverQueue.name
    if (refusal === 'closed') return shuttingDown(server)
    if (refusal === 'removed') return removedServer(server)
    const { min, max, unknown } = RETRY_AFTER_MS
    const retryAfterMs = Math.ceil(
      Math.min(max, Math.max(min, this.#queue.retryAfterMs(serverQueue) ?? unknown)),
    )
    const again = `Try again in ${Math.ceil(retryAfterMs / 1000)} s`
    return new GatewayError('overloaded', `${this.#reason(serverQueue, refusal)} ${again}.`, {
      server,
      retryAfterMs,
    })
  }

  #reason(
    serverQueue: ServerQueue,
    refusal: Exclude<QueueRefusal, 'closed' | 'removed'> | 'timeout',
  ): string {
    const { name, permits, bound } = serverQueue
    const { maxConcurrentCalls, queue } = this.#options.gateway
    const seconds = (this.#timeouts.get(serverQueue) ?? 0) / 1000
    const limit = `which is as long as one may ("queueTimeout" of this server; "maxConcurrentCalls" is ${permits})`
    switch (refusal) {
      case 'server_full':
        return `Server "${name}" is busy: ${permits} calls are under way ("maxConcurrentCalls" of this server), and ${bound} may wait ("queue").`
      case 'gateway_full':
        return `The gateway is busy: ${maxConcurrentCalls} calls are under way ("gateway.maxConcurrentCalls"), and ${queue} may wait ("gateway.queue").`
      case 'too_late':
        return `Server "${name}" is busy: this call would wait longer than ${seconds} s, ${limit}.`
      case 'timeout':
        return `Server "${name}" is busy: this call has waited ${seconds} s, ${limit}.`
    }
  }
}

/** A call that waits for its turn. */
class Turn extends WaitingCall implements Deadline {
  heapIndex: number | undefined
  due: number | undefined
  /** Resolves when it has a permit. */
  readonly came: Promise<void>
  readonly #queue: FairQueue
  readonly #toError: (refusal: QueueRefusal | 'timeout') => GatewayError
  #resolve!: () => void
  #reject!: (error: GatewayError) => void
  #granted = false

  constructor(queue: FairQueue, toError: (refusal: QueueRefusal | 'timeout') => GatewayError) {
    super()
    this.#queue = queue
    this.#toError = toError
    this.came = new Promise((resolve, reject) => {
      this.#resolve = resolve
      this.#reject = reject
    })
  }

  /** Whether it has a permit, even if `came` has not been handled yet. */
  get hasPermit(): boolean {
    return this.#granted
  }

  granted(): void {
    this.#granted = true
    this.#resolve()
  }

  refused(reason: QueueRefusal): void {
    this.#reject(this.#toError(reason))
  }

  expire(): void {
    this.leave(this.#toError('timeout'))
  }

  /** Leaves the queue, if it is still waiting. */
  leave(error?: GatewayError): void {
    // First, so that no permit is granted to it afterwards.
    this.#queue.remove(this)
    if (error) this.#reject(error)
    else this.#resolve()
  }
}

/**
 * A call whose client can be asked. Its permit is free while its client is being asked, and it is first in the queue
 * when the answer arrives.
 */
class Interruptible extends Delegate {
  readonly #serverQueue: ServerQueue
  readonly #limiter: ConcurrencyLimiter
  #state: 'working' | 'asking' | 'returning' | 'ended' = 'working'
  #since = performance.now()
  #questions = 0
  #turn: Turn | undefined

  constructor(inner: Exchange, serverQueue: ServerQueue, limiter: ConcurrencyLimiter) {
    super(inner)
    this.#serverQueue = serverQueue
    this.#limiter = limiter
  }

  override async ask(request: InputRequest): Promise<string> {
    this.#questions++
    if (this.#state === 'working') this.#giveBack()
    try {
      return await this.inner.ask(request)
    } finally {
      if (--this.#questions === 0) await this.#comeBack()
    }
  }

  /** Ends the call, which the server may still be working on. */
  end(unfinished: Unfinished | undefined): void {
    const working = this.#state === 'working'
    if (this.#state === 'asking') this.#limiter.stayAway(this.#serverQueue)
    this.#state = 'ended'
    if (unfinished)
      this.#limiter.hold(this.#serverQueue, this.principal.id, unfinished, working ? this.#since : undefined)
    else if (working) this.#limiter.leave(this.#serverQueue, performance.now() - this.#since)
    this.#turn?.leave()
  }

  #giveBack(): void {
    this.#state = 'asking'
    const now = performance.now()
    this.trace.paused(now)
    this.#limiter.leaveForNow(this.#serverQueue, now - this.#since)
  }

  /** The server continues when it gets the answer, so the answer waits for the permit. */
  async #comeBack(): Promise<void> {
    if (this.#state === 'returning') await this.#turn?.came
    if (this.#state !== 'asking') return
    const turn = this.#limiter.enterAgain(this.#serverQueue)
    if (turn) {
      this.#state = 'returning'
      this.#turn = turn
      await turn.came
      this.#turn = undefined
    }
    if (this.#ended) {
      if (turn?.hasPermit) this.#limiter.leave(this.#serverQueue, 0)
      return
    }
    this.#state = 'working'
    this.#since = performance.now()
    this.trace.resumed(this.#since)
    // Another question has been sent in the meantime.
    if (this.#questions > 0) this.#giveBack()
  }

  get #ended(): boolean {
    return this.#state === 'ended'
  }
}
