import type { Json, JsonObject } from '../core/exchange.ts'
import { isJsonObject } from '../core/json-object.ts'
import { rawAt, withMembers } from './json-text.ts'

/** Tasks of revision 2025-11-25 in messages (specification 2025-11-25, basic/utilities/tasks). */

/** `_meta` key by which a message says which task it is about. */
export const RELATED_TASK = 'io.modelcontextprotocol/related-task'

/** Notification that a task has another status now; its params are the task. */
export const TASK_STATUS = 'notifications/tasks/status'

const FINAL: ReadonlySet<unknown> = new Set(['completed', 'failed', 'cancelled'])

/** Whether nothing more happens to a task of this status; the same in both eras. */
export function isFinal(status: unknown): boolean {
  return FINAL.has(status)
}

/** The task that params or a result say they are about, in the sender's words. */
export function relatedTaskOf(value: unknown): string | undefined {
  const meta = isJsonObject(value) ? value._meta : undefined
  const related = isJsonObject(meta) ? meta[RELATED_TASK] : undefined
  const taskId = isJsonObject(related) ? related.taskId : undefined
  return typeof taskId === 'string' ? taskId : undefined
}

/**
 * Params or a result with the task `from` called `to`, wherever a message names its task: `taskId`, `task.taskId` and the mark in `_meta`. Without `to` the
 * mark is removed: its reader knows of no task.
 */
export function renameTask({ text, value }: Json, from: string, to: string | undefined): string {
  if (!isJsonObject(value)) return text
  const changes: Record<string, string | undefined> = {}
  if (to !== undefined) {
    const taskId = JSON.stringify(to)
    if (value.taskId === from) changes.taskId = taskId
    if (isJsonObject(value.task) && value.task.taskId === from)
      changes.task = withMembers(rawAt(text, 'task') ?? '{}', { taskId })
  }
  if (relatedTaskOf(value) === from) changes._meta = renamedMeta(text, to)
  return Object.keys(changes).length === 0 ? text : withMembers(text, changes)
}

function renamedMeta(text: string, to: string | undefined): string | undefined {
  const meta = rawAt(text, '_meta') ?? '{}'
  if (to !== undefined) {
    const mark = withMembers(rawAt(meta, RELATED_TASK) ?? '{}', { taskId: JSON.stringify(to) })
    return withMembers(meta, { [RELATED_TASK]: mark })
  }
  const rest = withMembers(meta, { [RELATED_TASK]: undefined })
  return rest === '{}' ? undefined : rest
}

/** The same for a text that has not been parsed yet. */
export function renameTaskIn(text: string, from: string, to: string | undefined): string {
  // Most texts say nothing of tasks; an escaped id is still an id.
  if (!text.includes('task')) return text
  return renameTask({ text, value: JSON.parse(text) as JsonObject }, from, to)
}
