import type { ReplicaId } from '../core/call-state.ts'
import { describeError } from '../core/errors.ts'
import type { Exchange, Json, JsonObject } from '../core/exchange.ts'
import type { Logger } from '../core/logger.ts'
import { withTasks } from '../protocol/capabilities.ts'
import { withMembers } from '../protocol/json-text.ts'
import { isFinal } from '../protocol/related-task.ts'
import type { Link } from '../upstream/link/link.ts'
import type { Pool } from '../upstream/pool/pool.ts'
import type { LinkSlot } from '../upstream/pool/link-slot.ts'
import type { Caller } from '../upstream/replica/isolation.ts'
import { labelledRequests } from '../bridge/client-request.ts'
import { withoutSubscriptionId } from './resource-updates.ts'
import { TopicTable, type Topic } from './topics.ts'
import type { Subscriber } from '../core/subscriber.ts'
import type { UpstreamListen } from '../upstream/link/listen-stream.ts'

/** A task of a modern server that a client subscribes to. */
export interface ListenedTask {
  readonly server: string
  /** The tool whose call made it, by its name at the server. */
  readonly tool: string
  /** The replica that runs it. */
  readonly replica: ReplicaId
  /** The server's own id. */
  readonly own: string
  /** The id for the client. */
  readonly exposed: string
}

export interface TaskListenersOptions {
  readonly pool: (server: string) => Pool
  readonly listenOf: (link: Link) => UpstreamListen | undefined
  readonly logger: Logger
  /** Whether clients of a view may use a tool of a server, by the configuration in effect. */
  readonly permits: (view: string, server: string, tool: string) => boolean
}

/** A task with the client that subscribes to it. */
interface Wish extends ListenedTask {
  readonly caller: Caller
}

/**
 * Subscriptions to tasks of modern servers (extension `io.modelcontextprotocol/tasks`, `notifications/tasks`): the
 * single listen stream of a link names every subscribed task, and a notification goes to the subscribers of its task
 * only. A subscription ends with the task.
 */
export class TaskListeners {
  readonly #options: TaskListenersOptions
  /** With the task as each subscriber named it. */
  readonly #listened = new TopicTable<Wish>()
  /** The slot of each link. */
  readonly #slots = new WeakMap<Link, LinkSlot>()

  constructor(options: TaskListenersOptions) {
    this.#options = options
  }

  get size(): number {
    return this.#listened.size
  }

