import { monotonicNow } from '../../core/clock.ts'
import type { Deadline } from '../../core/deadlines.ts'
import type { GatewayError } from '../../core/errors.ts'
import type { Exchange, ServerOutcome } from '../../core/exchange.ts'
import type { Transport } from '../transport/shared/transport.ts'

/** With progress, or while its stream is not read, a call may take this many times its time limit, but not longer. */
export const MOST_EXTENSION = 12

/**
 * The gateway's own requests when it lists a server. They include the log level, which is set when a link is opened for
 * lists.
 */
const OWN_LISTS: ReadonlySet<string> = new Set([
  'tools/list',
  'resources/list',
  'resources/templates/list',
  'prompts/list',
  'logging/setLevel',
])

/** A request on a link that waits for its answer. */
export class Pending implements Deadline {
  heapIndex: number | undefined
  due: number | undefined
  readonly link: Expiring
  /** When it ends despite extensions. Set by the first extension. */
  #endsAt: number | undefined
  /** Time up to which the pauses of its stream have been counted. */
  #countedTo: number | undefined
  readonly id: number
  readonly method: string
  readonly timeoutMs: number
  readonly exchange: Exchange | undefined
  readonly resolve: (outcome: ServerOutcome) => void
  readonly reject: (error: GatewayError) => void
  /** The caller's handlers while the request runs. */
  readonly call: PendingCall | undefined

  constructor(
    link: Expiring,
    id: number,
    method: string,
    timeoutMs: number,
    exchange: Exchange | undefined,
    resolve: (outcome: ServerOutcome) => void,
    reject: (error: GatewayError) => void,
    call: PendingCall | undefined,
  ) {
    this.link = link
    this.id = id
    this.method = method
    this.timeoutMs = timeoutMs
    this.exchange = exchange
    this.resolve = resolve
    this.reject = reject
    this.call = call
  }

  /** Whether it is a list request of the gateway itself, which can be repeated over another link. */
  get isOwnList(): boolean {
    return this.exchange === undefined && OWN_LISTS.has(this.method)
  }

  expire(): void {
    this.link.expire(this.id)
  }

  /**
   * Called when the time to answer is over. @returns how long the request may continue because the gateway did not read
   * its stream for that long; 0: no longer
   */
  unreadMs(transport: Pick<Transport, 'unreadMs'>): number {
    const now = monotonicNow()
    const due = this.due as number
    const ms = transport.unreadMs(this.id, this.#countedTo ?? due - this.timeoutMs)
    this.#countedTo = now
    this.#endsAt ??= due + (MOST_EXTENSION - 1) * this.timeoutMs
    return Math.max(0, Math.min(ms, this.#endsAt - now))
  }

  /** Whether the maximum extension is used up. */
  get fullyExtended(): boolean {
    return this.#endsAt !== undefined && monotonicNow() >= this.#endsAt
  }

  /**
   * Called when the server reports progress. @returns how long the request may continue from now; `undefined`: no
   * longer than before
   */
  progressed(): number | undefined {
    if (this.due === undefined) return undefined
    this.#endsAt ??= this.due + (MOST_EXTENSION - 1) * this.timeoutMs
    const left = this.#endsAt - monotonicNow()
    return left > 0 ? Math.min(left, this.timeoutMs) : undefined
  }
}

/** The part of a call that is used while it waits. */
interface PendingCall {
  readonly onAnswer?: (outcome: ServerOutcome, id: number) => void
  readonly worthWaiting?: () => Promise<boolean>
}

/** Handles a request whose time has passed. */
interface Expiring {
  expire(id: number): void
}

/** The setting of a server that bounds how long a request may take. */
export function limitOf({ exchange, method }: Pending): string {
  if (exchange) return 'timeout'
  return method === 'initialize' || method === 'server/discover' ? 'startTimeout' : 'listTimeout'
}
