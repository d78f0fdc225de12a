import type { ServerConfig } from '../../config/types.ts'
import { monotonicNow } from '../../core/clock.ts'
import type { Deadline, Deadlines } from '../../core/deadlines.ts'
import { describeError, GatewayError } from '../../core/errors.ts'
import type { Logger } from '../../core/logger.ts'
import { connect, type Connected } from '../link/connect.ts'
import { RestartBackoff } from '../balance/restart-backoff.ts'
import type { Link, LinkListener } from '../link/link.ts'
import type { Era } from '../../protocol/revisions.ts'
import { readableBytes } from '../transport/stdio/memory-watch.ts'
import type { Replica } from '../replica/replica.ts'
import type { SlotKey } from '../replica/slot-key.ts'

export interface WarmPoolOptions {
  readonly server: ServerConfig
  readonly deadlines: Deadlines
  readonly logger: Logger
  readonly clientInfo: string
  /** Whether the server may have one more process. */
  readonly hasRoom: () => boolean
  /** When the server was last used, in milliseconds of `monotonicNow()`; the current time while it is in use. */
  readonly lastUse: () => number
}

/**
 * Spare processes, started and greeted, so that a link is available at once: after a crash, or for a new session. They
 * declare the capabilities of the shared link, have the era of the last opened link, and have no owner. A replica gets
 * spares when its first link is opened, and loses them when the server is idle.
 */
export class WarmPool {
  readonly #options: WarmPoolOptions
  readonly #reserves = new Map<Replica, Reserve>()
  readonly #ending = new Set<Promise<void> | undefined>()

  constructor(options: WarmPoolOptions) {
    this.#options = options
  }

