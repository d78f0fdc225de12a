import type { ServerConfig } from '../../config/types.ts'
import { monotonicNow } from '../../core/clock.ts'
import type { Deadline, Deadlines } from '../../core/deadlines.ts'
import { describeError, GatewayError } from '../../core/errors.ts'
import type { Logger } from '../../core/logger.ts'
import { shuttingDown } from '../../core/shutting-down.ts'
import { afterLoss, UNKNOWN, type Spoken } from '../../protocol/spoken.ts'
import { connect, type Connected } from '../link/connect.ts'
import { backingOff, RestartBackoff, restartMs, inCrashLoop, LASTED_MS } from '../balance/restart-backoff.ts'
import { RestartTimer } from './restart-timer.ts'
import { RetiringLinks } from './retiring-links.ts'
import type { Link, LinkListener } from '../link/link.ts'
import type { LinkCredentials } from '../link/link-credentials.ts'
import { closed } from '../link/link-errors.ts'
import type { Replica } from '../replica/replica.ts'
import type { SlotKey } from '../replica/slot-key.ts'
import { startErrorOf, type SlotState } from './slot-state.ts'
import type { WarmPool } from './warm-pool.ts'
import { ProcessReplacement } from './replacement.ts'

/** Receives the events of a slot. */
export interface SlotListener extends LinkListener {
  /**
   * A link has been opened. `slot.spoken` gives the eras detected by then. `before` is the link that it replaces, if
   * that is still open: it gets no new calls, and is reported as lost after its last call.
   */
  onOpen(slot: LinkSlot, link: Link, before?: Link): void
  /** A link could not be opened, or did not last, so the next one is opened after a back-off. */
  onUnreachable(slot: LinkSlot, error: GatewayError): void
  /** A link that was opened is being closed. It may have been lost before. */
  onClose?(link: Link): void
}

export interface SlotOptions extends LinkCredentials {
  readonly server: ServerConfig
  readonly replica: Replica
  readonly key: SlotKey
  readonly listener: SlotListener
  readonly deadlines: Deadlines
  readonly logger: Logger
  readonly clientInfo: string
  /** As `spoken` of the slot; default: unknown. */
  readonly spoken?: Spoken
  /** Spare processes. */
  readonly warmPool?: WarmPool | undefined
  readonly now?: () => number
}

/** How often a slot with subscriptions looks whether what it lacked for its link is there by now. */
const LOOK_MS = 30_000

/**
 * A slot for one link to a server: opened on first use, closed when idle, re-opened with back-off. During a back-off,
 * calls fail at once with the cause of the last failure. A link whose process uses too much memory is replaced.
 */
export class LinkSlot implements Deadline {
  heapIndex: number | undefined
  due: number | undefined
  readonly server: ServerConfig
  readonly replica: Replica
  #key: SlotKey
  readonly #options: SlotOptions
  /** The listener of its links. */
  readonly #listener: SlotListener
  readonly #now: () => number
  readonly #retiring: RetiringLinks
  #state: SlotState = { kind: 'idle' }
  #openedAt = 0
  readonly #starts: RestartBackoff
  readonly #replacement: ProcessReplacement
  #pins = 0
  /** Whether only the gateway itself waits for the link that is being opened. */
  #onlyToList = false
  /** Number of calls that hold its link. */
  #leases = 0
  #retireAfterUse = false
  /** Sessions lost in a row, each soon after it was opened. */
  #losses = 0
  #openings = 0
  #lastLoss = ''
  readonly #restart: RestartTimer
  readonly #closing = new AbortController()
  #spoken: Spoken

