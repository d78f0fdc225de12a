import type { ServerConfig } from '../../config/types.ts'
import { monotonicNow } from '../../core/clock.ts'
import type { GatewayError } from '../../core/errors.ts'
import { UNHEARD } from '../../core/event-bus.ts'
import type { Conversation, Exchange } from '../../core/exchange.ts'
import type { Principal } from '../../core/principal.ts'
import { removedServer } from '../../core/removed-server.ts'
import { shuttingDown } from '../../core/shutting-down.ts'
import { askable } from '../../protocol/capabilities.ts'
import type { Era } from '../../protocol/revisions.ts'
import { isUnknown, UNKNOWN, type Spoken } from '../../protocol/spoken.ts'
import { HealthChecks } from './health-checks.ts'
import { SlotLimits } from './slot-limits.ts'
import type { Link } from '../link/link.ts'
import { unsteadyEra } from '../link/link-errors.ts'
import { ExclusiveLinks } from './exclusive-links.ts'
import { keyFor, type Caller } from '../replica/isolation.ts'
import type { Replica } from '../replica/replica.ts'
import { NoRoom, toGiveUp } from './no-room.ts'
import { ReplicaSet, type ReplicaChoice } from '../replica/replica-set.ts'
import type { PoolGatewaySettings, PoolOptions } from './pool-options.ts'
import { PoolEvents } from './pool-events.ts'
import { ReplicaMembership } from './membership.ts'
import type { SlotKey } from '../replica/slot-key.ts'
import { LinkLease } from './lease.ts'
import { LiveSettings } from './live-settings.ts'
import { LinkSlot } from './link-slot.ts'
import type { SlotState } from './slot-state.ts'
import { WarmPool } from './warm-pool.ts'
import { BackgroundStart } from '../replica/start-beside.ts'

/** How often a call moves to another link because the server turns out to be of another era. */
const MAX_MISFITS = 3

/** The links of one server, over all of its replicas: their owners (`isolation.ts`), their number, and their choice. */
export class Pool {
  readonly server: ServerConfig
  readonly #live: LiveSettings
  readonly #options: PoolOptions
  readonly #slots = new Map<string, LinkSlot>()
  readonly #starting: BackgroundStart
  readonly #warmPool: WarmPool
  readonly #exclusive: ExclusiveLinks
  readonly #counted: SlotLimits
  readonly #closing = new Set<Promise<void>>()
  readonly replicas: ReplicaSet
  readonly #checks: HealthChecks
  /** The current replicas. */
  readonly membership: ReplicaMembership
  #closed = false

