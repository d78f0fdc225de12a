import type { Deadline, Deadlines } from '../core/deadlines.ts'
import { CallState } from '../core/call-state.ts'
import { CallTrace } from '../core/call-trace.ts'
import { Cancellation } from '../core/cancellation.ts'
import { INVALID_PARAMS } from '../core/rpc-codes.ts'
import { GatewayError } from '../core/errors.ts'
import {
  type CallRequest,
  type Conversation,
  type Exchange,
  type InputRequest,
  type Json,
  type JsonObject,
  type McpLogLevel,
  type Outcome,
  type ServerOutcome,
} from '../core/exchange.ts'
import { isJsonObject } from '../core/json-object.ts'
import { unseenTool } from '../core/unseen-server.ts'
import type { Principal } from '../core/principal.ts'
import { withMembers } from '../protocol/json-text.ts'
import { isFinal, renameTask, renameTaskIn, TASK_STATUS } from '../protocol/related-task.ts'
import type { Link } from '../upstream/link/link.ts'
import { UpstreamRpcError } from '../upstream/link/rpc-error.ts'
import type { LinkSlot } from '../upstream/pool/link-slot.ts'
import { Delegate } from '../core/derived-exchange.ts'
import { stillWorking } from './task-alive.ts'

/** A task is kept for its time to live after its last message, but no longer than this, even without a time to live. */
export const MAX_KEEP_MS = 24 * 60 * 60 * 1000
/** Maximum number of messages about a task before its client has its id. */
const MAX_EARLY = 200

/** Whether clients of a view may use a tool of a server, by the configuration in effect. */
export type PermitsTool = (view: string, server: string, tool: string) => boolean

export interface LegacyTaskOptions {
  /** Its position in the order of creation. */
  readonly number: number
  readonly owner: string
  readonly link: Link
  /** The slot of the link. It is pinned until the result has been fetched. */
  readonly slot: LinkSlot | undefined
  /** The call that created the task, with its session. */
  readonly exchange: Exchange
  readonly conversation: Conversation
  /** Id of the request that created the task. */
  readonly request: number
  /** The task as the server described it. */
  readonly task: Json<JsonObject>
  readonly deadlines: Deadlines
  /** The called tool, by its name at the server. */
  readonly tool: string
  readonly permits: PermitsTool
  readonly onForget: (task: LegacyTask) => void
}

/**
 * A task of a legacy server that a legacy client created (revision 2025-11-25). It outlives the call that created it,
 * so for the link it is the exchange of every message about the task: progress, log records and questions reach the
 * session of its client, on the stream of an open `tasks/result` if there is one, with the id for the client.
 */
export class LegacyTask implements Exchange, Deadline {
  heapIndex: number | undefined
  due: number | undefined
  readonly number: number
  readonly owner: string
  readonly own: string
  readonly tool: string
  readonly link: Link
  readonly request: CallRequest
  readonly principal: Principal
  readonly modern = false
  readonly protocolVersion: string
  readonly features: string
  readonly view: string
  readonly conversation: Conversation
  readonly cancellation = new Cancellation()
  /** Belongs to no request of the client any more. */
  readonly trace = new CallTrace()
  readonly state = new CallState()
  passed = 0
  /** The id for its client. Empty until the client has received it. */
  exposed = ''
  readonly #slot: LinkSlot | undefined
  readonly #deadlines: Deadlines
  readonly #permits: PermitsTool
  readonly #onForget: (task: LegacyTask) => void
  readonly #release: () => void
  /** Open `tasks/result` calls, oldest first. */
  readonly #waiting = new Set<Exchange>()
  readonly #known: Promise<void>
  #tellKnown: () => void = () => undefined
  #early: (() => void)[] | undefined = []
  #status: Json<JsonObject>
  #pinned = true
  #fetched = false
  #forgotten = false

