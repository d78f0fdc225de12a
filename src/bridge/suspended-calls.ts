import type { Deadlines } from '../core/deadlines.ts'
import { GatewayError } from '../core/errors.ts'
import type { Exchange, Outcome } from '../core/exchange.ts'
import type { Logger } from '../core/logger.ts'
import { Shares } from '../core/shares.ts'
import type { Seal } from '../state/seal.ts'
import { sealState } from './request-state.ts'
import { SuspendedCall, type SuspendedCallSet, type SuspendedClient } from './suspended-call.ts'

export interface SuspensionLimits {
  /** How long a client may take to answer. */
  readonly answerTimeoutMs: number
  /** Maximum number of calls that are running or suspended at once. */
  readonly maxSuspendedCalls: number
}

/** The calls that the shutdown of the gateway waits for. */
export interface Awaited {
  /** @returns the index to pass to `remove` */
  add(call: { stop(): void }): number
  remove(index: number): void
}

export interface SuspendedCallsOptions {
  readonly seal: Seal
  readonly deadlines: Deadlines
  readonly limits: SuspensionLimits
  readonly calls: Awaited
  /** Whether the configuration in effect has a client, and permits what it called. */
  readonly mayReturn: (client: SuspendedClient) => boolean
  readonly logger: Logger
}

/**
 * Calls of modern clients at legacy servers. When the server asks something during a call, the call stays open here and
 * the client gets `input_required`. Its retry brings the answers and waits for the next result.
 */
export class SuspendedCalls implements SuspendedCallSet {
  readonly #seal: Seal
  readonly #deadlines: Deadlines
  readonly #logger: Logger
  /** Calls that have asked their clients something, by id. Most calls never do. */
  readonly #asked = new Map<string, SuspendedCall>()
  #size = 0
  readonly #shares = new Shares()
  #limits: SuspensionLimits
  readonly #awaited: Awaited
  readonly #mayReturn: (client: SuspendedClient) => boolean

  constructor({ seal, deadlines, limits, calls, mayReturn, logger }: SuspendedCallsOptions) {
    this.#seal = seal
    this.#awaited = calls
    this.#mayReturn = mayReturn
    this.#deadlines = deadlines
    this.#limits = limits
    this.#logger = logger
  }

  /** Clients of the calls that are suspended at the moment. */
  *clients(): Generator<SuspendedClient> {
    for (const { client } of this.#waiting()) yield client
  }

  /** Cancels the suspended calls for which their clients may not come back. */
  retain(mayReturn: (client: SuspendedClient) => boolean): void {
    for (const call of this.#waiting())
      if (!mayReturn(call.client)) call.giveUp('the configuration no longer permits it')
  }

  /** Applies other limits. A suspended call keeps its time. */
  reconfigure(limits: SuspensionLimits): void {
    this.#limits = limits
  }

  /** Number of calls that are running or suspended. */
  get size(): number {
    return this.#size
  }

  /** Makes a call that may be suspended. Resolves with its result, or with the first questions. */
  start(exchange: Exchange, run: (exchange: Exchange) => Promise<Outcome>): Promise<Outcome> {
    const call = new SuspendedCall(exchange, this)
    this.#size++
    this.#shares.opened(call.holder)
    const round = call.attach(exchange)
    run(call).then(
      outcome => call.end(() => outcome),
      (error: unknown) =>
        call.end(() => {
          throw error
        }),
    )
    return round
  }

  /** Continues a call with the answers of its client. @throws GatewayError `invalid_params` */
  resume(id: string, round: number, exchange: Exchange): Promise<Outcome> {
    const call = this.#asked.get(id)
    if (!call)
      throw new GatewayError(
        'invalid_params',
        'The call that "requestState" stands for is no longer waiting, and may have been run in part. Make it again without "requestState".',
      )
    if (call.round !== round || call.attached)
      throw new GatewayError('invalid_params', '"requestState" has been used already.')
    return call.resume(exchange)
  }

  // For suspended calls.

  /**
   * Whether a call, which is counted already, may ask its client. When there are too many, the principal with the most
   * may not; for a question of another principal, the call of that one that has been suspended longest is given up.
   */
  mayAsk({ holder }: SuspendedCall): boolean {
    if (this.#size <= this.#limits.maxSuspendedCalls) return true
    if (this.#shares.heldBy(holder) >= this.#shares.mostHeld()) return false
    this.#shares.toGiveWay(holder, this.#waiting())?.giveUp('other clients needed its place')
    return true
  }

  *#waiting(): Generator<SuspendedCall> {
    for (const call of this.#asked.values()) if (!call.attached) yield call
  }

  /** Whether the client of a call can come back with an answer. */
  canReturn({ client }: SuspendedCall): boolean {
    return this.#mayReturn(client)
  }

  sealed(call: SuspendedCall, exchange: Exchange): Promise<string> {
    const state = { kind: 'suspended', call: call.id, round: call.round } as const
    return sealState(this.#seal, exchange, state, this.#limits.answerTimeoutMs)
  }

  wait(call: SuspendedCall): void {
    this.#asked.set(call.id, call)
    this.#deadlines.set(call, this.#limits.answerTimeoutMs)
    call.awaited = this.#awaited.add(call)
  }

  noLongerWaits(call: SuspendedCall): void {
    this.#deadlines.remove(call)
    if (call.awaited !== undefined) this.#awaited.remove(call.awaited)
    call.awaited = undefined
  }

  /** Removes a call that is over. Called once. */
  forget(call: SuspendedCall, reason?: string): void {
    this.#size--
    this.#shares.closed(call.holder)
    this.noLongerWaits(call)
    if (call.round > 0) this.#asked.delete(call.id)
    if (reason !== undefined)
      this.#logger.info('A call that waited for its client was cancelled.', { reason })
  }
}
