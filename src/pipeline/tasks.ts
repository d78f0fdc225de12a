import { Cancellation } from '../core/cancellation.ts'
import type { Handler, Middleware } from '../core/compose.ts'
import { GatewayError } from '../core/errors.ts'
import type { Exchange, JsonObject, Outcome } from '../core/exchange.ts'
import type { Route } from '../core/route.ts'
import { withMembers } from '../protocol/json-text.ts'
import { WithRequest } from '../relay/delegate.ts'
import type { TaskIds } from '../relay/task-ids.ts'
import { withChanges } from './park.ts'

/**
 * Tasks. Those of the modern extension are the client's to follow, under ids of the gateway. A tool of a legacy server that can only be called as a task
 * is followed by the gateway, so that any client can call it as if it were not.
 */
export function tasks(ids: TaskIds): Middleware {
  return next => async (exchange, route) => {
    const { method } = exchange.request
    if (method === 'tools/call' && route.needsTask) return await follow(next, exchange, route)
    const outcome = await next(exchange, route)
    if (outcome.kind !== 'result' || !outcome.modern) return outcome
    const { taskId, resultType } = (outcome.value ?? {}) as JsonObject
    if (typeof taskId !== 'string') return outcome
    // A task keeps the id under which its client knows it.
    if (method.startsWith('tasks/')) return withTaskId(outcome, route.exposed)
    return resultType === 'task'
      ? withTaskId(outcome, await ids.wrap(exchange, route.server, taskId))
      : outcome
  }
}

function withTaskId(outcome: Extract<Outcome, { kind: 'result' }>, taskId: string): Outcome {
  return { ...outcome, text: withMembers(outcome.text, { taskId: JSON.stringify(taskId) }) }
}

/** Creates the task and waits for its result, which the server gives when there is one (revision 2025-11-25, tasks). */
async function follow(next: Handler, exchange: Exchange, route: Route): Promise<Outcome> {
  const created = await next(withChanges(exchange, { task: '{}' }), route)
  if (created.kind !== 'result') return created
  const task = (created.value as { task?: { taskId?: unknown } } | null)?.task
  // A server that answers at once has done what was asked.
  if (task === undefined) return created
  if (typeof task.taskId !== 'string')
    throw new GatewayError('upstream_protocol', `Server "${route.server}" made a task without an id.`, {
      server: route.server,
      delivery: 'answered',
    })
  const { taskId } = task
  exchange.cancellation.onCancel(() => {
    next(new OfItsOwn(exchange, 'tasks/cancel', { taskId }), { ...route, own: taskId }).catch(() => undefined)
  })
  return await next(new WithRequest(exchange, 'tasks/result', { taskId }), { ...route, own: taskId })
}

/** A request that goes on although the one it follows from was cancelled. */
class OfItsOwn extends WithRequest {
  readonly #cancellation = new Cancellation()

  override get cancellation(): Cancellation {
    return this.#cancellation
  }
}
