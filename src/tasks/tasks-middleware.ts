import { MISSING_CAPABILITY } from '../core/rpc-codes.ts'
import { repeating, type CallHandler, type CallMiddleware } from '../core/compose.ts'
import type { Exchange, JsonObject, Outcome, ServerResult } from '../core/exchange.ts'
import { isJsonObject } from '../core/json-object.ts'
import type { Route } from '../core/route.ts'
import { TASKS } from '../protocol/capabilities.ts'
import { withMembers } from '../protocol/json-text.ts'
import { relatedTaskOf, renameTask } from '../protocol/related-task.ts'
import { LATEST_LEGACY } from '../protocol/revisions.ts'
import { labelledRequests } from '../bridge/client-request.ts'
import { WithParams } from '../core/derived-exchange.ts'
import type { LegacyTasks } from './legacy-tasks.ts'
import type { TaskIds } from './task-ids.ts'
import type { AskingServer } from '../bridge/ask-client.ts'
import { pollModernTask, WithTasksExtension } from './poll-modern-task.ts'
import { withChangedParams } from '../bridge/suspend.ts'

export interface TasksOptions {
  /** Ids of tasks of the modern extension. */
  readonly taskIds: TaskIds
  readonly legacyTasks: LegacyTasks
  /** Whether a server runs tools as tasks of revision 2025-11-25. */
  readonly runsTasks: (server: string) => boolean
  /** The configuration of a server. */
  readonly serverOf: (server: string) => AskingServer
}

/**
 * Handles the differences of tasks between eras. A modern client follows tasks of the modern extension itself, under
 * ids of the gateway; for a legacy client the gateway follows them. The request for a task of revision 2025-11-25 is
 * sent only to servers of that revision that support it; `dispatch` does the rest, on the link that the task is bound
 * to.
 */
export function tasks({ taskIds, legacyTasks, runsTasks, serverOf }: TasksOptions): CallMiddleware {
  return repeating(next => async (asked, route) => {
    const exchange = withOwnTask(legacyTasks, asked, route)
    const { method, params } = exchange.request
    if (method === 'tools/call') {
      const ignored = params?.value.task !== undefined && !(mayWish(exchange) && runsTasks(route.server))
      const call = ignored ? withChangedParams(exchange, { task: undefined }) : exchange
      const outcome = await next(call, route)
      if (isTask(outcome))
        return exchange.modern
          ? await wrapped(taskIds, exchange, route, outcome)
          : await pollModernTask(next, new WithTasksExtension(call), route, outcome, serverOf(route.server))
      return !exchange.modern && needsTasks(outcome)
        ? await asTask(next, call, route, serverOf(route.server))
        : outcome
    }
    const outcome = await next(exchange, route)
    // A task keeps its id for the client.
    return method.startsWith('tasks/') && outcome.kind === 'result' && outcome.modern
      ? withLabels(withTaskId(outcome, route.exposed), serverOf(route.server))
      : outcome
  })
}

/** Replaces the id of the task in a request by the server's own. A mark without meaning to the server is removed. */
function withOwnTask(legacyTasks: LegacyTasks, exchange: Exchange, route: Route): Exchange {
  const { params } = exchange.request
  const exposed = relatedTaskOf(params?.value)
  if (!params || exposed === undefined) return exchange
  const task = legacyTasks.find(exchange, exposed)
  const own = task?.link.server.name === route.server ? task.own : undefined
  const text = renameTask({ text: params.text, value: { _meta: params.value._meta } }, exposed, own)
  return withChangedParams(new WithParams(exchange, { text, value: params.value }), {})
}

/** Repeats the call with the tasks extension declared: the server has refused it without executing it. */
async function asTask(
  next: CallHandler,
  exchange: Exchange,
  route: Route,
  server: AskingServer,
): Promise<Outcome> {
  const knowing = new WithTasksExtension(exchange)
  const outcome = await next(knowing, route)
  return isTask(outcome) ? await pollModernTask(next, knowing, route, outcome, server) : outcome
}

/** In every other revision `task` has no meaning. */
function mayWish({ modern, protocolVersion }: Exchange): boolean {
  return !modern && protocolVersion === LATEST_LEGACY
}

async function wrapped(
  ids: TaskIds,
  exchange: Exchange,
  route: Route,
  outcome: ServerResult,
): Promise<Outcome> {
  const { taskId } = outcome.value as JsonObject
  return typeof taskId === 'string' ? withTaskId(outcome, await ids.wrap(exchange, route, taskId)) : outcome
}

function isTask(outcome: Outcome): outcome is ServerResult {
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

/** Adds the name of the server to the questions of a task. */
function withLabels(outcome: ServerResult, server: AskingServer): Outcome {
  if (!isJsonObject(outcome.value)) return outcome
  const inputRequests = labelledRequests(server, { text: outcome.text, value: outcome.value })
  return inputRequests === undefined
    ? outcome
    : { ...outcome, text: withMembers(outcome.text, { inputRequests }) }
}

function withTaskId(outcome: ServerResult, taskId: string): ServerResult {
  if (typeof (outcome.value as JsonObject | null)?.taskId !== 'string') return outcome
  return { ...outcome, text: withMembers(outcome.text, { taskId: JSON.stringify(taskId) }) }
}