  constructor(given: PoolOptions) {
    const poolEvents = new PoolEvents(given.events ?? UNHEARD, given.server.name)
    this.#live = new LiveSettings(given.server)
    this.server = this.#live.settings
    const options = { ...given, server: this.server }
    this.#options = { ...options, listener: poolEvents.links(options.listener) }
    this.replicas = new ReplicaSet(options.server, options.zone, (replica, cause) =>
      poolEvents.turned(replica, cause),
    )
    this.#starting = new BackgroundStart({
      replicas: this.replicas,
      runs: ({ common, modern }) => [common, modern].some(({ id }) => this.#slots.get(id)?.current),
      start: replica => this.#at(replica.own, replica, undefined).pick(),
    })
    this.#warmPool = new WarmPool({
      ...options,
      hasRoom: () => this.#processes < this.server.maxLinks,
      lastUse: () => this.#lastUse(),
    })
    this.#counted = new SlotLimits({
      clientLinks: options.clientLinks,
      remove: slot => this.#remove(slot),
    })
    this.#exclusive = new ExclusiveLinks(options.server, options.deadlines)
    this.#checks = new HealthChecks({
      replicas: this.replicas,
      link: replica => this.#linkTo(replica),
      inUse: () => this.#slots.size > 0,
      onChanged: () => this.#options.onReplicasChanged?.(),
      logger: options.logger,
    })
    this.membership = new ReplicaMembership({
      ...options,
      replicas: this.replicas,
      slots: () => this.#slots.values(),
      isSpare: slot => slot.evictable,
      events: poolEvents,
      remove: (slot, reason) => this.#remove(slot, reason),
      onEnded: (link, reason) => options.listener.onLost(link, reason),
      onChanged: () => {
        this.#warmPool.tidy()
        options.onReplicasChanged?.()
      },
    })
  }

  /** Slots of every replica, open or not. */
  get slots(): Iterable<LinkSlot> {
    return this.#slots.values()
  }

  /** The eras with which handshakes begin. They correct them. */
  assume(spoken: Spoken): void {
    for (const replica of this.replicas.list) this.#know(replica, spoken)
  }

  /** State for display, without removed replicas: ready if any link is, else that of the shared link, else of any. */
  get state(): SlotState {
    let state: SlotState | undefined
    for (const slot of this.#slots.values()) {
      if (!this.replicas.list.includes(slot.replica)) continue
      if (slot.current) return slot.state
      if (!state || slot.key === slot.replica.own || state.kind === 'idle') state = slot.state
    }
    return state ?? { kind: this.#closed ? 'closed' : 'idle' }
  }

  /** An open link, preferably to a replica whose tools do not differ. Does not open one. */
  get current(): Link | undefined {
    let other: Link | undefined
    for (const { current, replica } of this.#slots.values()) {
      if (!current || replica.drained) continue
      if (!replica.missingTools) return current
      other ??= current
    }
    return other
  }

  /** Every open link. */
  get links(): Link[] {
    return [...this.#slots.values()].flatMap(slot => slot.current ?? [])
  }

  /** Number of links that are open or being opened. */
  get size(): number {
    return this.#slots.size
  }

  /** A link for the gateway's own requests: the one that `exchange` will use, or any open one, or a shared one. */
  any(exchange?: Exchange): Link | Promise<Link> {
    const { pending } = this.membership
    if (exchange) return pending ? pending.then(() => this.#fitting(exchange)) : this.#fitting(exchange)
    const { current } = this
    if (current) return current
    if (pending) return pending.then(() => this.any())
    const replica = this.#starting.choose(undefined, undefined)
    try {
      return this.#at(replica.own, replica, undefined).pick('list')
    } catch (error) {
      // A link that a call is waiting for serves for the lists, too.
      for (const slot of this.#slots.values()) if (slot.state.kind === 'starting') return slot.pick('list')
      throw error
    }
  }

  async #fitting(exchange: Exchange): Promise<Link> {
    for (let misfits = 0; ; misfits++) {
      const slot = this.slot(exchange)
      const link = await slot.pick('list')
      // What is known now may lead to another slot.
      if (misfits === MAX_MISFITS || this.slot(exchange) === slot) return link
      this.#dismiss(slot)
    }
  }

  /**
   * A link for the call, at once if one is open. An isolated call holds it exclusively until it returns it.
   * @throws GatewayError `upstream_*`, `overloaded`, at once or as a rejection
   */
  acquire(exchange: Exchange, choice?: ReplicaChoice): LinkLease | Promise<LinkLease> {
    return this.#acquire(exchange, choice, 0)
  }

  #acquire(
    exchange: Exchange,
    choice: ReplicaChoice | undefined,
    misfits: number,
    force = false,
  ): LinkLease | Promise<LinkLease> {
    const { pending, retired } = this.membership
    if (retired) throw removedServer(this.server.name)
    if (pending) return pending.then(() => this.#acquire(exchange, choice, misfits, force))
    try {
      const replica = this.#starting.choose(exchange, choice?.excluded)
      if (choice) choice.replica = replica
      const key = this.#keyFor(exchange, replica)
      if (key.exclusive) return this.#acquireAlone(exchange, choice, misfits, key, replica)
      const slot = this.#at(key, replica, exchange.principal, force)
      const picked = slot.pick()
      return picked instanceof Promise
        ? picked.then(link => this.#fitted(exchange, choice, misfits, slot, link))
        : this.#lease(picked, slot)
    } catch (error) {
      if (force || !(error instanceof NoRoom) || !error.passes) throw error
      return error.passed(exchange).then(() => this.#acquire(exchange, choice, misfits, true))
    }
  }

  /** After the greeting, the call may need another link: the era is another than assumed, or there are sessions. */
  #fitted(
    exchange: Exchange,
    choice: ReplicaChoice | undefined,
    misfits: number,
    slot: LinkSlot,
    link: Link,
  ): LinkLease | Promise<LinkLease> {
    if (!slot.holds(link) || slot.key.id === this.#keyFor(exchange, slot.replica).id)
      return this.#lease(link, slot)
    return this.#acquireAfter(exchange, choice, misfits, slot)
  }

  #keyFor(exchange: Exchange, replica: Replica): SlotKey {
    return keyFor(this.server, exchange, askable(exchange.features, this.server.roots), replica)
  }

  /** A link for a call that the one opened for it turns out not to fit. */
  #acquireAfter(
    exchange: Exchange,
    choice: ReplicaChoice | undefined,
    misfits: number,
    slot: LinkSlot,
  ): LinkLease | Promise<LinkLease> {
    this.#dismiss(slot)
    if (misfits === MAX_MISFITS) throw unsteadyEra(this.server.name)
    this.replicas.remember(exchange, slot.replica)
    return this.#acquire(exchange, choice, misfits + 1)
  }

  /** Closes a link that was opened but turned out to be the wrong one, unless it is in use. */
  #dismiss(slot: LinkSlot): void {
    if (slot.key.shared !== undefined || !slot.replica.traits.process) return
    setImmediate(() => {
      if (this.#slots.get(slot.key.id) === slot && slot.evictable) this.#remove(slot)
    })
  }

  /** The slot for the gateway's own requests on behalf of a call. */
  slot(exchange: Exchange): LinkSlot {
    return this.#several(exchange, this.#starting.chooseTypical(exchange))
  }

  /** The slot for a client's subscriptions beyond one call, at `replica`. May change when more is known. */
  standing(caller: Caller, replica = this.replicas.standingFor(caller)): LinkSlot {
    return this.#several(caller, replica, true)
  }

  /** The slot for several concurrent requests of a caller, even if its calls have one each. */
  #several(caller: Caller, replica: Replica, lasting = false): LinkSlot {
    const { roots, isolation, perClient } = this.server
    const key =
      isolation === 'call'
        ? keyFor({ roots, perClient, isolation: 'client' }, caller, '', replica, lasting)
        : keyFor(this.server, caller, askable(caller.features, roots), replica, lasting)
    return this.#at(key, replica, caller.principal, lasting)
  }

  /** The slot of a link, as long as the link takes new calls. */
  slotOf(link: Link): LinkSlot | undefined {
    for (const slot of this.#slots.values()) if (slot.holds(link)) return slot
    return undefined
  }

  /** Handles a link that takes no new calls. Called by the listener of links. */
  lost(link: Link, error: GatewayError): void {
    if (error.code === 'session_lost') {
      // The next server to answer may be of the other era. Until that is known, clients that may not share a link do
      // not.
      const { replica } = link
      replica.forgot()
      this.#know(replica, UNKNOWN)
    } else if (!link.replica.drained) this.#failedAt(link.replica, error)
    this.slotOf(link)?.lost(link, error)
  }

  opened(slot: LinkSlot, link: Link): void {
    const { replica } = slot
    const { era } = link.peer
    if (replica.health.reachable(monotonicNow())) this.#options.onReplicasChanged?.()
    replica.greeted(link.peer, link.transport.sessionful)
    this.#know(replica, slot.spoken)
    this.#fit(slot, era)
    this.#checks.start()
    // A link that was opened only to list the server is not needed beside one that is used.
    const common = this.#slots.get(replica.common.id)
    if (era === 'legacy' && common && common !== slot && common.evictable) this.#remove(common)
    this.#warmPool.fill(replica, era)
  }

  /** The server is of another era than wanted: the link becomes the shared one of that era, unless there is one. */
  #fit(slot: LinkSlot, era: Era): void {
    const { common, modern } = slot.replica.sharedKeys(slot.key.principal)
    const key = era === 'modern' ? modern : slot.key.shared === 'modern' ? common : slot.key
    if (key.id === slot.key.id) return
    const there = this.#slots.get(key.id)
    if (there && (there.current || !there.evictable)) return
    if (there) this.#remove(there)
    this.#slots.delete(slot.key.id)
    this.#counted.delete(slot)
    slot.shareAs(key)
    this.#slots.set(key.id, slot)
  }

  /** An open link for a check, also of an ejected replica; otherwise a link that is opened for it. */
  #linkTo(replica: Replica): Link | Promise<Link> | undefined {
    for (const slot of this.#slots.values()) if (slot.replica === replica && slot.current) return slot.current
    return replica.health.state === 'ejected' ? this.#at(replica.own, replica, undefined).pick() : undefined
  }

  /** Whether a failure says nothing of the replica: only of what its caller, or the gateway, presents to it. */
  #concernsOwner({ health }: Replica, { code, message }: GatewayError): boolean {
    const { perClient } = this.server
    if (code === 'missing_value') return true
    if (code === 'needs_login' && !perClient) health.loggedOut(message, monotonicNow())
    return code === 'needs_login' || (perClient && code === 'upstream_unauthorized')
  }

  #failedAt(replica: Replica, { code, message, kind }: GatewayError): void {
    const { countsAgainstHealth } = kind
    if (replica.health.failed({ code, message, countsAgainstHealth }, monotonicNow()))
      this.#options.onReplicasChanged?.()
  }

  /** Handles a link that could not be opened, or did not last. Called by the listener of slots. */
  unreachable(slot: LinkSlot, error: GatewayError): void {
    const { replica, nextTry } = slot
    if (error.code === 'shutting_down' || this.#concernsOwner(replica, error)) return
    // If another process of the same command runs well, the failure concerns this process only.
    if (replica.traits.process && this.#hasLink(replica)) return
    if (error.code === 'upstream_unauthorized') this.#failedAt(replica, error)
    else if (replica.health.unreachable(error.message, monotonicNow(), nextTry))
      this.#options.onReplicasChanged?.()
    this.membership.unreachable()
  }

  #hasLink(replica: Replica): boolean {
    for (const slot of this.#slots.values()) if (slot.replica === replica && slot.current) return true
    return false
  }

  #know(replica: Replica, spoken: Spoken): void {
    replica.assume(spoken)
    for (const slot of this.#slots.values()) if (slot.replica === replica) slot.assume(spoken)
  }

  /**
   * Applies other settings. Timeouts and limits apply from the next use on. A replica whose links would differ is
   * replaced: calls in flight finish on the old links, for as long as the gateway's `drainTimeout` allows.
   */
  reconfigure(server: ServerConfig, gateway: PoolGatewaySettings): void {
    const differs = this.#live.update(server)
    this.membership.configure(gateway)
    this.replicas.reconfigured(gateway.zone)
    this.membership.reconfigured(differs)
    this.#checks.reconfigured()
    this.#warmPool.resize(differs.starts)
    for (const slot of this.#slots.values()) {
      slot.reconfigured(differs.starts)
      if (!this.replicas.list.includes(slot.replica)) this.#counted.delete(slot)
      else if (slot.current) this.#warmPool.fill(slot.replica, slot.current.peer.era)
    }
    // Sharing of links may have changed, or a replica may be tried again.
    if (differs.isolation || (differs.starts && this.replicas.tryNow())) this.#options.onReplicasChanged?.()
  }

  /** Ends the links that served only this session, because it has ended. */
  leave(conversation: Conversation): void {
    this.replicas.forget(conversation.id)
    for (const slot of this.#slots.values()) if (slot.key.owner === conversation) this.#remove(slot)
  }

  /**
   * Ends the pool, because the server is removed. Its links end with their last calls, within the gateway's
   * `drainTimeout`. Resolves then.
   */
  async retire(): Promise<void> {
    await this.membership.retire()
    await this.close()
  }

  async close(): Promise<void> {
    this.#closed = true
    this.#checks.close()
    this.membership.close()
    for (const slot of this.#slots.values()) this.#remove(slot)
    this.#exclusive.close()
    await Promise.all([...this.#closing, this.#warmPool.close()])
  }

  async #acquireAlone(
    exchange: Exchange,
    choice: ReplicaChoice | undefined,
    misfits: number,
    group: SlotKey,
    replica: Replica,
  ): Promise<LinkLease> {
    const checkOut = (force: boolean): Promise<LinkSlot> =>
      this.#exclusive.checkOut(exchange, number =>
        this.#at({ ...group, id: `${group.id} ${number}` }, replica, exchange.principal, force),
      )
    const slot = await checkOut(false).catch(async (error: unknown) => {
      if (!(error instanceof NoRoom) || !error.passes) throw error
      await error.passed(exchange)
      return await checkOut(true)
    })
    try {
      const link = await slot.pick()
      if (!slot.holds(link) || this.#keyFor(exchange, replica).exclusive)
        return new LinkLease(link, slot, this.#returned)
    } catch (error) {
      slot.giveBack()
      this.#returned(slot)
      throw error
    }
    // The greeting has shown that the server keeps nothing for a single call, so the call shares a link.
    slot.giveBack()
    this.#exclusive.wake()
    return await this.#acquireAfter(exchange, choice, misfits, slot)
  }

  #lease(link: Link, slot: LinkSlot): LinkLease {
    slot.lease()
    return new LinkLease(link, slot)
  }

  /** Late messages of the server about a cancelled call must not reach the next call. */
  readonly #returned = (slot: LinkSlot): void => {
    if (slot.current?.hasCancelledCalls || slot.retireAfterUse) this.#remove(slot)
    this.#exclusive.wake()
  }

  /** @param force whether a link that the gateway lists over makes room */
  #at(key: SlotKey, replica: Replica, principal: Principal | undefined, force = false): LinkSlot {
    const known = this.#slots.get(key.id) ?? this.#greeting(key, replica)
    if (known) return known
    const { server, listener, deadlines, logger, clientInfo, credentials, endpointFor } = this.#options
    if (this.#closed) throw shuttingDown(server.name)
    const isShared = key.shared !== undefined && key.principal === undefined
    const counts = principal !== undefined && !isShared
    if (counts && !this.#counted.admits(principal, force))
      throw new NoRoom(
        `Client "${principal.name}" has ${this.#options.clientLinks.max} links to servers in use, which is the most it may have. Try again later, or raise "gateway.maxLinksPerClient".`,
        server.name,
        this.#counted.of(principal),
      )
    const full = this.#processes >= server.maxLinks && !this.#warmPool.fits(replica, key)
    if (full && !this.#warmPool.discard() && !this.#evict(force))
      throw new NoRoom(
        `Server "${server.name}" has ${server.maxLinks} links in use, which is the most there may be. Try again later, or raise "maxLinks" of this server.`,
        server.name,
        this.#slots.values(),
      )
    const warmPool = this.#warmPool
    const { spoken } = replica
    const slot = new LinkSlot({
      server,
      replica,
      key,
      listener,
      deadlines,
      logger,
      clientInfo,
      spoken,
      warmPool,
      credentials,
      endpointFor,
    })
    this.#slots.set(key.id, slot)
    if (counts) this.#counted.add(slot, principal)
    return slot
  }

  /** Until a server has been greeted, its shared link is unknown, and it is greeted only once. */
  #greeting({ shared, principal }: SlotKey, replica: Replica): LinkSlot | undefined {
    if (shared === undefined || !isUnknown(replica.spoken)) return undefined
    const { common, modern } = replica.sharedKeys(principal)
    return this.#slots.get(shared === 'legacy' ? modern.id : common.id)
  }

  /** Links that are open, being opened, or spare. Those of removed replicas end soon and do not count. */
  get #processes(): number {
    let size = this.#warmPool.size
    for (const { replica } of this.#slots.values()) if (this.replicas.list.includes(replica)) size++
    return size
  }

  #lastUse(): number {
    let last = 0
    for (const slot of this.#slots.values())
      last = Math.max(last, slot.evictable ? slot.lastUsed : monotonicNow())
    return last
  }

  /** Makes room by closing a link (`toGiveUp`). */
  #evict(force: boolean): boolean {
    const slot = toGiveUp(this.#slots.values(), force)
    if (slot) this.#remove(slot)
    return slot !== undefined
  }

  #remove(slot: LinkSlot, reason?: GatewayError): void {
    this.#slots.delete(slot.key.id)
    this.#counted.delete(slot)
    const closing = slot.close(reason).then(() => {
      this.#closing.delete(closing)
    })
    this.#closing.add(closing)
  }
}
