import { Cancellation } from '../core/cancellation.ts'
import { monotonicNow } from '../core/clock.ts'
import type { CallHandler } from '../core/compose.ts'
import { GatewayError, type ErrorCode } from '../core/errors.ts'
import type { Exchange, JsonObject, Outcome, ServerResult, ServerOutcome } from '../core/exchange.ts'
import { isJsonObject } from '../core/json-object.ts'
import { pause } from '../core/timeout.ts'
import type { Route } from '../core/route.ts'
import { withTasks } from '../protocol/capabilities.ts'
import { rawAt } from '../protocol/json-text.ts'
import { isFinal } from '../protocol/related-task.ts'
import { Delegate, WithRequest } from '../core/derived-exchange.ts'
import { answeredHere, askAll, type AskingServer } from '../bridge/ask-client.ts'

/** Polling interval if the server gives none, and the bounds of the given one. */
const POLL_MS = 1000
const MIN_POLL_MS = 50
const MAX_POLL_MS = 30_000
/** A task without a time to live is given up after a day. */
const MAX_TASK_MS = 24 * 60 * 60 * 1000
/** Failed polls in a row after which the call fails. */
const MAX_FAILURES = 3

/**
 * Maximum questions of a task, as a multiple of those its server may ask at once. More indicate a loop in the server.
 */
const MOST_ROUNDS = 8
/** Maximum total length of the keys of all questions of a task. */
const MAX_KEY_CHARS = 256 * 1024

/**
 * Presents the call of a client without the tasks extension as one of a client with it: the gateway follows the tasks
 * for it.
 */
export class WithTasksExtension extends Delegate {
  override readonly features: string

  constructor(inner: Exchange) {
    super(inner)
    this.features = withTasks(inner.features)
  }
}

/**
 * Follows a task of a modern server (extension `io.modelcontextprotocol/tasks`) for a client that cannot: polls it at
 * the server's interval, asks the client the task's questions, and resolves with the result of the call. However else
 * it ends, the task is cancelled.
 * @throws GatewayError `upstream_protocol`, `upstream_timeout`, `cancelled`, or the error of asking the client
 */
export function pollModernTask(
  next: CallHandler,
  exchange: Exchange,
  route: Route,
  created: ServerResult,
  server: AskingServer,
): Promise<Outcome> {
  const { taskId } = created.value as { taskId?: unknown }
  if (typeof taskId !== 'string') throw failure(route, 'made a task without an id')
  return new DrivenTask(next, exchange, { ...route, own: taskId, exposed: taskId }, server).run(created)
}

class DrivenTask {
  readonly #next: CallHandler
  readonly #exchange: Exchange
  /** Route of the task. */
  readonly #route: Route
  readonly #server: AskingServer
  readonly #asked = new Set<string>()
  #keyChars = 0
  readonly #startedAt = monotonicNow()
  /** Stops the current step. A listener per step on the call itself would accumulate. */
  #step = new Cancellation()

