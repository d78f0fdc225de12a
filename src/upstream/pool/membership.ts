import type { ReplicaId } from '../../core/call-state.ts'
import type { DnsConfig, ReplicaConfig } from '../../config/replica-types.ts'
import type { Deadlines } from '../../core/deadlines.ts'
import type { GatewayError } from '../../core/errors.ts'
import type { Logger } from '../../core/logger.ts'
import { DnsDiscovery } from '../discovery/dns-discovery.ts'
import { Drains } from './drains.ts'
import type { Link } from '../link/link.ts'
import { drained } from '../link/link-errors.ts'
import type { Replica } from '../replica/replica.ts'
import type { ReplicaSet } from '../replica/replica-set.ts'
import type { PoolEvents } from './pool-events.ts'
import type { LinkSlot } from './link-slot.ts'

export interface ReplicaMembershipOptions {
  readonly replicas: ReplicaSet
  readonly dns: DnsConfig
  /** How long calls of a removed replica may continue. */
  readonly drainTimeoutMs: number
  readonly deadlines: Deadlines
  readonly logger: Logger
  /** All slots, of every replica. */
  readonly slots: () => Iterable<LinkSlot>
  /** Whether nothing is lost when it is closed. */
  readonly isSpare: (slot: LinkSlot) => boolean
  /** Closes a slot for good. Calls in flight end with the reason. */
  readonly remove: (slot: LinkSlot, reason: GatewayError) => void
  /** The gateway has ended the link, despite calls in flight. */
  readonly onEnded: (link: Link, reason: GatewayError) => void
  /** Standing subscriptions on a replica may have to move to another. */
  readonly onChanged: () => void
  readonly events: Pick<PoolEvents, 'drained' | 'resumed'>
}

/**
 * The replicas of a server at run time. They change with the configuration and with DNS. A replica is drained before it
 * is removed, or on request of the operator.
 */
export class ReplicaMembership {
  readonly #options: ReplicaMembershipOptions
  readonly #addresses: DnsDiscovery
  readonly #drains: Drains
  #drainTimeoutMs: number
  #retired = false
  #closed = false

  constructor(options: ReplicaMembershipOptions) {
    this.#options = options
    this.#drainTimeoutMs = options.drainTimeoutMs
    const { replicas, dns, deadlines, logger, slots, isSpare } = options
    this.#addresses = new DnsDiscovery(replicas.server.replicas, {
      dns,
      logger,
      inUse: () => [...slots()].some(({ state }) => state.kind !== 'idle' && state.kind !== 'closed'),
      // A look-up that began before may end after the server was removed.
      onChange: configs => {
        if (!this.#retired) this.#rearrange(configs)
      },
    })
    this.#drains = new Drains({
      slots: replica => [...slots()].filter(slot => slot.replica === replica),
      isSpare,
      end: (slot, gone) => this.#end(slot, gone),
      deadlines,
      timeoutMs: () => this.#drainTimeoutMs,
    })
  }

  /** Resolves when the replicas are looked up and the server can be used. `undefined`: it can be now. Never rejects. */
  get pending(): Promise<void> | undefined {
    return this.#addresses.pending
  }

  /** Whether a replica is still at its location. Waits for a look-up of names that is due. */
  async has(home: ReplicaId): Promise<boolean> {
    await this.pending
    return this.#options.replicas.at(home) !== undefined
  }

  /** Every replica with calls in flight, or that may get some. Those being removed come last. */
  get all(): readonly Replica[] {
    return [...this.#options.replicas.list, ...this.#drains.leaving]
  }

  /** Applies other settings of the gateway: to look-ups, and to later drains. */
  configure({ dns, drainTimeoutMs }: Pick<ReplicaMembershipOptions, 'dns' | 'drainTimeoutMs'>): void {
    this.#drainTimeoutMs = drainTimeoutMs
    this.#addresses.configure(dns)
  }

  /**
   * Applies the replicas of another configuration: weights change at once, new replicas are added, removed ones are
   * drained.
   */
  update(configs: readonly ReplicaConfig[]): void {
    this.#addresses.update(configs)
  }

  /** Follows the other settings of the server: its replicas, and what is the same on all of their links. */
  reconfigured({ replicas: isOther, links }: { readonly replicas: boolean; readonly links: boolean }): void {
    const { replicas } = this.#options
    const before = replicas.list
    if (isOther) this.update(replicas.server.replicas)
    // A replica that is new has the other settings already.
    if (links) this.renew(before)
  }

  /** Whether the server is removed. */
  get retired(): boolean {
    return this.#retired
  }

  /** Drains every replica, because the server is removed. Resolves when the last link has ended. */
  async retire(): Promise<void> {
    this.#retired = true
    this.#rearrange([])
    await this.#drains.none()
  }

  /** Replaces these replicas, with new links; by default all. Calls in flight finish on the old ones. */
  renew(which: readonly Replica[] = this.#options.replicas.list): void {
    const { replicas, logger, onChanged } = this.#options
    if (this.#closed) return
    const gone = replicas.renew(which)
    if (gone.length === 0) return
    logger.info('The server gets new links; the old ones are drained.')
    onChanged()
    for (const replica of gone) this.#drain(replica, true)
  }

  /** Sets which replicas are drained, by name; `''` stands for all. All others are not. */
  drain(names: ReadonlySet<string>): void {
    const { replicas, slots, logger, onChanged } = this.#options
    const changed = replicas.drain(names)
    if (changed.length === 0) return
    onChanged()
    for (const replica of changed) {
      const { name, drained } = replica
      logger.info(drained ? 'The replica is drained.' : 'The replica takes calls again.', { replica: name })
      if (drained) this.#drain(replica, false)
      else this.#resume(replica)
    }
    for (const slot of slots()) if (!slot.replica.drained) slot.resume()
  }

  /** Called when a replica could not be connected to: it may have another address now. */
  unreachable(): void {
    this.#addresses.again()
  }

  close(): void {
    this.#closed = true
    this.#addresses.close()
    this.#drains.close()
  }

  #rearrange(configs: readonly ReplicaConfig[]): void {
    if (this.#closed) return
    const { replicas, logger, onChanged } = this.#options
    const before = replicas.list
    const gone = replicas.update(configs)
    const added = replicas.list.filter(replica => !before.includes(replica))
    if (added.length === 0 && gone.length === 0) return
    const names = (list: readonly Replica[]): string => list.map(({ name }) => name).join(', ')
    logger.info('The replicas have changed.', {
      ...(added.length > 0 && { added: names(added) }),
      ...(gone.length > 0 && { gone: names(gone) }),
    })
    onChanged()
    for (const replica of gone) this.#drain(replica, true)
  }

  #drain(replica: Replica, gone: boolean): void {
    this.#options.events.drained(replica)
    this.#drains.begin(replica, gone)
  }

  #resume(replica: Replica): void {
    this.#options.events.resumed(replica)
    this.#drains.stop(replica)
  }

  #end(slot: LinkSlot, gone: boolean): void {
    const link = slot.state.kind === 'ready' ? slot.state.link : undefined
    const reason = drained(this.#options.replicas.server.name, this.#drainTimeoutMs)
    if (gone) this.#options.remove(slot, reason)
    else slot.stop(reason)
    // A link that is closed reports nothing itself.
    if (link) this.#options.onEnded(link, reason)
  }
}
