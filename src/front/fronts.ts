import type { Config } from '../config/types.ts'
import type { Logger } from '../core/logger.ts'
import type { Principal } from '../core/principal.ts'
import type { CallsInFlight } from './calls-in-flight.ts'
import { cutOff } from './shutting-down.ts'

/** A client that is served, and where. */
export interface ServedClient {
  /** `''`: everything. */
  readonly endpoint: string
  readonly principal: Principal
}

export interface Front {
  /** Clients whose conversations and streams are open. */
  readonly clients: Iterable<ServedClient>
  /**
   * The gateway has another configuration: conversations and streams go on with what their clients may use now. That of a client that may use nothing any more ends, with an
   * error.
   */
  reconfigured(config: Config): void
  /** Takes no new requests; what was taken is still answered. Idempotent. */
  drain(): void
  /** Resolves when no client is connected that could still send something, after `ms` in any case; absent where nothing is to be waited for. */
  deserted?(ms: number): Promise<void>
  /** Ends every conversation. Answers may take `flushMs` to be read by their clients. Idempotent. */
  close(flushMs: number): void | Promise<void>
}

/** How long a client that is still connected may take to notice that nothing new is taken. */
const NOTICE_MS = 2000
/** How long calls that were told the end may take to end. */
const SETTLE_MS = 1000
/** How long clients may take to read the last answers, at least and at most. */
const FLUSH_MS = { min: 1000, max: 5000 }

/** The fronts of one gateway, which end together: first what they take, then what they owe, then their connections. */
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

  /** One that comes after the end has begun ends as well. */
  add(front: Front): void {
    this.#all.add(front)
    if (this.#ending) front.drain()
    if (this.#closed) void front.close(0)
  }

  delete(front: Front): void {
    this.#all.delete(front)
    if (this.#all.size === 0) this.#onNone?.()
  }

  /** Of every front. */
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

  /** Resolves when everything that was taken is answered and clients had time to go elsewhere, after `timeoutMs` in any case. */
  async finish(timeoutMs: number): Promise<void> {
    const since = performance.now()
    this.drain()
    const { size } = this.#calls
    if (size > 0)
      this.#logger.info(`Calls in flight may take ${timeoutMs / 1000} s until the end.`, { calls: size })
    // Without a front no client can come back to a call that waits for it.
    const none = new Promise<void>(resolve => (this.#onNone = resolve))
    await Promise.race([this.#calls.none(timeoutMs), none])
    const passedMs = performance.now() - since
    const leftMs = timeoutMs - passedMs
    // On a connection that is kept, a refusal is an answer, and its end is not.
    const noticeMs = Math.min(NOTICE_MS - passedMs, leftMs)
    await Promise.all([...this.#all].map(front => front.deserted?.(noticeMs)))
    this.#flushMs = Math.min(FLUSH_MS.max, Math.max(FLUSH_MS.min, leftMs))
  }

  /** Answers with an error what is still owed, and lets it come to its end. */
  async cutOff(): Promise<void> {
    if (this.#calls.size === 0) return
    this.#logger.warn('Calls that were still in flight were ended.', { calls: this.#calls.size })
    this.#calls.stop(cutOff(), this.#serverInfo)
    await this.settled()
  }

  /** Resolves when nothing goes on for any call, after a moment in any case. */
  settled(): Promise<void> {
    return this.#calls.none(SETTLE_MS)
  }

  async close(): Promise<void> {
    this.#closed = true
    await Promise.all([...this.#all].map(front => front.close(this.#flushMs)))
  }
}
