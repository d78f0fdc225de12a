import { monotonicNow } from '../../core/clock.ts'
import type { Deadline } from '../../core/deadlines.ts'
import type { GatewayError } from '../../core/errors.ts'
import type { Exchange, ServerOutcome } from '../../core/exchange.ts'
import type { Transport } from '../transport/shared/transport.ts'

/** By progress, and while its stream is not read, a call goes on for so many times its time limit: nothing keeps it open for ever. */
export const MOST_EXTENSION = 12

/** What the gateway asks for to list a server; the level of logs is set when a link is opened, as lists are fetched. */
const OWN_LISTS: ReadonlySet<string> = new Set([
  'tools/list',
  'resources/list',
  'resources/templates/list',
  'prompts/list',
  'logging/setLevel',
])

/** A request that waits for its answer on a link. */
export class Pending implements Deadline {
  heapIndex: number | undefined
  due: number | undefined
  readonly link: Expiring
  /** When nothing extends it any longer; known once it is extended. */
  #endsAt: number | undefined
  /** Up to when the pauses of its stream are counted. */
  #countedTo: number | undefined
  readonly id: number
  readonly method: string
  readonly timeoutMs: number
  readonly exchange: Exchange | undefined
  readonly resolve: (outcome: ServerOutcome) => void
  readonly reject: (error: GatewayError) => void
  /** What the caller wants to be told or asked on the way. */
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

  /** Whether the gateway asks for itself, and may ask again over another link. */
  get isOwnList(): boolean {
    return this.exchange === undefined && OWN_LISTS.has(this.method)
  }

  expire(): void {
    this.link.expire(this.id)
  }

  /**
   * The time to answer is over. @returns how long the request may go on, because the gateway did not read its stream for so long; 0: no longer
   */
  unreadMs(transport: Pick<Transport, 'unreadMs'>): number {
    const now = monotonicNow()
    const due = this.due as number
    const ms = transport.unreadMs(this.id, this.#countedTo ?? due - this.timeoutMs)
    this.#countedTo = now
    this.#endsAt ??= due + (MOST_EXTENSION - 1) * this.timeoutMs
    return Math.max(0, Math.min(ms, this.#endsAt - now))
  }

  /** Whether it has gone on for as long as it can be extended. */
  get fullyExtended(): boolean {
    return this.#endsAt !== undefined && monotonicNow() >= this.#endsAt
  }

  /** The server reports progress. @returns how long the request may go on from now; `undefined`: no longer than it may anyway */
  progressed(): number | undefined {
    if (this.due === undefined) return undefined
    this.#endsAt ??= this.due + (MOST_EXTENSION - 1) * this.timeoutMs
    const left = this.#endsAt - monotonicNow()
    return left > 0 ? Math.min(left, this.timeoutMs) : undefined
  }
}

/** The part of a call that is of use while it waits. */
interface PendingCall {
  readonly onAnswer?: (outcome: ServerOutcome, id: number) => void
  readonly worthWaiting?: () => Promise<boolean>
}

/** What is told when the time of a request has passed. */
interface Expiring {
  expire(id: number): void
}

/** The setting of a server that bounds how long a request may take. */
export function limitOf({ exchange, method }: Pending): string {
  if (exchange) return 'timeout'
  return method === 'initialize' || method === 'server/discover' ? 'startTimeout' : 'listTimeout'
}
