import { backoffMs } from '../../core/backoff.ts'
import { monotonicNow } from '../../core/clock.ts'
import { describeError, type GatewayError } from '../../core/errors.ts'
import type { Json, JsonObject } from '../../core/exchange.ts'
import { isJsonObject } from '../../core/json-object.ts'
import type { Logger } from '../../core/logger.ts'
import { withTasks } from '../../protocol/capabilities.ts'
import type { Link } from './link.ts'

const RETRY = { firstMs: 500, mostMs: 30_000 }
/** A server that has not acknowledged a stream by then is believed to serve it. */
const ACKNOWLEDGE_MS = 5000
/**
 * How long a replaced stream is still read: over HTTP, earlier messages on it may arrive after the acknowledgement of
 * the new one.
 */
const REPLACED_MS = 500
/** Maximum number of such streams of a link. Beyond it, the oldest is closed. */
const MAX_REPLACED = 4

/**
 * The standing `subscriptions/listen` of one modern link (specification 2026-07-28): changed lists always, resources
 * and tasks while they are subscribed to. A changed subscription opens a new stream. The old one is closed some time
 * after the server has acknowledged the new one, so nothing is missed, though a notification may arrive twice. When the
 * server ends the stream, it is opened again, and everything that may have been missed counts as changed.
 */
export class UpstreamListen {
  readonly #link: Link
  readonly #logger: Logger
  readonly #missed: () => void
  /** Called when a stream is opened, so that changed subscriptions cost nothing until then. */
  #uris: () => readonly string[] = () => []
  #taskIds: () => readonly string[] = () => []
  /** Tasks that the server has agreed to report. `undefined`: it sent no list. */
  #honoured: ReadonlySet<unknown> | undefined
  /** Ends the acknowledged stream. */
  #stop: (() => void) | undefined
  /** Replaced streams that may still carry messages, oldest first, keyed by the function that ends each. */
  readonly #replaced = new Map<() => void, NodeJS.Timeout>()
  /** Gives up the stream that is not acknowledged yet. */
  #abandon: (() => void) | undefined
  /** Settles when no stream waits for its acknowledgement. */
  #opening: Promise<void> = Promise.resolve()
  /** The stream to open after that one. */
  #next: Promise<void> | undefined
  #timer: NodeJS.Timeout | undefined
  #failures = 0
  /** When a stream is opened again without a request, in milliseconds of `monotonicNow()`. */
  #retryAt = 0
  /** Whether there was a time without a stream. */
  #gap: boolean
  #closed = false

  /**
   * `missed` is called when notifications may have been missed and a new stream works. `gap`: whether some may have
   * been missed before this.
   */
  constructor(link: Link, logger: Logger, gap: boolean, missed: () => void) {
    this.#gap = gap
    this.#link = link
    this.#logger = logger
    this.#missed = missed
  }

  /**
   * Listens for these resources, as returned when the stream is opened, and for changed lists. Resolves when the server
   * listens, or when it has failed to and will be asked again later.
   */
  listen(uris: () => readonly string[]): Promise<void> {
    this.#uris = uris
    return this.#renew()
  }

  /** As `listen`, for tasks by the server's own ids. */
  listenToTasks(taskIds: () => readonly string[]): Promise<void> {
    this.#taskIds = taskIds
    return this.#renew()
  }

  /** Whether the server reports a subscribed task. */
  honours(taskId: string): boolean {
    return this.#stop !== undefined && (this.#honoured === undefined || this.#honoured.has(taskId))
  }

