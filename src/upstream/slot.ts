import type { ServerConfig } from '../config/types.ts'
import type { Deadline, Deadlines } from '../core/deadlines.ts'
import { describeError, GatewayError } from '../core/errors.ts'
import type { Logger } from '../core/logger.ts'
import type { Era } from '../protocol/revisions.ts'
import { connect } from './connect.ts'
import type { Link, LinkListener } from './link.ts'
import type { Replica } from './replica.ts'
import type { SlotKey } from './slot-key.ts'

/** What a slot tells the rest of the gateway. */
export interface SlotListener extends LinkListener {
  /** A link has been opened. `era` is set when the handshake was evidence worth remembering. */
  onOpen(slot: Slot, link: Link, era: Era | undefined): void
  /** A link could not be opened. */
  onUnreachable(slot: Slot, error: GatewayError): void
}

export type SlotState =
  | { readonly kind: 'idle' }
  | { readonly kind: 'starting'; readonly opening: Promise<Link> }
  | { readonly kind: 'ready'; readonly link: Link }
  | {
      readonly kind: 'failed'
      readonly error: GatewayError
      readonly attempts: number
      readonly nextTry: number
    }
  | { readonly kind: 'closed' }

export interface SlotOptions {
  readonly server: ServerConfig
  readonly replica: Replica
  readonly key: SlotKey
  readonly listener: SlotListener
  readonly deadlines: Deadlines
  readonly logger: Logger
  readonly clientInfo: string
  readonly now?: () => number
}

const FIRST_BACKOFF_MS = 500
const LAST_BACKOFF_MS = 60_000
/** A link that lived so long was no part of a crash loop. */
const STABLE_MS = 30_000

/**
 * A place for one link to a server: opened when first needed, closed when idle, re-opened with back-off. While a start is being backed off,
 * calls fail at once with the cause of the last failure instead of waiting for the next one.
 */
export class Slot implements Deadline {
  place: number | undefined
  due: number | undefined
  readonly server: ServerConfig
  readonly replica: Replica
  readonly key: SlotKey
  readonly #options: SlotOptions
  readonly #now: () => number
  /** Links that take no new calls but still have some in flight, or are being closed. */
  readonly #leaving = new Set<Link>()
  #state: SlotState = { kind: 'idle' }
  #openedAt = 0
  #attempts = 0
  #pins = 0
  /** Sessions lost in a row, each soon after it was opened. */
  #losses = 0
  #openings = 0
  #restart: NodeJS.Timeout | undefined
  readonly #closing = new AbortController()
  /** Era to start with; a wrong one is corrected by the handshake. */
  era: Era | undefined

  constructor(options: SlotOptions) {
    this.#options = options
    this.server = options.server
    this.replica = options.replica
    this.key = options.key
    this.#now = options.now ?? Date.now
  }

  get state(): SlotState {
    return this.#state
  }

  /** The open link, without starting one. */
  get current(): Link | undefined {
    return this.#state.kind === 'ready' && this.#state.link.usable ? this.#state.link : undefined
  }

