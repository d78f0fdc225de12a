import type { Exchange } from '../../core/exchange.ts'
import { relatedTaskOf, TASK_STATUS } from '../../protocol/related-task.ts'

/**
 * Tasks that run at the other end of a legacy link, and whom they concern (revision 2025-11-25): what a server says of a task, and of the progress of
 * the request that made it, belongs to that exchange for as long as there is the task.
 */
export class LinkTasks {
  readonly #exchanges = new Map<string, Exchange>()
  /** By the id of the request that made the task, which is its progress token as well. */
  readonly #byToken = new Map<number, Exchange>()

  get size(): number {
    return this.#exchanges.size
  }

  /** `request` is the id of the request that made the task. The returned function ends it; idempotent. */
  adopt(taskId: string, exchange: Exchange, request: number): () => void {
    this.#exchanges.set(taskId, exchange)
    this.#byToken.set(request, exchange)
    return () => {
      // A server that uses an id twice means the younger task.
      if (this.#exchanges.get(taskId) === exchange) this.#exchanges.delete(taskId)
      this.#byToken.delete(request)
    }
  }

  /** The task a message is about, `undefined` when it says nothing of one. `exchange` is missing for a task that nobody has here. */
  about(method: string, params: unknown): { readonly exchange: Exchange | undefined } | undefined {
    const status =
      method === TASK_STATUS ? (params as { taskId?: unknown } | null | undefined)?.taskId : undefined
    const taskId = typeof status === 'string' ? status : relatedTaskOf(params)
    if (taskId === undefined) return method === TASK_STATUS ? { exchange: undefined } : undefined
    return { exchange: this.#exchanges.get(taskId) }
  }

  /** Whom progress concerns whose request has been answered with a task. */
  progress(token: number): Exchange | undefined {
    return this.#byToken.get(token)
  }
}