  #renew(): Promise<void> {
    // Changes while a stream is being opened are all covered by the next stream.
    this.#next ??= this.#opening.then(() => {
      this.#next = undefined
      this.#opening = this.#open()
      return this.#opening
    })
    return this.#next
  }

  close(): void {
    this.#closed = true
    clearTimeout(this.#timer)
    this.#abandon?.()
    for (const stop of this.#replaced.keys()) this.#endReplaced(stop)
    this.#stop?.()
    this.#stop = undefined
  }

  /** Records that the stream works, because a message has arrived on it. */
  heard(): void {
    this.#failures = 0
  }

  #open(): Promise<void> {
    clearTimeout(this.#timer)
    if (this.#closed || !this.#link.usable) return Promise.resolve()
    const filter = this.#filter()
    if (Object.keys(filter).length === 0) {
      this.#stop?.()
      this.#stop = undefined
      return Promise.resolve()
    }
    return new Promise(resolve => {
      const settle = (): void => {
        clearTimeout(timer)
        this.#abandon = undefined
        resolve()
      }
      const serve = (acknowledgement?: Json): void => {
        if (this.#abandon === undefined) return
        if (this.#stop) this.#replace(this.#stop)
        this.#stop = stop
        this.#honoured = acknowledgement && tasksIn(acknowledgement)
        if (this.#gap) this.#missed()
        this.#gap = false
        settle()
      }
      const timer = setTimeout(() => serve(), ACKNOWLEDGE_MS)
      timer.unref()
      const listener = {
        acknowledged: serve,
        ended: (error: GatewayError | undefined): void => {
          if (this.#replaced.has(stop)) return this.#endReplaced(stop)
          if (this.#stop === stop) {
            this.#stop = undefined
            this.#gap = true
          } else {
            if (this.#stop === undefined) this.#gap = true
            settle()
          }
          this.#reopen(error)
        },
      }
      // Only clients with the tasks extension may subscribe to tasks.
      const capabilities = filter.taskIds === undefined ? undefined : withTasks('')
      const params = JSON.stringify({ notifications: filter })
      const stop = this.#link.stand('subscriptions/listen', params, listener, capabilities)
      this.#abandon = () => {
        stop()
        settle()
      }
    })
  }

  #replace(stop: () => void): void {
    // A single ordered channel needs no overlap.
    if (this.#link.transport.traits.ordered) return stop()
    const timer = setTimeout(() => this.#endReplaced(stop), REPLACED_MS)
    timer.unref()
    this.#replaced.set(stop, timer)
    const [oldest] = this.#replaced.keys()
    if (oldest && this.#replaced.size > MAX_REPLACED) this.#endReplaced(oldest)
  }

  #endReplaced(stop: () => void): void {
    clearTimeout(this.#replaced.get(stop))
    this.#replaced.delete(stop)
    stop()
  }

  #reopen(error: GatewayError | undefined): void {
    if (this.#closed || !this.#link.usable || this.#abandon !== undefined) return
    // A changed subscription is tried at once. Its failure is no reason to delay the retry that was due anyway.
    const now = monotonicNow()
    if (this.#retryAt <= now) this.#retryAt = now + backoffMs(this.#failures++, RETRY)
    const delayMs = this.#retryAt - now
    this.#logger.debug('The listen stream ended; it is opened again.', {
      delayMs,
      cause: error && describeError(error),
    })
    this.#timer = setTimeout(() => void this.#renew(), delayMs)
    this.#timer.unref()
  }

  #filter(): JsonObject {
    const { tools, prompts, resources } = this.#link.peer.capabilities as Record<
      string,
      JsonObject | undefined
    >
    const filter: JsonObject = {}
    if (tools?.listChanged === true) filter.toolsListChanged = true
    if (prompts?.listChanged === true) filter.promptsListChanged = true
    if (resources?.listChanged === true) filter.resourcesListChanged = true
    const uris = this.#uris()
    const taskIds = this.#taskIds()
    if (uris.length > 0) filter.resourceSubscriptions = uris
    if (taskIds.length > 0) filter.taskIds = taskIds
    return filter
  }
}

/** The tasks in an acknowledgement. */
function tasksIn({ value }: Json): ReadonlySet<unknown> {
  const notifications = isJsonObject(value) ? value.notifications : undefined
  const ids = isJsonObject(notifications) ? notifications.taskIds : undefined
  return new Set<unknown>(Array.isArray(ids) ? ids : [])
}