  /** A usable link: at once when one is open, else after starting one. @throws GatewayError `upstream_*` */
  pick(): Link | Promise<Link> {
    const state = this.#state
    if (state.kind === 'ready' && state.link.usable) return state.link
    if (state.kind === 'starting') return state.opening
    if (state.kind === 'closed')
      return Promise.reject(
        new GatewayError('shutting_down', 'The gateway is shutting down.', { server: this.server.name }),
      )
    if (state.kind === 'failed') {
      const wait = state.nextTry - this.#now()
      if (wait > 0) return Promise.reject(this.#backingOff(state.error, wait))
    }
    return this.#start()
  }

  /** Whether the open link has taken the place of an earlier one, so that things may have been missed in between. */
  get reopened(): boolean {
    return this.#openings > 1
  }

  holds(link: Link): boolean {
    return this.#state.kind === 'ready' && this.#state.link === link
  }

  /** Whether nothing is lost when it is closed. */
  get spare(): boolean {
    const { kind } = this.#state
    return (
      this.#pins === 0 &&
      (kind === 'idle' ||
        kind === 'failed' ||
        (this.#state.kind === 'ready' && this.#state.link.inFlight === 0))
    )
  }

  /** When its link was last used, in Unix milliseconds; 0 without one. */
  get lastUsed(): number {
    return this.#state.kind === 'ready' ? this.#state.link.lastUsed : 0
  }

  /** While pinned (subscriptions), the link is neither stopped when idle nor left closed after a failure. */
  pin(): void {
    this.#pins++
  }

  unpin(): void {
    this.#pins--
    this.#watchIdle()
  }

  /** Forgets a failure, so that the next call tries at once. */
  forgive(): void {
    if (this.#state.kind !== 'failed') return
    this.#attempts = 0
    this.#set({ kind: 'idle' })
  }

  /** The link was lost; called by whoever listens to links. */
  lost(link: Link, error: GatewayError): void {
    if (this.#state.kind !== 'ready' || this.#state.link !== link) return
    const stable = this.#now() - this.#openedAt >= STABLE_MS
    // What answers next may be of the other era.
    this.era = undefined
    if (error.code === 'session_lost') {
      // Nothing is wrong with the server, it only wants to be greeted again.
      this.#leave(link)
      this.#set({ kind: 'idle' })
      this.#losses = stable ? 0 : this.#losses + 1
      if (this.#pins > 0) this.#restartIn(this.#losses < 2 ? 0 : backoffMs(this.#losses - 2))
      return
    }
    this.#options.logger.warn('The server is gone.', { cause: describeError(error) })
    this.#leave(link)
    if (stable) this.#attempts = 0
    this.#fail(error, this.#attempts === 0 ? 0 : undefined)
  }

  /** Called by the idle deadline. */
  expire(): void {
    if (this.#state.kind !== 'ready') return
    const { link } = this.#state
    const quiet = this.#now() - link.lastUsed
    if (this.#pins > 0 || link.inFlight > 0 || quiet < this.server.idleMs) {
      this.#options.deadlines.set(this, Math.max(1000, this.server.idleMs - quiet))
      return
    }
    this.#options.logger.info('Stopped after being idle; the next call starts it again.', { idleMs: quiet })
    this.#set({ kind: 'idle' })
    this.#leave(link)
  }

  /** Ends the link, whatever is in flight on it; the next call opens another one. Returns the link that was open. */
  stop(): Link | undefined {
    if (this.#state.kind !== 'ready') return undefined
    const { link } = this.#state
    this.#set({ kind: 'idle' })
    this.#leave(link)
    return link
  }

  /** Opens a link where what is pinned waits for one. */
  resume(): void {
    if (this.#pins > 0 && this.#state.kind === 'idle') void this.#start()
  }

  async close(): Promise<void> {
    const state = this.#state
    if (state.kind !== 'closed') {
      this.#set({ kind: 'closed' })
      this.#closing.abort()
      clearTimeout(this.#restart)
      this.#options.deadlines.remove(this)
      if (state.kind === 'ready') this.#leave(state.link)
      if (state.kind === 'starting') await state.opening.catch(() => undefined)
    }
    await Promise.all([...this.#leaving].map(link => this.#close(link)))
  }

  #start(): Promise<Link> {
    const opening = this.#connect()
    this.#set({ kind: 'starting', opening })
    // Callers hear of the failure through `opening`; a start nobody waits for must not end the process.
    opening.catch(() => undefined)
    return opening
  }

  async #connect(): Promise<Link> {
    const { server, replica, listener, deadlines, logger, clientInfo } = this.#options
    let opened
    try {
      const { capabilities, owner } = this.key
      const { signal } = this.#closing
      opened = await connect(
        { server, replica, listener, deadlines, logger, clientInfo, capabilities, owner, signal },
        this.era,
      )
    } catch (caught) {
      const error = GatewayError.from(caught, server.name)
      // A server that was there and could not be greeted may be of the other era by now. One that is away says nothing about it.
      if (error.code === 'upstream_protocol' || error.code === 'upstream_closed') this.era = undefined
      if (this.#state.kind !== 'closed') {
        this.#fail(error, undefined)
        listener.onUnreachable(this, error)
      }
      throw error
    }
    const { link, era } = opened
    if (this.#state.kind === 'closed') {
      await link.close()
      throw new GatewayError('shutting_down', 'The gateway is shutting down.', { server: server.name })
    }
    this.#openedAt = this.#now()
    this.#openings++
    if (era) this.era = era
    this.#set({ kind: 'ready', link })
    logger.info('Connected.', {
      transport: link.transport.kind,
      era: link.peer.era,
      version: link.peer.protocolVersion,
    })
    this.#watchIdle()
    listener.onOpen(this, link, era)
    return link
  }

  #fail(error: GatewayError, delayMs: number | undefined): void {
    const delay = delayMs ?? backoffMs(this.#attempts)
    this.#attempts++
    this.#set({ kind: 'failed', error, attempts: this.#attempts, nextTry: this.#now() + delay })
    if (this.#pins > 0) this.#restartIn(delay)
  }

  #restartIn(ms: number): void {
    clearTimeout(this.#restart)
    this.#restart = setTimeout(() => {
      const { kind } = this.#state
      if (this.#pins > 0 && (kind === 'idle' || kind === 'failed')) void this.#start()
    }, ms)
    this.#restart.unref()
  }

  #watchIdle(): void {
    if (this.server.idleMs > 0 && this.#state.kind === 'ready')
      this.#options.deadlines.set(this, this.server.idleMs)
  }

  /** A lost link closes itself once what is in flight has been answered; any other is closed now. */
  #leave(link: Link): void {
    this.#leaving.add(link)
    if (link.usable || link.inFlight === 0) void this.#close(link)
  }

  async #close(link: Link): Promise<void> {
    try {
      await link.close()
    } catch (error) {
      this.#options.logger.warn('The link did not close cleanly.', { cause: describeError(error) })
    }
    this.#leaving.delete(link)
  }

  #backingOff(error: GatewayError, waitMs: number): GatewayError {
    const seconds = Math.max(1, Math.ceil(waitMs / 1000))
    return new GatewayError(error.code, `${error.message} Next attempt in ${seconds} s.`, {
      server: this.server.name,
      cause: error.cause,
      retryAfterMs: Math.ceil(waitMs),
    })
  }

  #set(state: SlotState): void {
    this.#state = state
  }
}

function backoffMs(attempts: number): number {
  const backoff = Math.min(LAST_BACKOFF_MS, FIRST_BACKOFF_MS * 2 ** attempts)
  // Half of it random, so that many gateways do not return in step.
  return backoff / 2 + Math.random() * (backoff / 2)
}
