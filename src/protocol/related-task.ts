import type { Json, JsonObject } from '../core/exchange.ts'
import { isJsonObject } from '../core/json-object.ts'
import { rawAt, withMembers } from './json-text.ts'

/** Tasks of revision 2025-11-25 in messages (specification 2025-11-25, basic/utilities/tasks). */

/** `_meta` key that names the task of a message. */
export const RELATED_TASK = 'io.modelcontextprotocol/related-task'

/** Notification of a changed task status; its params are the task. */
export const TASK_STATUS = 'notifications/tasks/status'

const FINAL: ReadonlySet<unknown> = new Set(['completed', 'failed', 'cancelled'])

/** Whether a status is final; equal in both eras. */
export function isFinal(status: unknown): boolean {
  return FINAL.has(status)
}

/** The task id in params or a result, as the sender uses it. */
export function relatedTaskOf(value: unknown): string | undefined {
  const meta = isJsonObject(value) ? value._meta : undefined
  const related = isJsonObject(meta) ? meta[RELATED_TASK] : undefined
  const taskId = isJsonObject(related) ? related.taskId : undefined
  return typeof taskId === 'string' ? taskId : undefined
}

/**
 * Replaces the task id `from` by `to` in params or a result, wherever a message names its task: `taskId`, `task.taskId`
 * and the related-task key of `_meta`. Without `to`, that key is removed, because the receiver does not have the task.
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

/** The same for a text that is not parsed yet. */
export function renameTaskIn(text: string, from: string, to: string | undefined): string {
  // Most texts contain no task; ids may contain escapes.
  if (!text.includes('task')) return text
  return renameTask({ text, value: JSON.parse(text) as JsonObject }, from, to)
}
