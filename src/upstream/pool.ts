import type { ServerConfig } from '../config/types.ts'
import type { Deadlines } from '../core/deadlines.ts'
import { GatewayError } from '../core/errors.ts'
import type { Conversation, Exchange } from '../core/exchange.ts'
import type { Logger } from '../core/logger.ts'
import { ANONYMOUS, LOCAL, type Principal } from '../core/principal.ts'
import { askable, declaredTo } from '../protocol/features.ts'
import type { Era } from '../protocol/revisions.ts'
import type { ClientLinks, CountedLink } from './client-links.ts'
import type { Link } from './link.ts'
import { Slot, type SlotKey, type SlotListener, type SlotState } from './slot.ts'

export interface PoolOptions {
  readonly server: ServerConfig
  readonly listener: SlotListener
  readonly deadlines: Deadlines
  readonly logger: Logger
  readonly clientInfo: string
  /** Of all pools together. */
  readonly clientLinks: ClientLinks
}

/** Of an exchange, what decides whose links it may use. */
export type Caller = Pick<Exchange, 'conversation' | 'principal' | 'features'>

/**
 * The links of one server. Which calls share one is a matter of isolation:
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
  /** The link everyone may share: it declares nothing of a client's, so the server asks nobody anything. */
  readonly #common: SlotKey
  readonly #slots = new Map<string, Slot>()
  /** Calls that wait for an exclusive slot, oldest first. */
  readonly #waiting: (() => void)[] = []
  readonly #leased = new Set<Slot>()
  /** For which client a slot counts. */
  readonly #counted = new Map<Slot, { readonly client: string; readonly link: CountedLink }>()
  readonly #closing = new Set<Promise<void>>()
  #shape:
    { readonly era: Era; readonly kind: Link['transport']['kind']; readonly sessionful: boolean } | undefined
  #era: Era | undefined
  #closed = false

  constructor(options: PoolOptions) {
    this.#options = options
    this.server = options.server
    const capabilities = declaredTo('', options.server.roots)
    this.#common = { id: 'common', capabilities, owner: undefined, exclusive: false }
  }

  /** Era to start with; a wrong one is corrected by the handshake. */
  set era(era: Era | undefined) {
    this.#era = era
    for (const slot of this.#slots.values()) slot.era = era
  }

  /** State for people: ready when any link is, else that of the common one, else of any. */
  get state(): SlotState {
    let state: SlotState | undefined
    for (const slot of this.#slots.values()) {
      if (slot.current) return slot.state
      if (!state || slot.key === this.#common || state.kind === 'idle') state = slot.state
    }
    return state ?? { kind: this.#closed ? 'closed' : 'idle' }
  }

  /** An open link, without starting one. */
  get current(): Link | undefined {
    for (const slot of this.#slots.values()) if (slot.current) return slot.current
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

  /** A link for the gateway's own requests: any that is open, else the one `exchange` will use, else the common one. */
  any(exchange?: Exchange): Link | Promise<Link> {
    const { current } = this
    if (current) return current
    return (exchange ? this.slot(exchange) : this.#at(this.#common, undefined)).pick()
  }

  /**
   * Runs `use` with a link for the call. A call that must not meet others has the link to itself until `use` settles.
   * @throws GatewayError `upstream_*`, `overloaded`
   */
  run<T>(exchange: Exchange, use: (link: Link) => Promise<T>): Promise<T> {
    const key = this.#keyFor(exchange, askable(exchange.features, this.server.roots))
    if (key.exclusive) return this.#runAlone(exchange, key, use)
    const link = this.#at(key, exchange.principal).pick()
    return link instanceof Promise ? link.then(opened => this.#runFit(exchange, key, opened, use)) : use(link)
  }

  /** What was believed to be harmless to share may have turned out not to be, now that the server has been greeted. */
  #runFit<T>(exchange: Exchange, key: SlotKey, link: Link, use: (link: Link) => Promise<T>): Promise<T> {
    return key === this.#common &&
      this.#keyFor(exchange, askable(exchange.features, this.server.roots)) !== this.#common
      ? this.run(exchange, use)
      : use(link)
  }

  /** The slot whose link this call uses. */
  slot(exchange: Exchange): Slot {
    return this.#at(this.#keyFor(exchange, askable(exchange.features, this.server.roots)), exchange.principal)
  }

  /** The slot for what a client wants to hear beyond one call. Another one when more is known of the server. */
  standing(exchange: Caller): Slot {
    const key = this.#keyFor(exchange, askable(exchange.features, this.server.roots))
    return this.#at(key.exclusive ? this.#keyFor(exchange, '') : key, exchange.principal)
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
      this.#shape = undefined
      this.era = undefined
    }
    this.slotOf(link)?.lost(link, error)
  }

  opened(slot: Slot, link: Link, era: Era | undefined): void {
    this.#shape = { era: link.peer.era, kind: link.transport.kind, sessionful: link.transport.sessionful }
    if (era) this.era = era
    // What was opened only to list the server is not needed beside a link that somebody uses.
    const common = this.#slots.get(this.#common.id)
    if (common && common !== slot && common.spare) this.#remove(common)
  }

  /** A session has ended, and with it the links that served only it. */
  leave(conversation: Conversation): void {
    for (const slot of this.#slots.values()) if (slot.key.owner === conversation) this.#remove(slot)
  }

  async close(): Promise<void> {
    this.#closed = true
    for (const slot of this.#slots.values()) this.#remove(slot)
    for (const wake of this.#waiting.splice(0)) wake()
    await Promise.all(this.#closing)
  }

  async #runAlone<T>(exchange: Exchange, group: SlotKey, use: (link: Link) => Promise<T>): Promise<T> {
    const slot = await this.#lease(exchange, group)
    try {
      return await use(await slot.pick())
    } finally {
      this.#leased.delete(slot)
      // What the server still says of a call that was given up must not meet the next one.
      if (slot.current?.haunted) this.#remove(slot)
      this.#waiting.shift()?.()
    }
  }

  async #lease(exchange: Exchange, group: SlotKey): Promise<Slot> {
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
        const slot = this.#at({ ...group, id: `${group.id} ${number}` }, exchange.principal)
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

  #keyFor({ conversation, principal }: Caller, features: string): SlotKey {
    const { isolation, roots } = this.server
    const shape = this.#shape
    const era = shape?.era ?? this.#era
    if (isolation === 'shared' || era === 'modern') return this.#common
    const stateless = shape !== undefined && shape.kind === 'http' && !shape.sessionful
    if (stateless) return this.#common
    const capabilities = features === '' ? this.#common.capabilities : declaredTo(features, roots)
    if (conversation && (features !== '' || isolation === 'session'))
      return { id: `session ${conversation.id}`, capabilities, owner: conversation, exclusive: false }
    const who = clientOf(principal)
    if (features === '')
      return who === '' ? this.#common : { id: who, capabilities, owner: undefined, exclusive: false }
    const kind = shape?.kind ?? (this.server.endpoint.kind === 'stdio' ? 'stdio' : 'http')
    return { id: `${who} ${features}`, capabilities, owner: undefined, exclusive: kind !== 'http' }
  }

  #at(key: SlotKey, principal: Principal | undefined): Slot {
    const known = this.#slots.get(key.id)
    if (known) return known
    const { server, listener, deadlines, logger, clientInfo } = this.#options
    if (this.#closed)
      throw new GatewayError('shutting_down', 'The gateway is shutting down.', { server: server.name })
    const client = principal && key !== this.#common ? clientOf(principal) : ''
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
    const slot = new Slot({ server, key, listener, deadlines, logger, clientInfo })
    slot.era = this.#era
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
