import type { View } from '../catalog/view.ts'
import type { ReplicaId } from '../core/call-state.ts'
import { GatewayError } from '../core/errors.ts'
import type { Exchange, Outcome } from '../core/exchange.ts'
import type { Route } from '../core/route.ts'
import type { Subscriber } from '../core/subscriber.ts'
import { knowsTasks, TASKS } from '../protocol/capabilities.ts'
import { LATEST_LEGACY } from '../protocol/revisions.ts'
import type { ListenedTask, TaskListeners } from '../relay/task-listeners.ts'
import type { LegacyTasks } from '../tasks/legacy-tasks.ts'
import type { TaskIds, TaskLocation } from '../tasks/task-ids.ts'
import { unknownMethod } from './unknown-method.ts'

export interface TaskRoutesOptions {
  /** What the client of a request sees. */
  readonly viewOf: (exchange: Exchange) => View
  /** Ids of tasks of the modern extension. */
  readonly taskIds: TaskIds
  readonly taskListeners: TaskListeners
  readonly legacyTasks: LegacyTasks
  /** Whether a replica of a server is still at its location. */
  readonly hasReplica: (server: string, replica: ReplicaId) => Promise<boolean>
}

/** Leads requests about tasks of both eras to the server of the task. */
export class TaskRoutes {
  readonly #options: TaskRoutesOptions

  constructor(options: TaskRoutesOptions) {
    this.#options = options
  }

  /** Subscribes to the modern tasks of this client whose servers report on them; resolves with their ids. */
  async listen(exchange: Exchange, ids: readonly string[], subscriber: Subscriber): Promise<string[]> {
    const known = await Promise.all(
      ids.map(async (exposed): Promise<ListenedTask | undefined> => {
        const task = await this.#located(exchange, exposed)
        return task && { server: task.server, tool: task.tool, replica: task.replica, own: task.id, exposed }
      }),
    )
    const tasks = known.filter(task => task !== undefined)
    return await this.#options.taskListeners.subscribe(exchange, tasks, subscriber)
  }

  /** @throws GatewayError `missing_capability`, `invalid_params`, `unknown_method` */
  async routeTo(exchange: Exchange, taskId: unknown): Promise<Route> {
    if (!exchange.modern) return this.legacyRouteTo(exchange, taskId)
    if (!knowsTasks(exchange.features))
      throw new GatewayError('missing_capability', 'The client has not declared the tasks extension.', {
        data: { requiredCapabilities: { extensions: { [TASKS]: {} } } },
      })
    if (typeof taskId !== 'string') throw new GatewayError('invalid_params', '"taskId" must be a string.')
    const task = await this.#located(exchange, taskId)
    if (!task) throw new GatewayError('invalid_params', `Unknown task: ${taskId.slice(0, 100)}`)
    exchange.state.stick(task.replica)
    return { server: task.server, own: task.id, exposed: taskId }
  }

  /** @throws GatewayError `invalid_params`, `unknown_method` */
  legacyRouteTo(exchange: Exchange, taskId: unknown): Route {
    if (!hasLegacyTasks(exchange)) throw unknownMethod(exchange.request.method)
    if (typeof taskId !== 'string') throw new GatewayError('invalid_params', '"taskId" must be a string.')
    const { viewOf, legacyTasks } = this.#options
    const task = legacyTasks.find(exchange, taskId)
    if (!task || !viewOf(exchange).permits(task.link.server.name, task.tool))
      throw new GatewayError(
        'invalid_params',
        `Unknown task: ${taskId.slice(0, 100)}. Its time may be over, or the session of its server.`,
      )
    return { server: task.link.server.name, own: task.own, exposed: taskId }
  }

  /** Where a modern task of this client is. `undefined`: it is not there for this client, or not any more. */
  async #located(exchange: Exchange, exposed: string): Promise<TaskLocation | undefined> {
    const { viewOf, taskIds, hasReplica } = this.#options
    const task = await taskIds.open(exchange, exposed)
    if (!task || !viewOf(exchange).permits(task.server, task.tool)) return undefined
    return (await hasReplica(task.server, task.replica)) ? task : undefined
  }

  /** Result of `tasks/list`. @throws GatewayError `invalid_params`, `unknown_method` */
  async list(exchange: Exchange, cursor: unknown): Promise<Outcome> {
    if (!hasLegacyTasks(exchange)) throw unknownMethod(exchange.request.method)
    const { viewOf, legacyTasks } = this.#options
    const view = viewOf(exchange)
    return await legacyTasks.list(exchange, (server, tool) => view.permits(server, tool), cursor)
  }
}

/** Tasks of the core protocol exist in one revision only. */
function hasLegacyTasks({ modern, protocolVersion }: Exchange): boolean {
  return !modern && protocolVersion === LATEST_LEGACY
}