  /** Resolves with the ids of those tasks that their servers report. Never rejects. */
  async subscribe(
    exchange: Exchange,
    tasks: readonly ListenedTask[],
    subscriber: Subscriber,
  ): Promise<string[]> {
    const heard = await Promise.all(
      byReplica(tasks).map(async ({ server, replica, own }) => {
        try {
          return await this.#subscribe(exchange, this.#options.pool(server), replica, own, subscriber)
        } catch (error) {
          this.#options.logger.debug('Tasks could not be subscribed to.', {
            server,
            cause: describeError(error),
          })
          return []
        }
      }),
    )
    // The client may have disconnected in the meantime.
    if (exchange.cancellation.reason !== undefined) this.leave(subscriber)
    return heard.flat()
  }

  /** Removes a subscriber. */
  leave(subscriber: Subscriber): void {
    for (const listened of this.#listened.by(subscriber)) this.#remove(listened, subscriber)
  }

  /**
   * Ends the subscriptions of a subscriber to tasks of tools that it may not use any more. A task without another
   * subscriber is cancelled at its server.
   */
  retain(subscriber: Subscriber, permits: (server: string, tool: string) => boolean): void {
    for (const listened of this.#listened.by(subscriber)) {
      const task = listened.subscribers.get(subscriber)
      if (!task || permits(task.server, task.tool)) continue
      const { slot, own, subscribers } = listened
      const { state } = slot
      const link = state.kind === 'starting' ? state.opening : slot.current
      this.#remove(listened, subscriber)
      if (link && subscribers.size === 0) void cancel(link, own)
    }
  }

  /**
   * Moves subscriptions to the present links of their replicas, after some were replaced. Those to tasks of a replica
   * that is not there any more end.
   */
  regroup(server: string): void {
    const pool = this.#options.pool(server)
    const entered = new Set<LinkSlot>()
    for (const listened of this.#listened.of(server)) {
      if (pool.replicas.has(listened.slot.replica)) continue
      for (const [subscriber, wish] of listened.subscribers) {
        const replica = pool.replicas.at(wish.replica)
        if (replica) {
          const slot = pool.standing(wish.caller, replica)
          if (this.#listened.add(slot, wish.own, subscriber, wish)) entered.add(slot)
        }
        this.#remove(listened, subscriber)
      }
    }
    for (const slot of entered) {
      const link = slot.current
      if (link) void this.#options.listenOf(link)?.listenToTasks(() => this.#listened.namesOf(slot))
      // A link that is opened gets all its subscriptions.
      else void Promise.resolve(slot.pick()).catch(() => undefined)
    }
  }

  /** Restores the subscriptions of a replaced link, because a link has been opened. */
  opened(slot: LinkSlot, link: Link): void {
    this.#slots.set(link, slot)
    const ids = (): string[] => this.#listened.namesOf(slot)
    if (ids().length > 0) void this.#options.listenOf(link)?.listenToTasks(ids)
  }

  /** Handles the state of a task from a server. */
  updated(link: Link, params: Json): void {
    const { taskId, status } = (params.value ?? {}) as { taskId?: unknown; status?: unknown }
    const slot = this.#slots.get(link)
    const listened = typeof taskId === 'string' && slot?.holds(link) && this.#listened.get(slot, taskId)
    if (!listened) return
    const text = withoutSubscriptionId(params)
    let inputRequests: string | undefined
    try {
      inputRequests = labelledRequests(link.server, { text, value: params.value as JsonObject })
    } catch (error) {
      // The client gets the question when it polls the task.
      this.#options.logger.warn('A question of a task is not relayed.', {
        server: link.server.name,
        cause: describeError(error),
      })
      return
    }
    const plain = inputRequests === undefined ? text : withMembers(text, { inputRequests })
    for (const [subscriber, { tool, exposed }] of listened.subscribers)
      if (this.#options.permits(subscriber.view, link.server.name, tool))
        subscriber.notify('notifications/tasks', withMembers(plain, { taskId: JSON.stringify(exposed) }))
    if (isFinal(status)) this.#listened.drop(listened)
  }

  #remove(listened: Topic<Wish>, subscriber: Subscriber): void {
    const { slot } = listened
    const link = this.#listened.remove(listened, subscriber) && slot.current
    if (link) void this.#options.listenOf(link)?.listenToTasks(() => this.#listened.namesOf(slot))
  }

  async #subscribe(
    exchange: Exchange,
    pool: Pool,
    home: ReplicaId,
    asked: readonly ListenedTask[],
    subscriber: Subscriber,
  ): Promise<string[]> {
    const replica = pool.replicas.at(home)
    if (!replica) return []
    const { conversation, principal, features, protocolVersion } = exchange
    // Not the exchange, which would be kept in memory as long as the subscription.
    const caller = { conversation, principal, features, protocolVersion }
    const slot = pool.standing(caller, replica)
    // Pinned until it is known whether there is something to listen to.
    slot.pin()
    try {
      const link = await slot.pick()
      if (!pool.replicas.has(replica)) return await this.#subscribe(exchange, pool, home, asked, subscriber)
      const listen = this.#options.listenOf(link)
      // A reload may have taken the tool from the client since the request came.
      const tasks = asked.filter(({ server, tool }) => this.#options.permits(subscriber.view, server, tool))
      if (!listen || tasks.length === 0) return []
      for (const task of tasks) this.#listened.add(slot, task.own, subscriber, { ...task, caller })
      await listen.listenToTasks(() => this.#listened.namesOf(slot))
      // A reload may have replaced it meanwhile, as above: its successor decides what it reports.
      if (!pool.replicas.has(replica)) return await this.#subscribe(exchange, pool, home, asked, subscriber)
      const heard: string[] = []
      for (const { own, exposed } of tasks) {
        if (listen.honours(own)) {
          heard.push(exposed)
          continue
        }
        // The server's subscriptions do not change, because it has not agreed to this one.
        const listened = this.#listened.get(slot, own)
        if (listened) this.#listened.remove(listened, subscriber)
      }
      return heard
    } finally {
      slot.unpin()
    }
  }
}

/** Cancels a task that no client has any more. */
async function cancel(link: Link | Promise<Link>, own: string): Promise<void> {
  try {
    const open = await link
    const params = JSON.stringify({ taskId: own })
    await open.request('tasks/cancel', params, open.server.listTimeoutMs, withTasks(''), own)
  } catch {
    // The server has no such task any more, or cannot be reached.
  }
}

interface TasksOfReplica extends Pick<ListenedTask, 'server' | 'replica'> {
  readonly own: ListenedTask[]
}

/** The tasks by the replica that runs them, which alone tells of them. */
function byReplica(tasks: readonly ListenedTask[]): TasksOfReplica[] {
  const groups = new Map<string, TasksOfReplica>()
  for (const task of tasks) {
    const { server, replica } = task
    const key = JSON.stringify([server, replica.name, replica.location])
    const group = groups.get(key)
    if (group) group.own.push(task)
    else groups.set(key, { server, replica, own: [task] })
  }
  return [...groups.values()]
}
