import type { Handler, Middleware } from '../core/compose.ts'
import type { Exchange, JsonObject, Outcome } from '../core/exchange.ts'
import type { Route } from '../core/route.ts'
import { knowsTasks, TASKS } from '../protocol/features.ts'
import { withMembers } from '../protocol/json-text.ts'
import { LATEST_LEGACY } from '../protocol/revisions.ts'
import type { TaskIds } from '../relay/task-ids.ts'
import { drive, KnowingTasks } from './drive.ts'
import { withChanges } from './park.ts'

/** Revision 2026-07-28: the client lacks a capability the call needs. */
const MISSING_CAPABILITY = -32021

export interface TasksOptions {
  readonly ids: TaskIds
  /** Whether a server runs tools as tasks of revision 2025-11-25. */
  readonly runsTasks: (server: string) => boolean
}

/**
 * Tasks, as far as they differ between eras. Those of the modern extension are the modern client's to follow, under ids of the gateway; for a legacy client
 * the gateway follows them itself. The wish for a task of revision 2025-11-25 reaches only servers of that revision that take it; `dispatch` does the rest, on
 * the link that the task is bound to.
 */
export function tasks({ ids, runsTasks }: TasksOptions): Middleware {
  return next => async (exchange, route) => {
    const { method, params } = exchange.request
    if (method === 'tools/call') {
      const ignored = params?.value.task !== undefined && !(mayWish(exchange) && runsTasks(route.server))
      const call = ignored ? withChanges(exchange, { task: undefined }) : exchange
      return exchange.modern ? await wrapped(ids, next, call, route) : await driven(next, call, route)
    }
    const outcome = await next(exchange, route)
    // A task keeps the id under which its client knows it.
    return method.startsWith('tasks/') && outcome.kind === 'result' && outcome.modern
      ? withTaskId(outcome, route.exposed)
      : outcome
  }
}

/** In every other revision `task` means nothing. */
function mayWish({ modern, protocolVersion }: Exchange): boolean {
  return !modern && protocolVersion === LATEST_LEGACY
}

async function wrapped(ids: TaskIds, next: Handler, exchange: Exchange, route: Route): Promise<Outcome> {
  const outcome = await next(exchange, route)
  if (!isTask(outcome)) return outcome
  const { taskId } = outcome.value as JsonObject
  return typeof taskId === 'string'
    ? withTaskId(outcome, await ids.wrap(exchange, route.server, taskId))
    : outcome
}

async function driven(next: Handler, exchange: Exchange, route: Route): Promise<Outcome> {
  const outcome = await next(exchange, route)
  if (isTask(outcome)) return await drive(next, new KnowingTasks(exchange), route, outcome)
  if (!needsTasks(outcome) || knowsTasks(exchange.features)) return outcome
  // The server has refused the call unread, so it can be made again.
  const knowing = new KnowingTasks(exchange)
  const second = await next(knowing, route)
  return isTask(second) ? await drive(next, knowing, route, second) : second
}

function isTask(outcome: Outcome): outcome is Extract<Outcome, { kind: 'result' }> {
  return (
    outcome.kind === 'result' && outcome.modern && (outcome.value as JsonObject | null)?.resultType === 'task'
  )
}

function needsTasks(outcome: Outcome): boolean {
  if (outcome.kind !== 'error') return false
  const { code, data } = outcome.value as {
    code?: unknown
    data?: { requiredCapabilities?: { extensions?: JsonObject | null } | null } | null
  }
  return code === MISSING_CAPABILITY && data?.requiredCapabilities?.extensions?.[TASKS] !== undefined
}

function withTaskId(outcome: Extract<Outcome, { kind: 'result' }>, taskId: string): Outcome {
  if (typeof (outcome.value as JsonObject | null)?.taskId !== 'string') return outcome
  return { ...outcome, text: withMembers(outcome.text, { taskId: JSON.stringify(taskId) }) }
}