  constructor(options: SlotOptions) {
    this.#options = options
    this.#listener = {
      ...options.listener,
      onMemoryLimitExceeded: (link, bytes) => this.#outgrown(link, bytes),
    }
    this.server = options.server
    this.replica = options.replica
    this.#key = options.key
    this.#spoken = options.spoken ?? UNKNOWN
    this.#now = options.now ?? monotonicNow
    this.#restart = new RestartTimer(this.#now, () => this.#startAgain())
    this.#retiring = new RetiringLinks(options.deadlines, options.logger, link =>
      options.listener.onClose?.(link),
    )
    // An address is tried again at least every minute, because that starts no process.
    const isProcess = options.replica.traits.process
    this.#starts = new RestartBackoff(() => (isProcess ? options.server.restartLimit : Infinity))
    this.#replacement = new ProcessReplacement({
      ...options,
      open: () => this.#open(),
      take: (opened, before) => this.#succeed(opened, before),
    })
  }

  get key(): SlotKey {
    return this.#key
  }

  /** Its link turns out to be the shared one of this key. */
  shareAs(key: SlotKey): void {
    this.#key = key
    this.current?.share(key.capabilities)
  }

  /** The eras with which the handshake begins. The handshake corrects them. */
  get spoken(): Spoken {
    return this.#spoken
  }

  /** More is known of the server: what it speaks, or that this is unknown again. */
  assume(spoken: Spoken): void {
    this.#spoken = spoken
  }

  get state(): SlotState {
    return this.#state
  }

  /** The open link. Does not open one. */
  get current(): Link | undefined {
    return this.#state.kind === 'ready' && this.#state.link.usable ? this.#state.link : undefined
  }

  /**
   * A usable link: at once if one is open, otherwise after opening one. `list`: for the gateway's own lists. @throws
   * GatewayError `upstream_*`
   */
  pick(purpose: 'use' | 'list' = 'use'): Link | Promise<Link> {
    const state = this.#state
    if (state.kind === 'ready' && state.link.usable) return state.link
    if (state.kind === 'starting') {
      if (purpose === 'use') this.#onlyToList = false
      return state.opening
    }
    if (state.kind === 'closed') return Promise.reject(shuttingDown(this.server.name))
    if (state.kind === 'failed' || state.kind === 'stopped') {
      const wait = state.nextTry - this.#now()
      if (wait > 0) return Promise.reject(backingOff(state.error, wait))
    }
    return this.#start(purpose)
  }

  /** Whether the open link has replaced an earlier one, so that notifications may have been missed in between. */
  get reopened(): boolean {
    return this.#openings > 1
  }

  holds(link: Link): boolean {
    return this.#state.kind === 'ready' && this.#state.link === link
  }

  /** Whether nothing is lost when it is closed. */
  get evictable(): boolean {
    const { kind } = this.#state
    return (
      this.#pins === 0 &&
      this.#leases === 0 &&
      (kind === 'idle' ||
        kind === 'failed' ||
        kind === 'stopped' ||
        (this.#state.kind === 'ready' && this.#state.link.inFlight === 0))
    )
  }

  /** Whether only the gateway's own lists use its link, or wait for it. They can be fetched over another link. */
  get yields(): boolean {
    if (this.#pins > 0 || this.#leases > 0) return false
    if (this.#state.kind === 'starting') return this.#onlyToList
    return this.#state.kind === 'ready' && this.#state.link.onlyLists
  }

  /** When its link was last used, in milliseconds of `monotonicNow()`. 0 without a link. */
  get lastUsed(): number {
    return this.#state.kind === 'ready' ? this.#state.link.lastUsed : 0
  }

  /** Time from which a call opens it again, by `monotonicNow`. `undefined`: the next call does. */
  get nextTry(): number | undefined {
    return this.#state.kind === 'failed' || this.#state.kind === 'stopped' ? this.#state.nextTry : undefined
  }

  /** Time at which it opens without a call, by `monotonicNow`. `undefined`: only a call opens it. */
  get startsAt(): number | undefined {
    return this.nextTry !== undefined && this.#pins > 0 ? this.#restart.at : undefined
  }

  /** Whether a call holds its link. */
  get leased(): boolean {
    return this.#leases > 0
  }

  /** Whether it is to be closed at the end of its last lease. */
  get retireAfterUse(): boolean {
    return this.#retireAfterUse
  }

  /** Lends its link to a call until `giveBack`. */
  lease(): void {
    this.#leases++
  }

  giveBack(): void {
    this.#leases--
  }

  /** While pinned (subscriptions), the link is neither closed when idle nor left closed after a failure. */
  pin(): void {
    this.#pins++
  }

  unpin(): void {
    this.#pins--
    this.#watchIdle()
  }

  /** Forgets failures, so that the next call tries at once. A pinned slot tries at once without a call. */
  forgive(): void {
    this.#starts.forget()
    if (this.nextTry === undefined) return
    this.#set({ kind: 'idle' })
    if (this.#pins > 0) this.#restart.in(0)
  }

  /** Handles the loss of the link. Called by the listener of links. */
  lost(link: Link, error: GatewayError): void {
    if (!this.holds(link)) return
    const openMs = this.#now() - this.#openedAt
    // The next server to answer may be of the other era.
    this.#spoken = afterLoss(this.#spoken)
    this.#retiring.leave(link)
    if (error.code === 'session_lost') {
      // The server itself has no problem. It only has to be greeted again.
      this.#set({ kind: 'idle' })
      this.#losses = openMs >= LASTED_MS ? 0 : this.#losses + 1
      if (this.#pins > 0) this.#restart.in(this.#losses < 2 ? 0 : restartMs(this.#losses - 2))
      return
    }
    const cause = describeError(error)
    // A process that ends after each start is logged once with its reason.
    const again = openMs < LASTED_MS && cause === this.#lastLoss
    this.#options.logger[again ? 'debug' : 'warn']('The server is gone.', { cause })
    this.#lastLoss = cause
    const backoff = this.#starts.ended(openMs, link.answered)
    // A spare process has already started, so there is no start to delay, except in a crash loop.
    const ready = !this.#starts.looping && this.#options.warmPool?.fits(this.replica, this.#key)
    const delay = ready ? 0 : backoff
    const failure = this.#fail(error, delay)
    if (delay > 0) this.#options.listener.onUnreachable(this, failure)
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
    this.stop()
  }

  /** Ends the link despite calls in flight, which end with the reason. The next call opens another one. */
  stop(reason?: GatewayError): void {
    if (this.#state.kind !== 'ready') return
    const { link } = this.#state
    this.#starts.stopped(this.#now() - this.#openedAt)
    this.#set({ kind: 'idle' })
    this.#retiring.leave(link, reason)
  }

  /** Applies changed settings of its server. `forgiven`: with these it may start although it did not before. */
  reconfigured(forgiven: boolean): void {
    if (forgiven) this.forgive()
    if (this.server.idleMs === 0) this.#options.deadlines.remove(this)
    else this.#watchIdle()
  }

  /** Opens a link if the slot is pinned and waits for one. */
  resume(): void {
    if (this.#pins > 0 && this.#state.kind === 'idle') void this.#start()
  }

  /** `reason`: the error of calls in flight. */
  async close(reason?: GatewayError): Promise<void> {
    const state = this.#state
    if (state.kind !== 'closed') {
      this.#set({ kind: 'closed' })
      this.#closing.abort()
      this.#restart.stop()
      this.#options.deadlines.remove(this)
      if (state.kind === 'ready') this.#retiring.leave(state.link, reason)
      if (state.kind === 'starting') await state.opening.catch(() => undefined)
    }
    await this.#replacement.settled()
    await this.#retiring.close(reason)
  }

  #start(purpose: 'use' | 'list' = 'use'): Promise<Link> {
    this.#onlyToList = purpose === 'list'
    const opening = this.#connect()
    this.#set({ kind: 'starting', opening, failed: startErrorOf(this.#state) })
    // Callers get the failure through `opening`. A start without callers must not end the process.
    opening.catch(() => undefined)
    return opening
  }

  async #connect(): Promise<Link> {
    let opened
    try {
      opened = await this.#open()
    } catch (caught) {
      const error = GatewayError.from(caught, this.server.name)
      // A server that was reached but could not be greeted may be of the other era now. An unreachable server is no
      // evidence of that.
      if (error.code === 'upstream_protocol' || error.code === 'upstream_closed') this.#spoken = UNKNOWN
      if (this.#state.kind === 'closed') throw this.#onlyToList ? closed(this.server.name, 'not_sent') : error
      const failure = isOwners(error) ? this.#lack(error) : this.#fail(error, this.#starts.startFailed())
      this.#options.listener.onUnreachable(this, failure)
      throw failure
    }
    if (this.#state.kind === 'closed') {
      await opened.link.close()
      throw shuttingDown(this.server.name)
    }
    return this.#use(opened, undefined)
  }

  /** A spare process, or else a new one. */
  #open(): Promise<Connected> {
    const { server, replica, deadlines, logger, clientInfo, warmPool, endpointFor } = this.#options
    const listener = this.#listener
    const warm = warmPool?.take(replica, this.#key, listener)
    if (warm) return Promise.resolve(warm)
    const { capabilities, owner, principal, era } = this.#key
    const { signal } = this.#closing
    const options = { server, replica, listener, deadlines, logger, clientInfo, capabilities, owner, signal }
    try {
      const credentials = this.#options.credentials?.(server, principal, replica.endpoint)
      const endpoint = endpointFor?.(replica.endpoint, server, principal) ?? replica.endpoint
      return connect({ ...options, principal, credentials, endpoint }, era, this.#spoken)
    } catch (error) {
      return Promise.reject(error as GatewayError)
    }
  }

  #use({ link, shown }: Connected, before: Link | undefined): Link {
    const { listener, logger } = this.#options
    this.#openedAt = this.#now()
    this.#openings++
    this.#spoken = { ...this.#spoken, ...shown }
    this.#set({ kind: 'ready', link })
    logger.info('Connected.', {
      transport: link.transport.kind,
      era: link.peer.era,
      version: link.peer.protocolVersion,
    })
    this.#watchIdle()
    listener.onOpen(this, link, before)
    return link
  }

  /** @returns the error for the callers */
  #fail(error: GatewayError, delayMs: number): GatewayError {
    const { looping, inARow } = this.#starts
    const failure = looping ? inCrashLoop(this.server.name, inARow, error) : error
    const nextTry = this.#now() + delayMs
    this.#set({ kind: looping ? 'stopped' : 'failed', error: failure, attempts: inARow, nextTry })
    if (this.#starts.loopBegins)
      this.#options.logger.error('The server is in a crash loop.', { cause: describeError(failure), delayMs })
    if (this.#pins > 0) this.#restart.in(delayMs)
    return failure
  }

  /** What the link would present is not there. The next call tries again, because a person may have provided it. */
  #lack(error: GatewayError): GatewayError {
    this.#set({ kind: 'failed', error, attempts: 0, nextTry: this.#now() })
    if (this.#pins > 0) this.#restart.in(LOOK_MS)
    return error
  }

  #outgrown(link: Link, bytes: number): void {
    if (!this.holds(link) || this.#retireAfterUse) return
    if (!this.#replacement.due(link, bytes, this.#now() - this.#openedAt, this.#now())) return
    if (!this.#key.exclusive) this.#replacement.begin(link, this.#now)
    // The call holds it exclusively, so a second link beside it has no benefit.
    else if (this.#leases > 0) this.#retireAfterUse = true
    else {
      this.#set({ kind: 'idle' })
      this.#retiring.leave(link)
    }
  }

  #succeed(opened: Connected, before: Link): boolean {
    const { kind } = this.#state
    if (kind === 'closed' || kind === 'starting' || (kind === 'ready' && !this.holds(before))) return false
    if (kind !== 'ready') this.#use(opened, undefined)
    else {
      this.#retiring.retire(before, reason => this.#options.listener.onLost(before, reason))
      this.#use(opened, before)
    }
    return true
  }

  #startAgain(): void {
    const { kind } = this.#state
    if (this.#pins > 0 && kind !== 'starting' && kind !== 'ready' && kind !== 'closed') void this.#start()
  }

  #watchIdle(): void {
    if (this.server.idleMs > 0 && this.#state.kind === 'ready')
      this.#options.deadlines.set(this, this.server.idleMs)
  }

  #set(state: SlotState): void {
    this.#state = state
  }
}

/** Whether a link fails for lack of what its owner has to provide, and not because of the server. */
function isOwners({ code }: GatewayError): boolean {
  return code === 'needs_login' || code === 'missing_value'
}
