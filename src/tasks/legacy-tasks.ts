import type { Deadlines } from '../core/deadlines.ts'
import { GatewayError } from '../core/errors.ts'
import type { Conversation, Exchange, Json, JsonObject, Outcome } from '../core/exchange.ts'
import { isJsonObject } from '../core/json-object.ts'
import type { Route } from '../core/route.ts'
import { rawAt } from '../protocol/json-text.ts'
import { renameTask } from '../protocol/related-task.ts'
import type { Link } from '../upstream/link/link.ts'
import type { LinkCall } from '../upstream/link/link-contract.ts'
import type { LinkSlot } from '../upstream/pool/link-slot.ts'
import { LegacyTask } from './legacy-task.ts'
import type { TaskIds } from './task-ids.ts'

/** Tasks that are known at once, of all clients and of one. Those that have ended make room for new ones. */
export const MAX_TASKS = 5000
export const MAX_TASKS_OF_ONE = 500
/** Tasks on one page of `tasks/list`; each that still runs is asked for. */
const PAGE = 50

/**
 * Tasks of legacy servers that legacy clients made (revision 2025-11-25). What a client may reach and list is what was handed out to it: on a shared link a
 * server's own list holds the tasks of others, so servers are never asked for it.
 */
export class LegacyTasks {
  readonly #ids: TaskIds
  readonly #deadlines: Deadlines
  /** By the id that clients know, in the order in which they were made. */
  readonly #tasks = new Map<string, LegacyTask>()
  /** Tasks that are being made, or are not handed out yet, by owner. */
  readonly #making = new Map<string, number>()
  #next = 1

  constructor(ids: TaskIds, deadlines: Deadlines) {
    this.#ids = ids
    this.#deadlines = deadlines
  }

  get size(): number {
    return this.#tasks.size
  }

  /**
   * Makes a call that asks for a task. Resolves with the task under an id for its client, or with what else the server answers.
   * @throws GatewayError `overloaded` when too many tasks are running
   */
  async create(link: Link, slot: LinkSlot | undefined, exchange: Exchange, call: LinkCall): Promise<Outcome> {
    const owner = ownerOf(exchange)
    this.#makeRoom(owner, link)
    this.#making.set(owner, (this.#making.get(owner) ?? 0) + 1)
    try {
      return await this.#create(link, slot, exchange, call, owner)
    } finally {
      const left = (this.#making.get(owner) ?? 1) - 1
      if (left > 0) this.#making.set(owner, left)
      else this.#making.delete(owner)
    }
  }

  async #create(
    link: Link,
    slot: LinkSlot | undefined,
    exchange: Exchange,
    call: LinkCall,
    owner: string,
  ): Promise<Outcome> {
    const { conversation } = exchange
    let made: LegacyTask | undefined
    const outcome = await link.call(exchange, {
      ...call,
      // At once, because what the server says next may already be about the task.
      onAnswer: (answer, request) => {
        const task = taskIn(answer)
        if (!task || !conversation) return
        made = new LegacyTask({
          number: this.#next++,
          owner,
          link,
          slot,
          exchange,
          conversation,
          request,
          task,
          deadlines: this.#deadlines,
          onForget: ({ exposed }) => this.#tasks.delete(exposed),
        })
      },
    })
    if (!made || outcome.kind !== 'result') return outcome
    const task = made
    try {
      const exposed = await this.#ids.wrapLegacy(exchange, link.server.name, task.own)
      if (!task.forgotten) this.#tasks.set(exposed, task)
      // The client has to learn the id before it hears of the task.
      task.exposed = exposed
      setImmediate(() => task.handOut(exposed))
      return { ...outcome, text: renameTask(outcome, task.own, exposed) }
    } catch (error) {
      // Nobody will ever know of it.
      link
        .request('tasks/cancel', JSON.stringify({ taskId: task.own }), link.server.listTimeoutMs)
        .catch(() => undefined)
      task.forget()
      throw error
    }
  }

  /** The task of this id, `undefined` unless it was handed out to this client and is still known. */
  find(exchange: Exchange, exposed: string): LegacyTask | undefined {
    const task = this.#tasks.get(exposed)
    return task && task.owner === ownerOf(exchange) ? task : undefined
  }

