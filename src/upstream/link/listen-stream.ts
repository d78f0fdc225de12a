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
/** A stream that another one has replaced is read for so long: over HTTP, what the server said on it before may arrive after the acknowledgement of the new one. */
const REPLACED_MS = 500
/** Streams of a link that are read like that; beyond, the oldest is closed. */
const MAX_REPLACED = 4

/**
 * The standing `subscriptions/listen` of one modern link (specification 2026-07-28): changed lists always, resources and tasks as long as somebody wants them.
 * A changed wish is a new stream, and the old one goes some time after the server has acknowledged the new one: nothing is missed in between, though it
 * may be heard more than once. Opened anew when the server ends it; what may have been missed meanwhile is taken for changed.
 */
export class UpstreamListen {
  readonly #link: Link
  readonly #logger: Logger
  readonly #missed: () => void
  /** Asked when a stream is opened, so that wishes that change cost nothing until then. */
  #uris: () => readonly string[] = () => []
  #taskIds: () => readonly string[] = () => []
  /** Tasks that the server has agreed to tell of; `undefined` when it said nothing at all. */
  #honoured: ReadonlySet<unknown> | undefined
  /** Ends the acknowledged stream. */
  #stop: (() => void) | undefined
  /** Streams that have been replaced and may still carry something, oldest first, each by what ends it. */
  readonly #replaced = new Map<() => void, NodeJS.Timeout>()
  /** Gives up the one that is not acknowledged yet. */
  #abandon: (() => void) | undefined
  /** Settles when no stream waits for its acknowledgement. */
  #opening: Promise<void> = Promise.resolve()
  /** The stream to open after that one. */
  #next: Promise<void> | undefined
  #timer: NodeJS.Timeout | undefined
  #failures = 0
  /** When a stream is opened again without anyone asking, in Unix milliseconds. */
  #retryAt = 0
  /** Whether there was a time without a stream. */
  #gap: boolean
  #closed = false

  /** `missed` is called when changes may have gone unheard and the next ones are heard; `gap` says whether some may have before this. */
  constructor(link: Link, logger: Logger, gap: boolean, missed: () => void) {
    this.#gap = gap
    this.#link = link
    this.#logger = logger
    this.#missed = missed
  }

  /** Listens for these resources, as they are when the stream is opened, and for changed lists. Resolves when the server does, or when it failed to and will be asked again later. */
  listen(uris: () => readonly string[]): Promise<void> {
    this.#uris = uris
    return this.#renew()
  }

  /** The same for tasks, by the server's own ids. */
  listenToTasks(taskIds: () => readonly string[]): Promise<void> {
    this.#taskIds = taskIds
    return this.#renew()
  }

  /** Whether the server tells of a task that was listened to. */
  honours(taskId: string): boolean {
    return this.#stop !== undefined && (this.#honoured === undefined || this.#honoured.has(taskId))
  }

  #renew(): Promise<void> {
    // Wishes that come while a stream is being opened are all served by the next one.
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

  /** The stream carries something, so it works. */
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
      // Only who knows tasks may ask for news of them.
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
    // One channel for everything keeps the order.
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
    // A new wish is tried at once; that it failed, too, is no reason to wait longer with the next attempt that was due anyway.
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

/** The tasks an acknowledgement names. */
function tasksIn({ value }: Json): ReadonlySet<unknown> {
  const notifications = isJsonObject(value) ? value.notifications : undefined
  const ids = isJsonObject(notifications) ? notifications.taskIds : undefined
  return new Set<unknown>(Array.isArray(ids) ? ids : [])
}