  constructor(next: CallHandler, exchange: Exchange, route: Route, server: AskingServer) {
    this.#server = server
    this.#next = next
    this.#exchange = exchange
    this.#route = route
    exchange.cancellation.onCancel(reason => this.#step.cancel(reason))
  }

  async run(created: ServerResult): Promise<Outcome> {
    let ended = false
    try {
      let task = created
      // Only a poll of the task contains its result.
      do {
        await this.#answer(task)
        await this.#pause(task)
        const looked = await this.#look()
        if (looked.kind !== 'result') {
          ended = true
          return looked
        }
        task = looked
      } while (!isFinal((task.value as JsonObject).status))
      ended = true
      return answerOf(task, this.#route)
    } finally {
      if (!ended) {
        this.#step = new Cancellation()
        this.#send('tasks/cancel').catch(() => undefined)
      }
    }
  }

  /** Asks the client the questions that the task has not asked before. */
  async #answer({ text, value }: ServerResult): Promise<void> {
    const task = value as JsonObject
    if (task.status !== 'input_required') return
    const known = { answered: answeredHere(this.#server, task), skip: this.#asked }
    const keys = Object.keys(isJsonObject(task.inputRequests) ? task.inputRequests : {})
    const fresh = keys.filter(key => !this.#asked.has(key))
    this.#check(fresh)
    const answers = await askAll(this.#exchange, this.#server, { text, value: task }, known)
    if (answers === undefined) return
    for (const key of fresh) this.#asked.add(key)
    const outcome = await this.#send('tasks/update', `,"inputResponses":${answers}`)
    if (outcome.kind === 'error') throw failure(this.#route, 'did not take the answers its task asked for')
  }

  /** @throws GatewayError `upstream_protocol` when a task asks endlessly */
  #check(keys: readonly string[]): void {
    const most = MOST_ROUNDS * this.#server.maxQuestions
    if (this.#asked.size + keys.length > most)
      throw failure(
        this.#route,
        `asked more than ${most} questions for one task, which is ${MOST_ROUNDS} times its "maxQuestions"`,
      )
    for (const key of keys) this.#keyChars += key.length
    if (this.#keyChars > MAX_KEY_CHARS)
      throw failure(
        this.#route,
        `asked questions for one task whose keys have more than ${MAX_KEY_CHARS} characters together`,
      )
  }

  async #pause({ value }: ServerResult): Promise<void> {
    const { pollIntervalMs, status, ttlMs } = value as JsonObject
    const limitMs = typeof ttlMs === 'number' ? Math.min(ttlMs, MAX_TASK_MS) : MAX_TASK_MS
    const left = this.#startedAt + limitMs - monotonicNow()
    if (left <= 0)
      throw failure(
        this.#route,
        `did not end its task within ${Math.round(limitMs / 1000)} s`,
        'upstream_timeout',
      )
    if (isFinal(status)) return
    const wished = typeof pollIntervalMs === 'number' ? pollIntervalMs : POLL_MS
    const ms = Math.max(MIN_POLL_MS, Math.min(wished, MAX_POLL_MS, left))
    await pause(ms, this.#step)
  }

  /** The current task, or the error of a server that no longer has it. */
  async #look(): Promise<ServerOutcome> {
    for (let failures = 1; ; failures++) {
      try {
        const outcome = await this.#send('tasks/get')
        if (outcome.kind === 'error') return outcome
        if (outcome.kind === 'result' && isJsonObject(outcome.value)) return outcome
        throw failure(this.#route, 'answered a question about its task with something else')
      } catch (error) {
        if (this.#exchange.cancellation.reason !== undefined || failures >= MAX_FAILURES) throw error
        await this.#pause({ kind: 'result', text: '{}', value: {}, modern: true })
      }
    }
  }

  /** `more` is raw JSON of further members, with a comma before each. */
  #send(method: string, more = ''): Promise<Outcome> {
    const { reason } = this.#exchange.cancellation
    if (reason !== undefined && method !== 'tasks/cancel')
      return Promise.reject(
        new GatewayError('cancelled', 'The request was cancelled.', { server: this.#route.server }),
      )
    this.#step = new Cancellation()
    const params = `{"taskId":${JSON.stringify(this.#route.own)}${more}}`
    return this.#next(new Step(this.#exchange, method, params, this.#step), this.#route)
  }
}

/** One request about a task, which can be stopped separately. */
class Step extends WithRequest {
  readonly #cancellation: Cancellation

  constructor(inner: Exchange, method: string, params: string, cancellation: Cancellation) {
    super(inner, method, params)
    this.#cancellation = cancellation
  }

  override get cancellation(): Cancellation {
    return this.#cancellation
  }
}

/** The outcome of the call. */
function answerOf(task: ServerResult, route: Route): Outcome {
  const { status, statusMessage, result, error } = task.value as JsonObject
  if (status === 'completed' && isJsonObject(result))
    return { kind: 'result', text: rawAt(task.text, 'result') ?? '{}', value: result, modern: true }
  if (status === 'failed' && isJsonObject(error))
    return { kind: 'error', text: rawAt(task.text, 'error') ?? '{}', value: error }
  const why = typeof statusMessage === 'string' ? `: ${statusMessage.slice(0, 300)}` : ''
  throw failure(
    route,
    status === 'cancelled' ? `cancelled the task${why}` : 'ended its task without a result or an error',
  )
}

function failure({ server }: Route, what: string, code: ErrorCode = 'upstream_protocol'): GatewayError {
  return new GatewayError(code, `Server "${server}" ${what}.`, { server, delivery: 'answered' })
}
