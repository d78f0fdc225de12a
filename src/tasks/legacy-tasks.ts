import type { Deadlines } from '../core/deadlines.ts'
import { GatewayError } from '../core/errors.ts'
import { unseenTool } from '../core/unseen-server.ts'
import type { Conversation, Exchange, Json, JsonObject, Outcome } from '../core/exchange.ts'
import { isJsonObject } from '../core/json-object.ts'
import type { Route } from '../core/route.ts'
import { rawAt } from '../protocol/json-text.ts'
import { renameTask } from '../protocol/related-task.ts'
import type { Link } from '../upstream/link/link.ts'
import type { LinkCall } from '../upstream/link/link-contract.ts'
import type { LinkSlot } from '../upstream/pool/link-slot.ts'
import { LegacyTask, type PermitsTool } from './legacy-task.ts'
import type { TaskIds } from './task-ids.ts'

/** Maximum number of tasks, of all clients and of one. Ended tasks are dropped for new ones. */
const MAX_TASKS = 5000
export const MAX_TASKS_OF_ONE = 500
/** Tasks on one page of `tasks/list`. Each running one is requested from its server. */
const PAGE = 50

/** Whether a client may use a tool of a server. */
type MayUse = (server: string, tool: string) => boolean

/**
 * Tasks of legacy servers that legacy clients created (revision 2025-11-25). A client can reach and list only the tasks
 * it has received an id for: on a shared link the server's own list contains tasks of other clients, so it is never
 * requested.
 */
export class LegacyTasks {
  readonly #ids: TaskIds
  readonly #deadlines: Deadlines
  readonly #permits: PermitsTool
  /** By the id for clients, in the order of creation. */
  readonly #tasks = new Map<string, LegacyTask>()
  /** Tasks that are being created, or whose id has not been sent yet, by owner. */
  readonly #making = new Map<string, number>()
  #next = 1

  constructor(ids: TaskIds, deadlines: Deadlines, permits: PermitsTool) {
    this.#ids = ids
    this.#permits = permits
    this.#deadlines = deadlines
  }

  get size(): number {
    return this.#tasks.size
  }

  /**
   * Makes a call that requests a task. Resolves with the task under an id for its client, or with another answer of the
   * server.
   * @throws GatewayError `overloaded` when too many tasks are running
   */
  async create(
    link: Link,
    slot: LinkSlot | undefined,
    exchange: Exchange,
    tool: string,
    call: LinkCall,
  ): Promise<Outcome> {
    const owner = ownerOf(exchange)
    this.#makeRoom(owner, link)
    this.#making.set(owner, (this.#making.get(owner) ?? 0) + 1)
    try {
      return await this.#create(link, slot, exchange, tool, call, owner)
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
    tool: string,
    call: LinkCall,
    owner: string,
  ): Promise<Outcome> {
    const { conversation } = exchange
    let made: LegacyTask | undefined
    const outcome = await link.call(exchange, {
      ...call,
      // Synchronously, because the next message of the server may already be about the task.
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
          tool,
          permits: this.#permits,
          onForget: ({ exposed }) => this.#tasks.delete(exposed),
        })
      },
    })
    if (!made || outcome.kind !== 'result') return outcome
    const task = made
    try {
      const exposed = await this.#ids.wrapLegacy(exchange, link.server.name, task.own)
      // A reload may have taken the tool from the client since the call began.
      if (!this.#permits(task.conversation.view, link.server.name, tool))
        throw unseenTool(link.server.name, tool)
      if (!task.forgotten) this.#tasks.set(exposed, task)
      // The client has to receive the id before messages about the task.
      task.exposed = exposed
      setImmediate(() => task.handOut(exposed))
      return { ...outcome, text: renameTask(outcome, task.own, exposed) }
    } catch (error) {
      // Its client cannot reach it.
      task.abandon()
      throw error
    }
  }

  /** The task with this id. `undefined`: it was not created for this client, or is gone. */
  find(exchange: Exchange, exposed: string): LegacyTask | undefined {
    const task = this.#tasks.get(exposed)
    return task && task.owner === ownerOf(exchange) ? task : undefined
  }

  /**
   * The task that a routed request is about, after the check of its client. Servers choose ids freely, so the server's
   * id must match as well.
   */
  at({ server, own, exposed }: Route): LegacyTask | undefined {
    const task = this.#tasks.get(exposed)
    return task && task.own === own && task.link.server.name === server ? task : undefined
  }

  /**
   * Result of `tasks/list`: the client's own tasks of the tools that it may use, in the order of creation.
   * @throws GatewayError `invalid_params` for an unknown cursor
   */
  async list(exchange: Exchange, permits: MayUse, cursor: unknown): Promise<Outcome> {
    const after = cursor === undefined ? 0 : numberOf(cursor)
    const owner = ownerOf(exchange)
    const own = [...this.#tasks.values()].filter(
      task => task.number > after && task.owner === owner && permits(task.link.server.name, task.tool),
    )
    const page = own.slice(0, PAGE)
    const texts = (await Promise.all(page.map(task => task.current()))).filter(text => text !== undefined)
    const last = page.at(-1)
    const next = own.length > PAGE && last ? `,"nextCursor":${JSON.stringify(cursorOf(last.number))}` : ''
    return { kind: 'own', text: `{"tasks":[${texts.join(',')}]${next}}` }
  }

  /** Drops the tasks of a lost link, because they were in its session. */
  lost(link: Link): void {
    for (const task of this.#tasks.values()) if (task.link === link && !task.alive) task.forget()
  }

  /**
   * Drops the tasks on links that served only this session, because it has ended. Tasks on other links stay until their
   * time is over.
   */
  leave(conversation: Conversation): void {
    for (const task of this.#tasks.values()) if (task.link.owner === conversation) task.forget()
  }

  /** Ends the tasks of a session whose tools it may not use any more. */
  retain(conversation: Conversation, permits: MayUse): void {
    for (const task of this.#tasks.values())
      if (task.conversation === conversation && !permits(task.link.server.name, task.tool)) task.abandon()
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

/** Owner of a task: the principal; for callers without credentials, which share one principal, the session. */
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
