import type { ServerConfig } from '../../config/types.ts'
import type { Deadline, Deadlines } from '../../core/deadlines.ts'
import { IdTable } from '../../core/id-table.ts'
import { Unfinished } from '../../core/unfinished.ts'

/**
 * How long a server counts as working on a cancelled request: as long as its calls may take, within these bounds. A
 * server that supports cancellation stops at once and sends nothing, because a receiver should not answer. It therefore
 * cannot be distinguished from a server that continues until the latter answers.
 */
const UNFINISHED_MS = { min: 3000, max: 10_000 }
/** Maximum number: that of the largest `maxConcurrentCalls`. Each takes a few bytes. */
const MAX_KEPT = 10_000

/** How long a call of the server may take at the moment; 0: no limit. */
export type CallTimeout = Pick<ServerConfig, 'timeoutMs'>

/**
 * Cancelled requests on one link that the server may still be working on. Each ends with the server's answer, with the
 * link, and after at most ten seconds.
 */
export class UnfinishedRequests {
  readonly #deadlines: Deadlines
  readonly #server: CallTimeout
  readonly #requests = new IdTable<number, UnfinishedRequest>()

  constructor(deadlines: Deadlines, server: CallTimeout) {
    this.#deadlines = deadlines
    this.#server = server
  }

  /**
   * `id` is that of the request to the server. `undefined`: too many are kept already, and this one counts as ended.
   */
  add(id: number): Unfinished | undefined {
    if (this.#requests.size >= MAX_KEPT) return undefined
    const request = new UnfinishedRequest(this, id)
    this.#requests.set(id, request)
    const { min, max } = UNFINISHED_MS
    const { timeoutMs } = this.#server
    this.#deadlines.set(request, timeoutMs === 0 ? max : Math.min(max, Math.max(min, timeoutMs)))
    return request
  }

  /** Records that the server has answered request `id` after all, or never will. Without effect if it is not kept. */
  ended(id: number): void {
    const request = this.#requests.take(id)
    if (!request) return
    this.#deadlines.remove(request)
    request.end()
  }

  /** Ends all of them, because the link has ended. */
  close(): void {
    for (const { id } of this.#requests.values()) this.ended(id)
  }
}

class UnfinishedRequest extends Unfinished implements Deadline {
  heapIndex: number | undefined
  due: number | undefined
  readonly id: number
  readonly #kept: UnfinishedRequests

  constructor(kept: UnfinishedRequests, id: number) {
    super()
    this.#kept = kept
    this.id = id
  }

  expire(): void {
    this.#kept.ended(this.id)
  }
}
