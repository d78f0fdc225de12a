import type { ServerConfig } from '../config/types.ts'
import { monotonicNow } from '../core/clock.ts'
import { GatewayError } from '../core/errors.ts'
import type { Conversation, Exchange } from '../core/exchange.ts'
import type { Principal } from '../core/principal.ts'
import { askable } from '../protocol/features.ts'
import type { Era } from '../protocol/revisions.ts'
import { Checks } from './checks.ts'
import type { ClientLinks, CountedLink } from './client-links.ts'
import type { Link } from './link.ts'
import { closed } from './link-errors.ts'
import { ExclusiveSlots } from './exclusive.ts'
import { clientOf, keyFor, type Caller } from './isolation.ts'
import type { Replica } from './replica.ts'
import { Replicas, type Aim } from './replicas.ts'
import { Roster, type RosterOptions } from './roster.ts'
import type { SlotKey } from './slot-key.ts'
import { Slot, type SlotListener, type SlotState } from './slot.ts'
import { Spares } from './spares.ts'
import { StartBeside } from './start-beside.ts'

export interface PoolOptions extends Pick<RosterOptions, 'dns' | 'drainTimeoutMs' | 'deadlines' | 'logger'> {
  readonly server: ServerConfig
  readonly listener: SlotListener
  readonly clientInfo: string
  /** Of all pools together. */
  readonly clientLinks: ClientLinks
  /** Where the gateway is; replicas there are preferred. */
  readonly zone?: string | undefined
  /** A replica can be used no longer, or again: what stands on one may have to stand on another. */
  readonly onReplicasChanged?: () => void
}

/** The links of one server, at whichever of its replicas: whose each one is (`isolation.ts`), how many there may be, and which call uses which. */
export class Pool {
  readonly server: ServerConfig
  readonly #options: PoolOptions
  readonly #slots = new Map<string, Slot>()
  readonly #starting: StartBeside
  readonly #spares: Spares | undefined
  readonly #exclusive: ExclusiveSlots
  /** For which client a slot counts. */
  readonly #counted = new Map<Slot, { readonly client: string; readonly link: CountedLink }>()
  readonly #closing = new Set<Promise<void>>()
  readonly replicas: Replicas
  readonly #checks: Checks
  /** Which replicas there are at this moment. */
  readonly roster: Roster
  #closed = false

