import { GatewayError } from '../core/errors.ts'
import type { CallRequest, Exchange, InputRequest, Outcome, ServerResult } from '../core/exchange.ts'
import { renameTask, renameTaskIn } from '../protocol/related-task.ts'
import { WithRequest } from '../core/derived-exchange.ts'
import { stillWorking } from './task-alive.ts'
import type { Link } from '../upstream/link/link.ts'
import type { LinkCall } from '../upstream/link/link-contract.ts'
import { withChanges } from '../bridge/suspend.ts'

/**
 * Calls a tool of a legacy server as a task and waits for its result, which the server gives when there is one (revision 2025-11-25, tasks). To the client
 * it is a call like any other: progress, questions and cancellation are those of its own request, and nothing says that there is a task.
 */
export async function awaitLegacyTask(link: Link, exchange: Exchange, call: LinkCall): Promise<Outcome> {
  let followed: Followed | undefined
  let release = (): void => undefined
  const created = await link.call(withChanges(exchange, { task: '{}' }), {
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
    // A server that answers at once has done what was asked.
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
    // The task has been made, so the call as a whole must not be taken for one that can be sent again.
    throw new GatewayError(error.code, error.message, {
      server: link.server.name,
      delivery: 'unknown',
      cause: error.cause,
    })
  }
  return outcome.kind === 'result' ? { ...outcome, text: renameTask(outcome, taskId, undefined) } : outcome
}

/** The id of the task that a `tools/call` was answered with, in the server's words. */
export function createdTaskOf(outcome: Outcome): string | undefined {
  if (outcome.kind !== 'result') return undefined
  const taskId = (outcome.value as { task?: { taskId?: unknown } | null } | null)?.task?.taskId
  return typeof taskId === 'string' ? taskId : undefined
}

function isTaskWithoutId({ value }: ServerResult): boolean {
  return (value as { task?: unknown } | null)?.task !== undefined
}

/** The client's call while its task runs: a request for the result, and the one whom everything about the task concerns. */
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
