import type { Config } from '../config/types.ts'
import type { Logger } from '../core/logger.ts'
import type { Principal } from '../core/principal.ts'
import type { Credential } from './authenticator.ts'
import type { CallsInFlight } from './calls-in-flight.ts'
import { cutOffError } from './shutting-down.ts'

/** A connected client and its endpoint. */
export interface ServedClient {
  /** `''`: all servers. */
  readonly endpoint: string
  readonly principal: Principal
  /** Over HTTP. */
  readonly credential?: Credential
}

export interface Front {
  /** Clients with an open session or stream. */
  readonly clients: Iterable<ServedClient>
  /**
   * Applies another configuration. Sessions and streams continue with what their clients may use now. Those of a client
   * that may use nothing any more end, with an error.
   */
  reconfigured(config: Config): void
  /** Takes no new requests. Accepted requests are still answered. Idempotent. */
  drain(): void
  /**
   * Resolves when no client that could still send something is connected, or after `ms`. Absent where there is nothing
   * to wait for.
   */
  untilDisconnected?(ms: number): Promise<void>
  /** Ends every session. Clients have `flushMs` to read their answers. Idempotent. */
  close(flushMs: number): void | Promise<void>
}

/** How long the connections of clients stay open so that they see the refusals of new requests. */
const NOTICE_MS = 2000
/** How long cancelled calls may take to end. */
const SETTLE_MS = 1000
/** How long clients may take to read the last answers: lower and upper bound. */
const FLUSH_MS = { min: 1000, max: 5000 }

/**
 * The fronts of one gateway, which shut down together: first they stop taking requests, then they finish the accepted
 * ones, then they close their connections.
 */
export class Fronts {
  readonly #all = new Set<Front>()
  readonly #calls: CallsInFlight
  readonly #serverInfo: string
  readonly #logger: Logger
  #flushMs = FLUSH_MS.min
  #onNone: (() => void) | undefined
  #ending = false
  #closed = false

  constructor(calls: CallsInFlight, serverInfo: string, logger: Logger) {
    this.#calls = calls
    this.#serverInfo = serverInfo
    this.#logger = logger
  }

  /** Adds a front. After the shutdown has begun, the front is shut down as well. */
  add(front: Front): void {
    this.#all.add(front)
    if (this.#ending) front.drain()
    if (this.#closed) void front.close(0)
  }

  delete(front: Front): void {
    this.#all.delete(front)
    if (this.#all.size === 0) this.#onNone?.()
  }

  /** Clients of every front. */
  *clients(): Generator<ServedClient> {
    for (const front of this.#all) yield* front.clients
  }

  reconfigured(config: Config): void {
    for (const front of this.#all) front.reconfigured(config)
  }

  drain(): void {
    this.#ending = true
    for (const front of this.#all) front.drain()
  }

  /**
   * Resolves when every accepted request is answered and clients had time to reconnect elsewhere, or after `timeoutMs`.
   */
  async finish(timeoutMs: number): Promise<void> {
    const since = performance.now()
    this.drain()
    const { size } = this.#calls
    if (size > 0)
      this.#logger.info(`Calls in flight may take ${timeoutMs / 1000} s until the end.`, { calls: size })
    // Without a front, no client can come back for a call that waits for it.
    const none = new Promise<void>(resolve => (this.#onNone = resolve))
    await Promise.race([this.#calls.none(timeoutMs), none])
    const passedMs = performance.now() - since
    const leftMs = timeoutMs - passedMs
    // On a kept connection a client sees a refusal, but may miss the end of the connection.
    const noticeMs = Math.min(NOTICE_MS - passedMs, leftMs)
    await Promise.all([...this.#all].map(front => front.untilDisconnected?.(noticeMs)))
    this.#flushMs = Math.min(FLUSH_MS.max, Math.max(FLUSH_MS.min, leftMs))
  }

  /** Answers the remaining requests with an error, and lets their work end. */
  async cutOff(): Promise<void> {
    if (this.#calls.size === 0) return
    this.#logger.warn('Calls that were still in flight were ended.', { calls: this.#calls.size })
    this.#calls.stop(cutOffError(), this.#serverInfo)
    await this.settled()
  }

  /** Resolves when the work on all calls has ended, or after a moment. */
  settled(): Promise<void> {
    return this.#calls.none(SETTLE_MS)
  }

  async close(): Promise<void> {
    this.#closed = true
    await Promise.all([...this.#all].map(front => front.close(this.#flushMs)))
  }
}
