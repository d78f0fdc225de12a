import type { Deadline, Deadlines } from '../../core/deadlines.ts'
import { IdTable } from '../../core/id-table.ts'
import { Unfinished } from '../../core/unfinished.ts'

/**
 * How long a server counts as working on a request that it was told to drop: as long as its calls may take, within these bounds. A server that heeds
 * a cancellation stops within moments and says nothing, because its receiver should not answer. So nothing tells such a server from one that goes on,
 * until that one answers.
 */
const UNFINISHED_MS = { min: 3000, max: 10_000 }
/** As many as the greatest `maxConcurrentCalls`; each is a few bytes. */
const MAX_KEPT = 10_000

/**
 * Requests on one link that were given up and that the server may still work on. Each ends with the server's answer, with the link, and after at most ten
 * seconds.
 */
export class UnfinishedRequests {
  readonly #deadlines: Deadlines
  readonly #boundMs: number
  readonly #requests = new IdTable<number, UnfinishedRequest>()

  /** `timeoutMs`: how long a call may take; 0 for ever. */
  constructor(deadlines: Deadlines, timeoutMs: number) {
    const { min, max } = UNFINISHED_MS
    this.#deadlines = deadlines
    this.#boundMs = timeoutMs === 0 ? max : Math.min(max, Math.max(min, timeoutMs))
  }

  /** `id` is that of the request to the server. `undefined`: too many are kept already, and this one counts as ended. */
  add(id: number): Unfinished | undefined {
    if (this.#requests.size >= MAX_KEPT) return undefined
    const request = new UnfinishedRequest(this, id)
    this.#requests.set(id, request)
    this.#deadlines.set(request, this.#boundMs)
    return request
  }

  /** The server has answered request `id` after all, or never will. Nothing happens when it is not kept. */
  ended(id: number): void {
    const request = this.#requests.take(id)
    if (!request) return
    this.#deadlines.remove(request)
    request.end()
  }

  /** The link has ended. */
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
