import type { Exchange } from '../../core/exchange.ts'
import { relatedTaskOf, TASK_STATUS } from '../../protocol/related-task.ts'

/**
 * Tasks at the server of a legacy link, and the exchanges they belong to (revision 2025-11-25). Messages about a task,
 * and progress of the request that created it, belong to that exchange for as long as the task exists.
 */
export class LinkTasks {
  readonly #exchanges = new Map<string, Exchange>()
  /** By the id of the request that created the task, which is its progress token as well. */
  readonly #byToken = new Map<number, Exchange>()

  get size(): number {
    return this.#exchanges.size
  }

  /** `request` is the id of the request that created the task. The returned function removes it; idempotent. */
  adopt(taskId: string, exchange: Exchange, request: number): () => void {
    this.#exchanges.set(taskId, exchange)
    this.#byToken.set(request, exchange)
    return () => {
      // If a server uses an id twice, it refers to the later task.
      if (this.#exchanges.get(taskId) === exchange) this.#exchanges.delete(taskId)
      this.#byToken.delete(request)
    }
  }

  /**
   * The task that a message is about. `undefined`: the message is about no task. `exchange` is `undefined` for a task
   * that no client has here.
   */
  about(method: string, params: unknown): { readonly exchange: Exchange | undefined } | undefined {
    const status =
      method === TASK_STATUS ? (params as { taskId?: unknown } | null | undefined)?.taskId : undefined
    const taskId = typeof status === 'string' ? status : relatedTaskOf(params)
    if (taskId === undefined) return method === TASK_STATUS ? { exchange: undefined } : undefined
    return { exchange: this.#exchanges.get(taskId) }
  }

  /** The exchange of progress for a request that has been answered with a task. */
  progress(token: number): Exchange | undefined {
    return this.#byToken.get(token)
  }
}
