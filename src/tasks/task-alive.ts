import { isFinal } from '../protocol/related-task.ts'
import type { Link } from '../upstream/link/link.ts'

/**
 * Returns a check, made whenever the time of a call is over, of whether to wait longer for the result of a legacy task:
 * `tasks/result` takes as long as the task (revision 2025-11-25). The wait ends when the server no longer has the task,
 * no longer answers, or has ended the task without a result.
 */
export function stillWorking(link: Link, taskId: string): () => Promise<boolean> {
  let ended = false
  return async () => {
    try {
      const params = JSON.stringify({ taskId })
      const { value } = await link.request('tasks/get', params, link.server.listTimeoutMs)
      if (!isFinal(value.status)) return true
      // The result of a task that has just ended may still be on its way.
      const first = !ended
      ended = true
      return first
    } catch {
      return false
    }
  }
}