  /** The task a routed request is about, whose client has been checked. Servers name tasks as they like, so theirs must be this very one. */
  at({ server, own, exposed }: Route): LegacyTask | undefined {
    const task = this.#tasks.get(exposed)
    return task && task.own === own && task.link.server.name === server ? task : undefined
  }

  /**
   * Result of `tasks/list`: the client's own tasks at these servers, in the order in which they were made.
   * @throws GatewayError `invalid_params` for a cursor that was not given out here
   */
  async list(exchange: Exchange, servers: ReadonlySet<string>, cursor: unknown): Promise<Outcome> {
    const after = cursor === undefined ? 0 : numberOf(cursor)
    const owner = ownerOf(exchange)
    const own = [...this.#tasks.values()].filter(
      task => task.number > after && task.owner === owner && servers.has(task.link.server.name),
    )
    const page = own.slice(0, PAGE)
    const texts = (await Promise.all(page.map(task => task.current()))).filter(text => text !== undefined)
    const last = page.at(-1)
    const next = own.length > PAGE && last ? `,"nextCursor":${JSON.stringify(cursorOf(last.number))}` : ''
    return { kind: 'own', text: `{"tasks":[${texts.join(',')}]${next}}` }
  }

  /** A link is gone, and with it the tasks in its session. */
  lost(link: Link): void {
    for (const task of this.#tasks.values()) if (task.link === link && !task.alive) task.forget()
  }

  /** A session has ended, and with it the links that served only it. Tasks on other links go on until their time is over. */
  leave(conversation: Conversation): void {
    for (const task of this.#tasks.values()) if (task.link.owner === conversation) task.forget()
  }

  /** Whether a task of this session has a result that has not been fetched. */
  worksFor(conversation: Conversation): boolean {
    for (const task of this.#tasks.values())
      if (task.conversation === conversation && task.awaited) return true
    return false
  }

  #makeRoom(owner: string, { server }: Link): void {
    let known = 0
    let endedOfAll: LegacyTask | undefined
    let ended: LegacyTask | undefined
    for (const task of this.#tasks.values()) {
      if (task.ended) endedOfAll ??= task
      if (task.owner !== owner) continue
      known++
      if (task.ended) ended ??= task
    }
    const full = this.#tasks.size >= MAX_TASKS
    if (!full && known + (this.#making.get(owner) ?? 0) < MAX_TASKS_OF_ONE) return
    const leaving = full ? endedOfAll : ended
    if (!leaving)
      throw new GatewayError(
        'overloaded',
        full
          ? `The gateway keeps ${MAX_TASKS} tasks, which is the most there may be. Try again when one has ended.`
          : `This client has ${MAX_TASKS_OF_ONE} tasks, which is the most it may have. Cancel one, or try again when one has ended.`,
        { server: server.name },
      )
    leaving.forget()
  }
}

/** Whose a task is: the principal's; without one, the session's, since everybody is nobody. */
function ownerOf({ principal, conversation }: Exchange): string {
  return principal.kind === 'anonymous' ? `session ${conversation?.id ?? ''}` : principal.id
}

function taskIn(outcome: Outcome): Json<JsonObject> | undefined {
  if (outcome.kind !== 'result') return undefined
  const task = (outcome.value as { task?: unknown } | null)?.task
  if (!isJsonObject(task) || typeof task.taskId !== 'string') return undefined
  return { text: rawAt(outcome.text, 'task') ?? '{}', value: task }
}

function cursorOf(number: number): string {
  return Buffer.from(`task ${number}`).toString('base64url')
}

function numberOf(cursor: unknown): number {
  const text = typeof cursor === 'string' ? Buffer.from(cursor, 'base64url').toString() : ''
  const number = Number(/^task (\d{1,15})$/.exec(text)?.[1] ?? Number.NaN)
  if (Number.isNaN(number) || cursorOf(number) !== cursor)
    throw new GatewayError('invalid_params', 'The cursor is not of this list. Start again without a cursor.')
  return number
}