  /** Number of spares, including those being started. */
  get size(): number {
    let size = 0
    for (const reserve of this.#reserves.values()) size += reserve.size
    return size
  }

  /** Whether a spare fits a slot. */
  fits(replica: Replica, key: SlotKey): boolean {
    return this.#reserves.get(replica)?.fits(key) ?? false
  }

  /** Takes a spare for a slot. From now on its link reports to `listener`. */
  take(replica: Replica, key: SlotKey, listener: LinkListener): Connected | undefined {
    return this.#reserves.get(replica)?.take(key, listener)
  }

  /** Starts spares as needed, because a link to the replica has been opened. */
  fill(replica: Replica, era: Era): void {
    const { warmInstances, perClient } = this.#options.server
    // Of such a server each process is of one principal from its start on.
    if (!replica.traits.process || warmInstances === 0 || perClient) return
    let reserve = this.#reserves.get(replica)
    if (!reserve) {
      reserve = new Reserve(replica, this.#options)
      this.#reserves.set(replica, reserve)
    }
    reserve.fill(era)
  }

  /** Applies a changed number of spares. `forgiven`: failed starts no longer count. */
  resize(forgiven: boolean): void {
    for (const reserve of this.#reserves.values()) reserve.resize(forgiven)
  }

  /** Ends a spare to make room. */
  discard(): boolean {
    for (const reserve of this.#reserves.values()) if (reserve.discard()) return true
    return false
  }

  /** Removes the spares of drained replicas. */
  tidy(): void {
    for (const replica of this.#reserves.keys()) if (replica.drained) this.#end(replica)
  }

  async close(): Promise<void> {
    for (const replica of this.#reserves.keys()) this.#end(replica)
    await Promise.all(this.#ending)
  }

  #end(replica: Replica): void {
    const ending = this.#reserves
      .get(replica)
      ?.close()
      .finally(() => this.#ending.delete(ending))
    this.#reserves.delete(replica)
    this.#ending.add(ending)
  }
}

interface WarmInstance extends Connected {
  readonly since: number
}

/**
 * The spares of one replica. Its deadline is the next time it has to act: for an idle server, or for a delayed start.
 */
class Reserve implements Deadline {
  heapIndex: number | undefined
  due: number | undefined
  readonly #replica: Replica
  readonly #options: WarmPoolOptions
  readonly #loop: RestartBackoff
  /** Oldest first. */
  readonly #waiting: WarmInstance[] = []
  readonly #ending = new Set<Promise<void>>()
  readonly #closing = new AbortController()
  readonly #listener: LinkListener
  #starting: Promise<void> | undefined
  #notBefore = 0
  #filledAt = 0
  #wanted = false
  #era: Era = 'modern'

  constructor(replica: Replica, options: WarmPoolOptions) {
    this.#replica = replica
    this.#options = options
    this.#loop = new RestartBackoff(() => options.server.restartLimit)
    const { name } = options.server
    this.#listener = {
      // Dropped: a later holder of the link requests the information it needs.
      onNotification: () => {},
      onRequest: () =>
        Promise.reject(
          new GatewayError('cannot_ask', 'A warm instance has no client yet that could be asked.', {
            server: name,
          }),
        ),
      onLost: (link, error) => this.#lost(link, error),
      onGap: () => {},
      onMemoryLimitExceeded: (link, bytes) => this.#outgrown(link, bytes),
    }
  }

  get size(): number {
    return this.#waiting.length + (this.#starting ? 1 : 0)
  }

  fits(key: SlotKey): boolean {
    return this.#fitting(key) >= 0
  }

  /** The newest spare is preferred, because its connections are least likely to have timed out. */
  #fitting({ capabilities, era }: SlotKey): number {
    const { common, spoken } = this.#replica
    if (capabilities !== common.capabilities) return -1
    return this.#waiting.findLastIndex(({ link }) => link.peer.era === era || spoken[era] === false)
  }

  take(key: SlotKey, listener: LinkListener): Connected | undefined {
    const at = this.#fitting(key)
    const [instance] = at < 0 ? [] : this.#waiting.splice(at, 1)
    if (!instance) return undefined
    instance.link.adopt(listener, key.owner)
    this.#loop.stopped(monotonicNow() - instance.since)
    return instance
  }

  fill(era: Era): void {
    this.#era = era
    this.#wanted = true
    this.#filledAt = monotonicNow()
    this.#seeTo()
  }

  discard(): boolean {
    const instance = this.#waiting.shift()
    if (instance) this.#end(instance.link)
    return instance !== undefined
  }

  resize(forgiven: boolean): void {
    if (forgiven) {
      this.#loop.forget()
      this.#notBefore = 0
    }
    while (this.#waiting.length > this.#options.server.warmInstances) this.discard()
    this.#seeTo()
  }

  expire(): void {
    this.#seeTo()
  }

  async close(): Promise<void> {
    this.#wanted = false
    this.#closing.abort()
    this.#options.deadlines.remove(this)
    await this.#starting
    while (this.discard());
    await Promise.all(this.#ending)
  }

  #seeTo(): void {
    const { deadlines, server, logger, hasRoom, lastUse } = this.#options
    const now = monotonicNow()
    const idleMs =
      server.idleMs === 0 ? Infinity : server.idleMs - (now - Math.max(lastUse(), this.#filledAt))
    if (this.#wanted && (idleMs <= 0 || this.#replica.drained)) {
      this.#wanted = false
      logger.debug('The warm processes are ended.', { processes: this.#waiting.length })
      while (this.discard());
    }
    if (!this.#wanted || this.#closing.signal.aborted) return
    const missing = this.size < server.warmInstances && !this.#starting && hasRoom()
    const waitMs = this.#notBefore - now
    if (missing && waitMs <= 0)
      this.#starting = this.#start().finally(() => {
        this.#starting = undefined
        this.#seeTo()
      })
    const next = Math.min(idleMs, missing && waitMs > 0 ? waitMs : Infinity)
    if (next < Infinity) deadlines.set(this, next)
  }

  async #start(): Promise<void> {
    const { server, deadlines, logger, clientInfo } = this.#options
    const { capabilities, owner } = this.#replica.common
    const { signal } = this.#closing
    const [replica, listener] = [this.#replica, this.#listener]
    let opened: Connected
    try {
      opened = await connect(
        { server, replica, listener, deadlines, logger, clientInfo, capabilities, owner, signal },
        this.#era,
        replica.spoken,
      )
    } catch (error) {
      if (signal.aborted) return
      this.#putOff(this.#loop.startFailed(), 'A process that was to wait could not be started.', error)
      return
    }
    const { link } = opened
    // Otherwise the server has become idle, or has been closed, during the start.
    if (!this.#wanted) return this.#end(link)
    this.#waiting.push({ ...opened, since: monotonicNow() })
    logger.debug('A warm process is ready.', { waiting: this.#waiting.length })
  }

  #lost(link: Link, error: GatewayError): void {
    const instance = this.#leave(link)
    if (!instance) return
    const delay = this.#loop.ended(monotonicNow() - instance.since)
    this.#end(link)
    this.#putOff(delay, 'A process that waited has ended.', error)
    this.#seeTo()
  }

  #outgrown(link: Link, bytes: number): void {
    const used = new GatewayError('upstream_closed', `It used ${readableBytes(bytes)} of memory.`)
    this.#lost(link, used)
  }

  #putOff(delayMs: number, what: string, error: unknown): void {
    this.#notBefore = monotonicNow() + delayMs
    const { inARow, looping } = this.#loop
    const loop = looping ? { inARow, crashLoop: true } : {}
    this.#options.logger.warn(what, { cause: describeError(error), delayMs: Math.ceil(delayMs), ...loop })
  }

  #leave(link: Link): WarmInstance | undefined {
    const at = this.#waiting.findIndex(instance => instance.link === link)
    return at < 0 ? undefined : this.#waiting.splice(at, 1)[0]
  }

  #end(link: Link): void {
    const ending = link.close().finally(() => this.#ending.delete(ending))
    this.#ending.add(ending)
  }
}
