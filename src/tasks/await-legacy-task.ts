import { GatewayError } from '../core/errors.ts'
import type { CallRequest, Exchange, InputRequest, Outcome, ServerResult } from '../core/exchange.ts'
import { renameTask, renameTaskIn } from '../protocol/related-task.ts'
import { WithRequest } from '../core/derived-exchange.ts'
import { stillWorking } from './task-alive.ts'
import type { Link } from '../upstream/link/link.ts'
import type { LinkCall } from '../upstream/link/link-contract.ts'
import { withChangedParams } from '../bridge/suspend.ts'

/**
 * Calls a tool of a legacy server as a task and waits for its result, which the server sends when the task has ended
 * (revision 2025-11-25, tasks). For the client it is an ordinary call: progress, questions and cancellation are those
 * of its own request, and the task is not visible.
 */
export async function awaitLegacyTask(link: Link, exchange: Exchange, call: LinkCall): Promise<Outcome> {
  let followed: Followed | undefined
  let release = (): void => undefined
  const created = await link.call(withChangedParams(exchange, { task: '{}' }), {
    ...call,
    onAnswer: (outcome, id) => {
      const taskId = createdTaskOf(outcome)
      if (taskId === undefined) return
      followed = new Followed(exchange, taskId)
      release = link.tasks.adopt(taskId, followed, id)
    },
  })
  if (!followed) {
    if (created.kind === 'result' && isTaskWithoutId(created))
      throw new GatewayError('upstream_protocol', `Server "${link.server.name}" made a task without an id.`, {
        server: link.server.name,
        delivery: 'answered',
      })
    // A server that answers at once has executed the call.
    return created
  }
  return await resultOf(link, followed, exchange).finally(release)
}

async function resultOf(link: Link, followed: Followed, exchange: Exchange): Promise<Outcome> {
  const { taskId } = followed
  exchange.cancellation.onCancel(() => {
    link.request('tasks/cancel', JSON.stringify({ taskId }), link.server.listTimeoutMs).catch(() => undefined)
  })
  let outcome: Outcome
  try {
    outcome = await link.call(followed, {
      method: 'tasks/result',
      change: { target: { key: 'taskId', value: taskId } },
      worthWaiting: stillWorking(link, taskId),
    })
  } catch (caught) {
    const error = GatewayError.from(caught, link.server.name)
    if (error.delivery !== 'not_sent') throw error
    // The task has been created, so the call as a whole must not be repeated.
    throw new GatewayError(error.code, error.message, {
      server: link.server.name,
      delivery: 'unknown',
      cause: error.cause,
    })
  }
  return outcome.kind === 'result' ? { ...outcome, text: renameTask(outcome, taskId, undefined) } : outcome
}

/** The id of the task in the answer to a `tools/call`, as the server gives it. */
function createdTaskOf(outcome: Outcome): string | undefined {
  if (outcome.kind !== 'result') return undefined
  const taskId = (outcome.value as { task?: { taskId?: unknown } | null } | null)?.task?.taskId
  return typeof taskId === 'string' ? taskId : undefined
}

function isTaskWithoutId({ value }: ServerResult): boolean {
  return (value as { task?: unknown } | null)?.task !== undefined
}

/**
 * The client's call while its task runs: the request for the result, and the exchange of every message about the task.
 */
class Followed extends WithRequest {
  readonly taskId: string

  constructor(inner: Exchange, taskId: string) {
    super(inner, 'tasks/result', JSON.stringify({ taskId }))
    this.taskId = taskId
  }

  override get request(): CallRequest {
    return { ...super.request, progressToken: this.inner.request.progressToken }
  }

  override notify(method: string, params: string | undefined): void {
    super.notify(method, params && renameTaskIn(params, this.taskId, undefined))
  }

  override ask(request: InputRequest): Promise<string> {
    const { params } = request
    return super.ask({
      ...request,
      params: params && renameTaskIn(params, this.taskId, undefined),
      sent: undefined,
    })
  }
}
