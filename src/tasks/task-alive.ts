import { isFinal } from '../protocol/related-task.ts'
import type { Link } from '../upstream/link/link.ts'

/**
 * Whether the result of a legacy task is worth waiting for any longer, to be asked whenever the time of a call has passed: `tasks/result` takes as long as
 * the task (revision 2025-11-25), so what bounds it is a server that no longer knows of the task, no longer answers, or has ended it and says nothing.
 */
export function stillWorking(link: Link, taskId: string): () => Promise<boolean> {
  let ended = false
  return async () => {
    try {
      const params = JSON.stringify({ taskId })
      const { value } = await link.request('tasks/get', params, link.server.listTimeoutMs)
      if (!isFinal(value.status)) return true
      // The result of a task that has just ended may be on its way.
      const first = !ended
      ended = true
      return first
    } catch {
      return false
    }
  }
}