  constructor(options: PoolOptions) {
    this.#options = options
    this.server = options.server
    this.replicas = new Replicas(options.server, options.zone)
    this.#starting = new StartBeside({
      replicas: this.replicas,
      runs: ({ common }) => this.#slots.get(common.id)?.current !== undefined,
      start: replica => this.#at(replica.common, replica, undefined).pick(),
    })
    if (options.server.spares > 0)
      this.#spares = new Spares({
        ...options,
        hasRoom: () => this.#processes < this.server.maxLinks,
        lastUse: () => this.#lastUse(),
      })
    this.#exclusive = new ExclusiveSlots(options.server, options.deadlines)
    this.#checks = new Checks({
      replicas: this.replicas,
      link: replica => this.#linkTo(replica),
      inUse: () => this.#slots.size > 0,
      onChanged: () => this.#options.onReplicasChanged?.(),
      logger: options.logger,
    })
    this.roster = new Roster({
      ...options,
      replicas: this.replicas,
      slots: () => this.#slots.values(),
      isSpare: slot => this.#spare(slot),
      remove: slot => this.#remove(slot),
      onEnded: link => options.listener.onLost(link, closed(this.server.name, 'unknown')),
      onChanged: () => {
        this.#spares?.tidy()
        options.onReplicasChanged?.()
      },
    })
  }

  /** Places for links, open or not, at whatever replica. */
  get slots(): Iterable<Slot> {
    return this.#slots.values()
  }

  /** Era to start with; a wrong one is corrected by the handshake. */
  set era(era: Era | undefined) {
    for (const replica of this.replicas.list) replica.era = era
    for (const slot of this.#slots.values()) slot.era = era
  }

  /** State for people: ready when any link is, else that of the common one, else of any. */
  get state(): SlotState {
    let state: SlotState | undefined
    for (const slot of this.#slots.values()) {
      if (slot.current) return slot.state
      if (!state || slot.key === slot.replica.common || state.kind === 'idle') state = slot.state
    }
    return state ?? { kind: this.#closed ? 'closed' : 'idle' }
  }

  /** An open link, without starting one; best at a replica that offers what the others do. */
  get current(): Link | undefined {
    let other: Link | undefined
    for (const { current, replica } of this.#slots.values()) {
      if (!current || replica.drained) continue
      if (!replica.lacks) return current
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

  /** A link for the gateway's own requests: any that is open, else the one `exchange` will use, else a common one. */
  any(exchange?: Exchange): Link | Promise<Link> {
    const { current } = this
    if (current) return current
    const { pending } = this.roster
    if (pending) return pending.then(() => this.any(exchange))
    if (exchange) return this.slot(exchange).pick()
    const replica = this.#starting.choose(undefined, undefined)
    return this.#at(replica.common, replica, undefined).pick()
  }

  /**
   * Runs `use` with a link for the call. A call that must not meet others has the link to itself until `use` settles.
   * @throws GatewayError `upstream_*`, `overloaded`
   */
  run<T>(exchange: Exchange, use: (link: Link) => Promise<T>, aim?: Aim): Promise<T> {
    const { pending } = this.roster
    if (pending) return pending.then(() => this.run(exchange, use, aim))
    let replica: Replica
    let key: SlotKey
    let picked: Link | Promise<Link>
    try {
      replica = this.#starting.choose(exchange, aim?.leftOut)
      if (aim) aim.replica = replica
      key = keyFor(this.server, exchange, askable(exchange.features, this.server.roots), replica)
      if (key.exclusive) return this.#runAlone(exchange, key, replica, use)
      picked = this.#at(key, replica, exchange.principal).pick()
    } catch (error) {
      return Promise.reject(error as GatewayError)
    }
    return picked instanceof Promise
      ? picked.then(opened => this.#runFit(exchange, key, opened, use, aim))
      : use(picked)
  }

  /** What was believed to be harmless to share may have turned out not to be, now that the server has been greeted. */
  #runFit<T>(
    exchange: Exchange,
    key: SlotKey,
    link: Link,
    use: (link: Link) => Promise<T>,
    aim: Aim | undefined,
  ): Promise<T> {
    const { replica } = link
    if (
      key !== replica.common ||
      keyFor(this.server, exchange, askable(exchange.features, this.server.roots), replica) === replica.common
    )
      return use(link)
    this.replicas.remember(exchange, replica)
    return this.run(exchange, use, aim)
  }

  /** The slot whose link this call uses. */
  slot(exchange: Exchange): Slot {
    const replica = this.#starting.choose(exchange, undefined)
    const key = keyFor(this.server, exchange, askable(exchange.features, this.server.roots), replica)
    return this.#at(key, replica, exchange.principal)
  }

  /** The slot for what a client wants to hear beyond one call. Another one when more is known of the server. */
  standing(caller: Caller): Slot {
    const replica = this.replicas.standingFor(caller)
    const key = keyFor(this.server, caller, askable(caller.features, this.server.roots), replica)
    return this.#at(key.exclusive ? keyFor(this.server, caller, '', replica) : key, replica, caller.principal)
  }

  /** The slot that holds a link, as long as the link takes new calls. */
  slotOf(link: Link): Slot | undefined {
    for (const slot of this.#slots.values()) if (slot.holds(link)) return slot
    return undefined
  }

  /** A link takes no new calls; called by whoever listens to links. */
  lost(link: Link, error: GatewayError): void {
    if (error.code === 'session_lost') {
      // Whoever answers now may be of the other era; until that is known, nobody shares who might not.
      const { replica } = link
      replica.shape = undefined
      this.#eraAt(replica, undefined)
    } else if (!link.replica.drained) this.#failedAt(link.replica, error)
    this.slotOf(link)?.lost(link, error)
  }

  opened(slot: Slot, link: Link, era: Era | undefined): void {
    const { replica } = slot
    if (replica.health.reachable(monotonicNow())) this.#options.onReplicasChanged?.()
    replica.shape = { era: link.peer.era, kind: link.transport.kind, sessionful: link.transport.sessionful }
    if (era) this.#eraAt(replica, era)
    this.#checks.start()
    // What was opened only to list the server is not needed beside a link that somebody uses.
    const common = this.#slots.get(replica.common.id)
    if (common && common !== slot && common.spare) this.#remove(common)
    this.#spares?.fill(replica)
  }

  /** For a check: a link that is open; one that is ejected is not left out for want of one. */
  #linkTo(replica: Replica): Link | Promise<Link> | undefined {
    for (const slot of this.#slots.values()) if (slot.replica === replica && slot.current) return slot.current
    return replica.health.state === 'ejected'
      ? this.#at(replica.common, replica, undefined).pick()
      : undefined
  }

  #failedAt(replica: Replica, { code, message, kind }: GatewayError): void {
    const { countsAgainstHealth } = kind
    if (replica.health.failed({ code, message, countsAgainstHealth }, monotonicNow()))
      this.#options.onReplicasChanged?.()
  }

  /** A link to a replica could not be opened, or does not last; called by whoever listens to slots. */
  unreachable(slot: Slot, error: GatewayError): void {
    const { replica, nextTry } = slot
    if (error.code === 'shutting_down') return
    // Where another process of the same command is well, this one's trouble is its own.
    if (replica.endpoint.kind === 'stdio' && this.#hasLink(replica)) return
    if (error.code === 'upstream_unauthorized') this.#failedAt(replica, error)
    else if (replica.health.unreachable(error.message, monotonicNow(), nextTry))
      this.#options.onReplicasChanged?.()
    this.roster.unreachable()
  }

  #hasLink(replica: Replica): boolean {
    for (const slot of this.#slots.values()) if (slot.replica === replica && slot.current) return true
    return false
  }

  #eraAt(replica: Replica, era: Era | undefined): void {
    replica.era = era
    for (const slot of this.#slots.values()) if (slot.replica === replica) slot.era = era
  }

  /** A session has ended, and with it the links that served only it. */
  leave(conversation: Conversation): void {
    this.replicas.forget(conversation.id)
    for (const slot of this.#slots.values()) if (slot.key.owner === conversation) this.#remove(slot)
  }

  async close(): Promise<void> {
    this.#closed = true
    this.#checks.close()
    this.roster.close()
    for (const slot of this.#slots.values()) this.#remove(slot)
    this.#exclusive.close()
    await Promise.all([...this.#closing, this.#spares?.close()])
  }

  async #runAlone<T>(
    exchange: Exchange,
    group: SlotKey,
    replica: Replica,
    use: (link: Link) => Promise<T>,
  ): Promise<T> {
    const slot = await this.#exclusive.lease(exchange, number =>
      this.#at({ ...group, id: `${group.id} ${number}` }, replica, exchange.principal),
    )
    try {
      return await use(await slot.pick())
    } finally {
      // What the server still says of a call that was given up must not meet the next one.
      if (slot.current?.haunted || slot.worn) this.#remove(slot)
      this.#exclusive.release(slot)
    }
  }

  #at(key: SlotKey, replica: Replica, principal: Principal | undefined): Slot {
    const known = this.#slots.get(key.id)
    if (known) return known
    const { server, listener, deadlines, logger, clientInfo } = this.#options
    if (this.#closed)
      throw new GatewayError('shutting_down', 'The gateway is shutting down.', { server: server.name })
    const client = principal && key !== replica.common ? clientOf(principal) : ''
    if (client !== '' && !this.#options.clientLinks.admit(client))
      throw new GatewayError(
        'overloaded',
        `Client "${principal?.name}" has ${this.#options.clientLinks.max} links to servers in use, which is the most it may have. Try again later, or raise "gateway.maxLinksPerClient".`,
        { server: server.name },
      )
    const full = this.#processes >= server.maxLinks && !this.#spares?.fits(replica, key)
    if (full && !this.#spares?.discard() && !this.#evict())
      throw new GatewayError(
        'overloaded',
        `Server "${server.name}" has ${server.maxLinks} links in use, which is the most there may be. Try again later, or raise "maxLinks" of this server.`,
        { server: server.name },
      )
    const spares = this.#spares
    const slot = new Slot({ server, replica, key, listener, deadlines, logger, clientInfo, spares })
    slot.era = replica.era
    this.#slots.set(key.id, slot)
    if (client !== '') this.#count(slot, client)
    return slot
  }

  #count(slot: Slot, client: string): void {
    const spare = (): boolean => this.#spare(slot)
    const link: CountedLink = {
      get spare() {
        return spare()
      },
      get lastUsed() {
        return slot.lastUsed
      },
      close: () => this.#remove(slot),
    }
    this.#counted.set(slot, { client, link })
    this.#options.clientLinks.add(client, link)
  }

  #spare(slot: Slot): boolean {
    return slot.spare && !slot.leased
  }

  /** Links that are open, may be opened or wait to be used. */
  get #processes(): number {
    return this.#slots.size + (this.#spares?.size ?? 0)
  }

  #lastUse(): number {
    let last = 0
    for (const slot of this.#slots.values())
      last = Math.max(last, this.#spare(slot) ? slot.lastUsed : monotonicNow())
    return last
  }

  /** Makes room by closing the link that was idle longest. */
  #evict(): boolean {
    let oldest: Slot | undefined
    for (const slot of this.#slots.values())
      if (this.#spare(slot) && (!oldest || slot.lastUsed < oldest.lastUsed)) oldest = slot
    if (oldest) this.#remove(oldest)
    return oldest !== undefined
  }

  #remove(slot: Slot): void {
    this.#slots.delete(slot.key.id)
    const counted = this.#counted.get(slot)
    if (counted) this.#options.clientLinks.remove(counted.client, counted.link)
    this.#counted.delete(slot)
    const closing = slot.close().then(() => {
      this.#closing.delete(closing)
    })
    this.#closing.add(closing)
  }
}
