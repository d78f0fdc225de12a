import { LRUCache } from 'lru-cache'
import { choose } from '../balance/choose.ts'
import { Latencies } from '../balance/latencies.ts'
import { RetryBudget } from '../balance/retry-budget.ts'
import type { ServerConfig } from '../config/types.ts'
import type { Deadlines } from '../core/deadlines.ts'
import { GatewayError } from '../core/errors.ts'
import type { Conversation, Exchange } from '../core/exchange.ts'
import type { Logger } from '../core/logger.ts'
import { ANONYMOUS, LOCAL, type Principal } from '../core/principal.ts'
import { wildcard } from '../policy/pattern.ts'
import { askable, declaredTo } from '../protocol/features.ts'
import type { Era } from '../protocol/revisions.ts'
import type { ClientLinks, CountedLink } from './client-links.ts'
import type { Link } from './link.ts'
import { Replica } from './replica.ts'
import { Slot, type SlotKey, type SlotListener, type SlotState } from './slot.ts'

export interface PoolOptions {
  readonly server: ServerConfig
  readonly listener: SlotListener
  readonly deadlines: Deadlines
  readonly logger: Logger
  readonly clientInfo: string
  /** Of all pools together. */
  readonly clientLinks: ClientLinks
  /** Where the gateway is; replicas there are preferred. */
  readonly zone?: string | undefined
  /** A replica can be used no longer, or again: what stands on one may have to stand on another. */
  readonly onReplicasChanged?: () => void
}

/** Of an exchange, what decides whose links it may use. */
export type Caller = Pick<Exchange, 'conversation' | 'principal' | 'features'>

/** Whether a replica is no choice for a call: it was tried already, or does not offer what is called. */
export type LeftOut = (replica: Replica) => boolean

/** Where a call may go, and where it went. */
export interface Aim {
  readonly leftOut: LeftOut | undefined
  /** Set as soon as it is decided. */
  replica: Replica | undefined
}

/** Second attempts at calls that are slow, as a share of calls. */
const HEDGES = 0.05
/** Sessions and principals whose replica is remembered. */
const MAX_REMEMBERED = 10_000

/**
 * The links of one server, at whichever of its replicas. Where several can take a call, `balance/choose.ts` decides; a client of a server that keeps sessions
 * stays with its replica for as long as that can be used. Which calls share a link is a matter of isolation:
 *
 * - A modern server, and a legacy one that keeps no session, is shared: nothing on its side belongs to one client.
 * - Otherwise each principal has its own.
 * - A client that can be asked (elicitation, sampling, roots) declares so through its link. A session then has a link of its own, because many servers do not
 *   ask on the stream of the call they ask for. Clients without sessions share one per set of capabilities where a question comes on the
 *   stream of its call (HTTP); elsewhere such a link serves one call at a time.
 * - Roots that are configured do not count: the gateway answers for them itself, and the client is not asked.
 */
export class Pool {
  readonly server: ServerConfig
  readonly #options: PoolOptions
  readonly #slots = new Map<string, Slot>()
  /** Calls that wait for an exclusive slot, oldest first. */
  readonly #waiting: (() => void)[] = []
  readonly #leased = new Set<Slot>()
  /** For which client a slot counts. */
  readonly #counted = new Map<Slot, { readonly client: string; readonly link: CountedLink }>()
  readonly #closing = new Set<Promise<void>>()
  #replicas: readonly Replica[]
  /** Calls that may have been run, and are made once more. */
  readonly retryBudget: RetryBudget
  /** Calls that are tried at a second replica while the first is at it. */
  readonly hedgeBudget = new RetryBudget(HEDGES, 0)
  /** Of calls that may run twice. */
  readonly latencies = new Latencies()
  /** By session or principal: where the server keeps something for it. */
  readonly #remembered = new LRUCache<string, Replica>({ max: MAX_REMEMBERED })
  /** Whether calls of tools may run twice, where that is asked for at all. */
  readonly #repeats = new LRUCache<string, boolean>({ max: MAX_REMEMBERED })
  readonly #someRepeat: boolean
  /** Where what lasts beyond a call stands, for servers that keep no sessions. */
  #standing: Replica | undefined
  #closed = false

