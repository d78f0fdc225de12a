import { describeError } from '../core/errors.ts'
import type { Exchange, Json, JsonObject } from '../core/exchange.ts'
import type { Logger } from '../core/logger.ts'
import { withMembers } from '../protocol/json-text.ts'
import { isFinal } from '../protocol/related-task.ts'
import type { Link } from '../upstream/link.ts'
import type { Pool } from '../upstream/pool.ts'
import type { Slot } from '../upstream/slot.ts'
import { labelledRequests } from './ask.ts'
import { withoutSubscriptionId } from './subscriptions.ts'
import type { Subscriber } from './updates.ts'
import type { UpstreamListen } from './upstream-listen.ts'

/** A task of a modern server that a client wants to hear of. */
export interface ListenedTask {
  readonly server: string
  /** The server's own id. */
  readonly own: string
  /** The id by which the client knows it. */
  readonly exposed: string
}

interface Listened {
  readonly key: string
  readonly slot: Slot
  readonly own: string
  /** Who listens, with the id that each of them knows. */
  readonly subscribers: Map<Subscriber, string>
}

export interface TaskListenersOptions {
  readonly pool: (server: string) => Pool
  readonly listenOf: (link: Link) => UpstreamListen | undefined
  readonly logger: Logger
}

/**
 * Who hears of which task of a modern server (extension `io.modelcontextprotocol/tasks`, `notifications/tasks`): the link's one listen stream names every task
 * that somebody listens to, and what comes goes to those who named it and to nobody else. A task that has ended is listened to no longer.
 */
export class TaskListeners {
  readonly #options: TaskListenersOptions
  readonly #listened = new Map<string, Listened>()

  constructor(options: TaskListenersOptions) {
    this.#options = options
  }

  get size(): number {
    return this.#listened.size
  }

  /** Resolves with the ids of those tasks that their servers tell of. Never rejects. */
  async subscribe(
    exchange: Exchange,
    tasks: readonly ListenedTask[],
    subscriber: Subscriber,
  ): Promise<string[]> {
    const servers = new Set(tasks.map(({ server }) => server))
    const heard = await Promise.all(
      [...servers].map(async server => {
        const own = tasks.filter(task => task.server === server)
        try {
          return await this.#subscribe(exchange, this.#options.pool(server), own, subscriber)
        } catch (error) {
          this.#options.logger.debug('Tasks cannot be listened to.', { server, cause: describeError(error) })
          return []
        }
      }),
    )
    // The client may have left in the meantime.
    if (exchange.cancellation.reason !== undefined) this.leave(subscriber)
    return heard.flat()
  }

  /** A subscriber is gone. */
  leave(subscriber: Subscriber): void {
    for (const listened of this.#listened.values()) this.#remove(listened, subscriber)
  }

  /** A link has been opened in place of one that had listeners. */
  opened(slot: Slot, link: Link): void {
    const ids = this.#idsOf(slot)
    if (ids.length > 0) void this.#options.listenOf(link)?.listenToTasks(ids)
  }

  /** A server says how a task is now. */
  updated(link: Link, params: Json): void {
    const { taskId, status } = (params.value ?? {}) as { taskId?: unknown; status?: unknown }
    if (typeof taskId !== 'string') return
    const text = withoutSubscriptionId(params)
    let inputRequests: string | undefined
    try {
      inputRequests = labelledRequests(link.server, { text, value: params.value as JsonObject })
    } catch (error) {
      // The client hears of it when it looks at the task.
      this.#options.logger.warn('What a task asks is not told.', {
        server: link.server.name,
        cause: describeError(error),
      })
      return
    }
    const plain = inputRequests === undefined ? text : withMembers(text, { inputRequests })
    for (const listened of this.#listened.values()) {
      if (listened.own !== taskId || !listened.slot.holds(link)) continue
      for (const [subscriber, exposed] of listened.subscribers)
        subscriber.notify('notifications/tasks', withMembers(plain, { taskId: JSON.stringify(exposed) }))
      if (isFinal(status)) this.#drop(listened)
    }
  }

  async #subscribe(
    exchange: Exchange,
    pool: Pool,
    tasks: readonly ListenedTask[],
    subscriber: Subscriber,
  ): Promise<string[]> {
    const slot = pool.standing(exchange)
    // Held until it is known whether there is something to listen to.
    slot.pin()
    try {
      const link = await slot.pick()
      const listen = this.#options.listenOf(link)
      if (!listen) return []
      for (const { server, own, exposed } of tasks) {
        const key = `${server}\n${slot.key.id}\n${own}`
        let listened = this.#listened.get(key)
        if (!listened) {
          listened = { key, slot, own, subscribers: new Map() }
          this.#listened.set(key, listened)
          slot.pin()
        }
        listened.subscribers.set(subscriber, exposed)
      }
      await listen.listenToTasks(this.#idsOf(slot))
      const heard: string[] = []
      for (const { server, own, exposed } of tasks) {
        const listened = this.#listened.get(`${server}\n${slot.key.id}\n${own}`)
        if (listen.honours(own)) heard.push(exposed)
        // Nothing changes for the server, which has not agreed to it in the first place.
        else if (listened?.subscribers.delete(subscriber) && listened.subscribers.size === 0)
          this.#drop(listened)
      }
      return heard
    } finally {
      slot.unpin()
    }
  }

  #remove(listened: Listened, subscriber: Subscriber): void {
    if (!listened.subscribers.delete(subscriber) || listened.subscribers.size > 0) return
    this.#drop(listened)
    const link = listened.slot.current
    if (link) void this.#options.listenOf(link)?.listenToTasks(this.#idsOf(listened.slot))
  }

  #drop(listened: Listened): void {
    if (this.#listened.delete(listened.key)) listened.slot.unpin()
  }

  #idsOf(slot: Slot): string[] {
    return [...this.#listened.values()].filter(listened => listened.slot === slot).map(({ own }) => own)
  }
}