  constructor(options: LegacyTaskOptions) {
    const { exchange, task, link, slot } = options
    this.number = options.number
    this.owner = options.owner
    this.own = task.value.taskId as string
    this.tool = options.tool
    this.link = link
    this.request = { method: 'tools/call', params: undefined, progressToken: exchange.request.progressToken }
    this.principal = exchange.principal
    this.protocolVersion = exchange.protocolVersion
    this.features = exchange.features
    this.view = exchange.view
    this.conversation = options.conversation
    this.#slot = slot
    this.#deadlines = options.deadlines
    this.#permits = options.permits
    this.#onForget = options.onForget
    this.#status = task
    this.#known = new Promise(resolve => {
      this.#tellKnown = resolve
    })
    this.#release = link.tasks.adopt(this.own, this, options.request)
    slot?.pin()
    this.#keep()
  }

  get logLevel(): McpLogLevel | undefined {
    return this.conversation.logLevel
  }

  /** Whether it has ended. */
  get ended(): boolean {
    return this.#fetched || isFinal(this.#status.value.status)
  }

  /** Whether its result is still to be fetched, which keeps the link open. */
  get awaited(): boolean {
    return this.#pinned
  }

  get forgotten(): boolean {
    return this.#forgotten
  }

  /** Whether the server can still have the task, which lives in its session. */
  get alive(): boolean {
    const { transport } = this.link
    return !this.#forgotten && (this.link.usable || !transport.sessionful)
  }

  /** Sets the id for its client, and sends the messages that have waited for it. */
  handOut(exposed: string): void {
    this.exposed = exposed
    this.#tellKnown()
    const early = this.#early ?? []
    this.#early = undefined
    for (const tell of early) tell()
  }

  // Exchange: messages of the server about the task.

  get canBeAsked(): Exchange['canBeAsked'] {
    return this.#forgotten ? 'never' : 'now'
  }

  notify(method: string, params: string | undefined): void {
    if (method === TASK_STATUS && params !== undefined) this.#heard(params)
    const tell = (): void => {
      // A change of status is for the session. Everything else belongs to the work that a client may be waiting for.
      const latest = method === TASK_STATUS ? undefined : this.#latest
      if (this.#isFor(latest))
        (latest ?? this.conversation).notify(method, params && renameTaskIn(params, this.own, this.exposed))
    }
    if (!this.#early) tell()
    else if (this.#early.length < MAX_EARLY) this.#early.push(tell)
  }

  async ask(request: InputRequest): Promise<string> {
    await this.#known
    if (this.#forgotten) throw new GatewayError('cannot_ask', 'The task is gone.', { server: request.server })
    const latest = this.#latest
    if (!this.#isFor(latest)) throw unseenTool(request.server, this.tool)
    const params = request.params && renameTaskIn(request.params, this.own, this.exposed)
    const answer = await (latest ?? this.conversation).ask({ ...request, params, sent: undefined })
    return renameTaskIn(answer, this.exposed, this.own)
  }

  // Requests of the client about it.

  /**
   * Relays `tasks/get`, `tasks/result` or `tasks/cancel`. @throws GatewayError `invalid_params` when the task is gone
   */
  async call(exchange: Exchange): Promise<Outcome> {
    const { method } = exchange.request
    const link = await this.#reach()
    const call = new AboutTask(exchange, this)
    const isResult = method === 'tasks/result'
    if (isResult) this.#waiting.add(call)
    let outcome: ServerOutcome
    try {
      outcome = await link.call(call, {
        method,
        change: { target: { key: 'taskId', value: this.own } },
        ...(isResult && { worthWaiting: stillWorking(link, this.own) }),
      })
    } finally {
      this.#waiting.delete(call)
    }
    if (outcome.kind === 'error') {
      if (method === 'tasks/get' && (outcome.value as JsonObject).code === INVALID_PARAMS) this.forget()
      return outcome
    }
    // The task is no longer needed after its result.
    if (isResult) {
      this.#fetched = true
      this.#unpin()
    } else this.#heard(outcome.text)
    const text = renameTask(outcome, this.own, this.exposed)
    // The server's own id of a task is not for the client, even if it names another task.
    const named = !isResult && typeof (outcome.value as JsonObject | null)?.taskId === 'string'
    return { ...outcome, text: named ? withMembers(text, { taskId: JSON.stringify(this.exposed) }) : text }
  }

  /**
   * The current task, with the client's id. Asks the server unless the task has ended. `undefined`: the server no
   * longer has it.
   */
  async current(): Promise<string | undefined> {
    if (!this.alive) {
      this.forget()
      return undefined
    }
    if (!isFinal(this.#status.value.status)) {
      try {
        const { link } = this
        const params = JSON.stringify({ taskId: this.own })
        this.#heard((await link.request('tasks/get', params, link.server.listTimeoutMs)).text)
      } catch (error) {
        if (error instanceof UpstreamRpcError && error.rpcCode === INVALID_PARAMS) {
          this.forget()
          return undefined
        }
        // A server that does not answer now has not lost the task.
      }
    }
    return withMembers(this.#status.text, { taskId: JSON.stringify(this.exposed), _meta: undefined })
  }

  /** Whether the client may still use the tool, in the session of an open `tasks/result` or in that of the task. */
  #isFor(latest: Exchange | undefined): boolean {
    return this.#permits((latest?.conversation ?? this.conversation).view, this.link.server.name, this.tool)
  }

  /** Cancels the task at its server, and drops it, because no client will fetch its result. */
  abandon(): void {
    if (!this.ended) {
      const { link } = this
      const params = JSON.stringify({ taskId: this.own })
      link.request('tasks/cancel', params, link.server.listTimeoutMs).catch(() => undefined)
    }
    this.forget()
  }

  /** Drops the task, because it cannot be reached any more. Idempotent. */
  forget(): void {
    if (this.#forgotten) return
    this.#forgotten = true
    this.#deadlines.remove(this)
    this.#release()
    this.link.endQuestions(this)
    this.#tellKnown()
    this.#unpin()
    this.#onForget(this)
  }

  /** Called at the end of its time to live. */
  expire(): void {
    this.forget()
  }

  get #latest(): Exchange | undefined {
    let latest: Exchange | undefined
    for (const exchange of this.#waiting) latest = exchange
    return latest
  }

  async #reach(): Promise<Link> {
    if (this.link.usable) return this.link
    if (this.alive && this.#slot) return await this.#slot.pick()
    this.forget()
    throw new GatewayError(
      'invalid_params',
      `The task is gone: the session of server "${this.link.server.name}" in which it ran has ended.`,
      { server: this.link.server.name },
    )
  }

  #heard(text: string): void {
    const value: unknown = JSON.parse(text)
    if (this.#forgotten || !isJsonObject(value) || typeof value.status !== 'string') return
    this.#status = { text, value }
    // It will have no result.
    if (value.status === 'cancelled') this.#unpin()
    if (isFinal(value.status)) this.link.endQuestions(this)
    this.#keep()
  }

  #keep(): void {
    const { ttl } = this.#status.value
    const known = typeof ttl === 'number' && ttl > 0 ? Math.min(ttl, MAX_KEEP_MS) : MAX_KEEP_MS
    this.#deadlines.set(this, known)
  }

  #unpin(): void {
    if (!this.#pinned) return
    this.#pinned = false
    this.#slot?.unpin()
  }
}

/** A client's request about its task: messages on its stream name the task by the client's id. */
class AboutTask extends Delegate {
  readonly #task: LegacyTask

  constructor(inner: Exchange, task: LegacyTask) {
    super(inner)
    this.#task = task
  }

  override notify(method: string, params: string | undefined): void {
    super.notify(method, params && renameTaskIn(params, this.#task.own, this.#task.exposed))
  }

  override async ask(request: InputRequest): Promise<string> {
    const { own, exposed } = this.#task
    const params = request.params && renameTaskIn(request.params, own, exposed)
    return renameTaskIn(await super.ask({ ...request, params, sent: undefined }), exposed, own)
  }
}