  constructor(options: PoolOptions) {
    this.#options = options
    this.server = options.server
    this.#someRepeat = this.server.retry || this.server.tools.some(({ retry }) => retry === true)
    this.retryBudget = new RetryBudget(options.server.retryBudget)
    this.#replicas = options.server.replicas.map((config, number) => new Replica(this.server, config, number))
  }

  get replicas(): readonly Replica[] {
    return this.#replicas
  }

  /** Whether a call of a tool may run twice, by the configuration. */
  repeats(tool: string): boolean {
    const { retry, tools } = this.server
    if (!this.#someRepeat) return false
    let repeats = this.#repeats.get(tool)
    if (repeats === undefined) {
      repeats =
        tools.find(({ glob, retry: own }) => own !== undefined && wildcard(glob)(tool))?.retry ?? retry
      this.#repeats.set(tool, repeats)
    }
    return repeats
  }

  /** Whether there is a replica that can be used, besides those that were tried. */
  hasOther(tried: ReadonlySet<Replica>): boolean {
    const now = Date.now()
    return this.#replicas.some(replica => !tried.has(replica) && replica.isUsable(now))
  }

  /** Era to start with; a wrong one is corrected by the handshake. */
  set era(era: Era | undefined) {
    for (const replica of this.#replicas) replica.era = era
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

  /** An open link, without starting one. */
  get current(): Link | undefined {
    for (const slot of this.#slots.values()) if (slot.current && !slot.replica.drained) return slot.current
    return undefined
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
    if (exchange) return this.slot(exchange).pick()
    const replica = this.#choose(undefined, undefined)
    return this.#at(replica.common, replica, undefined).pick()
  }

  /**
   * Runs `use` with a link for the call. A call that must not meet others has the link to itself until `use` settles.
   * @throws GatewayError `upstream_*`, `overloaded`
   */
  run<T>(exchange: Exchange, use: (link: Link) => Promise<T>, aim?: Aim): Promise<T> {
    let replica: Replica
    let key: SlotKey
    let picked: Link | Promise<Link>
    try {
      replica = this.#choose(exchange, aim?.leftOut)
      if (aim) aim.replica = replica
      key = this.#keyFor(exchange, askable(exchange.features, this.server.roots), replica)
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
      this.#keyFor(exchange, askable(exchange.features, this.server.roots), replica) === replica.common
    )
      return use(link)
    this.#remember(exchange, replica)
    return this.run(exchange, use, aim)
  }

  /** The slot whose link this call uses. */
  slot(exchange: Exchange): Slot {
    const replica = this.#choose(exchange, undefined)
    const key = this.#keyFor(exchange, askable(exchange.features, this.server.roots), replica)
    return this.#at(key, replica, exchange.principal)
  }

  /** The slot for what a client wants to hear beyond one call. Another one when more is known of the server. */
  standing(caller: Caller): Slot {
    const replica = this.#standingFor(caller)
    const key = this.#keyFor(caller, askable(caller.features, this.server.roots), replica)
    return this.#at(key.exclusive ? this.#keyFor(caller, '', replica) : key, replica, caller.principal)
  }

  #standingFor(caller: Caller): Replica {
    if (this.#replicas.length === 1) return this.#replicas[0] as Replica
    const now = Date.now()
    const chosen = this.#standing?.isUsable(now) ? this.#standing : this.#choose(caller, undefined)
    if (!chosen.keepsSessions) this.#standing = chosen
    return chosen.keepsSessions ? this.#choose(caller, undefined) : chosen
  }

  /**
   * The replica for a call, or for what is not about anybody's.
   * @throws GatewayError `upstream_unreachable`, not sent, when no replica can be used
   */
  #choose(caller: Caller | undefined, leftOut: LeftOut | undefined): Replica {
    const only = this.#replicas.length === 1 ? this.#replicas[0] : undefined
    if (only && !only.drained && !leftOut?.(only)) return only
    const now = Date.now()
    const known = caller && this.#remembered.get(whoIs(caller))
    if (known?.keepsSessions && known.isUsable(now) && !leftOut?.(known)) return known
    const chosen = choose(this.#replicas, {
      now,
      random: Math.random,
      zone: this.#options.zone,
      panic: this.server.health.panic,
      leftOut: replica => replica.drained || (leftOut?.(replica) ?? false),
    })
    if (!chosen) throw noReplica(this.server.name, this.#replicas, leftOut, now)
    if (chosen.keepsSessions) {
      if (caller) this.#remember(caller, chosen)
      return chosen
    }
    return this.#warm(chosen, leftOut, now)
  }

  /** One that has to be started first is started beside, while one that runs takes the call. */
  #warm(chosen: Replica, leftOut: LeftOut | undefined, now: number): Replica {
    if (this.#slots.get(chosen.common.id)?.current) return chosen
    for (const slot of this.#slots.values()) {
      const { replica } = slot
      if (!slot.current || replica.tier > chosen.tier || slot.key !== replica.common) continue
      if (!replica.isUsable(now) || leftOut?.(replica)) continue
      void Promise.resolve(this.#at(chosen.common, chosen, undefined).pick()).catch(() => undefined)
      return replica
    }
    return chosen
  }

  #remember(caller: Caller, replica: Replica): void {
    if (this.#replicas.length > 1) this.#remembered.set(whoIs(caller), replica)
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
    }
    this.slotOf(link)?.lost(link, error)
  }

  opened(slot: Slot, link: Link, era: Era | undefined): void {
    const { replica } = slot
    if (replica.health.reachable(Date.now())) this.#options.onReplicasChanged?.()
    replica.shape = { era: link.peer.era, kind: link.transport.kind, sessionful: link.transport.sessionful }
    if (era) this.#eraAt(replica, era)
    // What was opened only to list the server is not needed beside a link that somebody uses.
    const common = this.#slots.get(replica.common.id)
    if (common && common !== slot && common.spare) this.#remove(common)
  }

  /** A link to a replica could not be opened; called by whoever listens to slots. */
  unreachable({ replica }: Slot, error: GatewayError): void {
    if (error.code === 'shutting_down') return
    const now = Date.now()
    const failure = { code: error.code, message: error.message, countsAgainstHealth: true }
    const changed =
      error.code === 'upstream_unauthorized'
        ? replica.health.failed(failure, now)
        : replica.health.unreachable(error.message, now)
    if (changed) this.#options.onReplicasChanged?.()
  }

  #eraAt(replica: Replica, era: Era | undefined): void {
    replica.era = era
    for (const slot of this.#slots.values()) if (slot.replica === replica) slot.era = era
  }

  /** A session has ended, and with it the links that served only it. */
  leave(conversation: Conversation): void {
    this.#remembered.delete(conversation.id)
    for (const slot of this.#slots.values()) if (slot.key.owner === conversation) this.#remove(slot)
  }

  async close(): Promise<void> {
    this.#closed = true
    for (const slot of this.#slots.values()) this.#remove(slot)
    for (const wake of this.#waiting.splice(0)) wake()
    await Promise.all(this.#closing)
  }

  async #runAlone<T>(
    exchange: Exchange,
    group: SlotKey,
    replica: Replica,
    use: (link: Link) => Promise<T>,
  ): Promise<T> {
    const slot = await this.#lease(exchange, group, replica)
    try {
      return await use(await slot.pick())
    } finally {
      this.#leased.delete(slot)
      // What the server still says of a call that was given up must not meet the next one.
      if (slot.current?.haunted) this.#remove(slot)
      this.#waiting.shift()?.()
    }
  }

  async #lease(exchange: Exchange, group: SlotKey, replica: Replica): Promise<Slot> {
    const { maxExclusiveLinks, linkWaitMs } = this.server
    const until = Date.now() + linkWaitMs
    for (let waited = false; ; waited = true) {
      if (this.#closed)
        throw new GatewayError('shutting_down', 'The gateway is shutting down.', { server: this.server.name })
      if (exchange.cancellation.reason !== undefined) {
        // It may have been its turn, which is then another's.
        this.#waiting.shift()?.()
        throw new GatewayError('cancelled', 'The request was cancelled.', { server: this.server.name })
      }
      for (let number = 1; number <= maxExclusiveLinks; number++) {
        const slot = this.#at({ ...group, id: `${group.id} ${number}` }, replica, exchange.principal)
        if (this.#leased.has(slot)) continue
        this.#leased.add(slot)
        return slot
      }
      if (Date.now() >= until)
        throw new GatewayError(
          'overloaded',
          `Server "${this.server.name}" is busy with ${maxExclusiveLinks} calls that may ask their clients something. Try again when one of them has ended, or raise "maxExclusiveLinks" of this server.`,
          { server: this.server.name, retryAfterMs: linkWaitMs },
        )
      await new Promise<void>(resolve => {
        // Whoever was woken in vain keeps the place in the queue.
        if (waited) this.#waiting.unshift(resolve)
        else this.#waiting.push(resolve)
        const leave = (): void => {
          const at = this.#waiting.indexOf(resolve)
          if (at >= 0) this.#waiting.splice(at, 1)
          resolve()
        }
        this.#options.deadlines.set({ expire: leave }, until - Date.now())
        exchange.cancellation.onCancel(leave)
      })
    }
  }

  #keyFor({ conversation, principal }: Caller, features: string, replica: Replica): SlotKey {
    const { isolation, roots } = this.server
    const { shape, common, suffix } = replica
    const era = shape?.era ?? replica.era
    if (isolation === 'shared' || era === 'modern') return common
    const stateless = shape !== undefined && shape.kind === 'http' && !shape.sessionful
    if (stateless) return common
    const capabilities = features === '' ? common.capabilities : declaredTo(features, roots)
    if (conversation && (features !== '' || isolation === 'session'))
      return {
        id: `session ${conversation.id}${suffix}`,
        capabilities,
        owner: conversation,
        exclusive: false,
      }
    const who = clientOf(principal)
    if (features === '')
      return who === '' ? common : { id: `${who}${suffix}`, capabilities, owner: undefined, exclusive: false }
    const kind = shape?.kind ?? (replica.endpoint.kind === 'stdio' ? 'stdio' : 'http')
    return { id: `${who} ${features}${suffix}`, capabilities, owner: undefined, exclusive: kind !== 'http' }
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
    if (this.#slots.size >= server.maxLinks && !this.#evict())
      throw new GatewayError(
        'overloaded',
        `Server "${server.name}" has ${server.maxLinks} links in use, which is the most there may be. Try again later, or raise "maxLinks" of this server.`,
        { server: server.name },
      )
    const slot = new Slot({ server, replica, key, listener, deadlines, logger, clientInfo })
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
    return slot.spare && !this.#leased.has(slot)
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

/** Whose link it is; `''` for everyone without credentials, who are one principal and cannot be told apart. */
function clientOf(principal: Principal): string {
  return principal === ANONYMOUS || principal === LOCAL ? '' : principal.id
}

/** Who it is whose replica is remembered. */
function whoIs({ conversation, principal }: Caller): string {
  return conversation?.id ?? principal.id
}

function noReplica(
  server: string,
  replicas: readonly Replica[],
  leftOut: LeftOut | undefined,
  now: number,
): GatewayError {
  const why = replicas.map(replica => {
    if (replica.drained) return `${replica.name} is drained`
    if (leftOut?.(replica)) return `${replica.name} was tried or does not offer it`
    return `${replica.name}: ${replica.health.cause ?? 'gets no calls'}`
  })
  const tries = replicas.flatMap(({ drained, health }) => (drained ? [] : (health.nextTry ?? [])))
  const retryAfterMs = tries.length === 0 ? undefined : Math.max(1, Math.ceil(Math.min(...tries) - now))
  const seconds =
    retryAfterMs === undefined ? '' : ` Next attempt in ${Math.max(1, Math.ceil(retryAfterMs / 1000))} s.`
  return new GatewayError(
    'upstream_unreachable',
    `No replica of server "${server}" can take the call: ${why.join('; ')}.${seconds}`,
    { server, ...(retryAfterMs !== undefined && { retryAfterMs }) },
  )
}
