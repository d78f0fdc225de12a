import { Health } from '../balance/health.ts'
import { Load } from '../balance/load.ts'
import type { Candidate } from '../balance/choose.ts'
import type { ServerConfig } from '../../config/types.ts'
import type { Endpoint, ReplicaConfig } from '../../config/replica-types.ts'
import { monotonicNow } from '../../core/clock.ts'
import type { Principal } from '../../core/principal.ts'
import { declaredTo } from '../../protocol/capabilities.ts'
import { isModernVersion, type Era } from '../../protocol/revisions.ts'
import { UNKNOWN, type Spoken } from '../../protocol/spoken.ts'
import { Printed } from '../transport/stdio/printed.ts'
import type { SlotKey } from './slot-key.ts'
import { principalTag } from './principal-tag.ts'
import type { TransportTraits } from '../transport/shared/traits.ts'
import { traitsOf } from '../transport/transports.ts'

/** How much of a server's calls a replica gets. */
export type ReplicaShare = Pick<ReplicaConfig, 'weight' | 'priority' | 'zone'>

/** One endpoint of a server, with its health, its load and what has been detected of it. */
export class Replica implements Candidate {
  readonly server: ServerConfig
  readonly name: string
  /** Digest of where it is (`ReplicaConfig.location`). */
  readonly location: string
  /** Suffix of the server's name in records. Empty if there is only one replica. */
  readonly label: string
  readonly endpoint: Endpoint
  /** What transports to it can do. */
  readonly traits: TransportTraits
  readonly load = new Load()
  readonly health: Health
  /**
   * Key of the legacy link that all clients may share: it declares no capabilities, so the server sends no requests.
   */
  readonly common: SlotKey
  /** Key of the modern link, which all clients share. */
  readonly modern: SlotKey
  /** Distinguishes the keys of its slots from those of other replicas. */
  readonly prefix: string
  #share: ReplicaShare
  #drained = false
  /** Whether it kept a session for its last legacy link, which decides about sharing. `undefined`: not known. */
  #sessionful: boolean | undefined
  /** Output of its processes. */
  readonly printed = new Printed()
  readonly #checkListeners = new Set<() => void>()
  #spoken: Spoken = UNKNOWN
  #tools: ReadonlyMap<string, string> | undefined
  #missingTools: ReadonlySet<string> | undefined

  /**
   * `number` is unique among all replicas that its server has ever had. `onTurn` is called when it goes out or is
   * ejected, with the cause, and when it is back, without one.
   */
  constructor(
    server: ServerConfig,
    config: ReplicaConfig,
    number: number,
    onTurn?: (replica: Replica, cause: string | undefined) => void,
  ) {
    this.server = server
    this.name = config.name
    this.location = config.location
    this.label = number === 0 && server.replicas.length === 1 ? '' : config.name
    this.endpoint = config.endpoint
    this.traits = traitsOf(config.endpoint)
    this.#share = config
    this.health = new Health(server.health, monotonicNow, Math.random, cause => onTurn?.(this, cause))
    this.prefix = number === 0 ? '' : `@${number} `
    const { common, modern } = this.#sharedKeys(undefined)
    this.common = common
    this.modern = modern
  }

  /** `common` and `modern`, or their counterparts that present the credentials of a principal. */
  sharedKeys(principal: Principal | undefined): Pick<Replica, 'common' | 'modern'> {
    return principal ? this.#sharedKeys(principal) : this
  }

  #sharedKeys(principal: Principal | undefined): Pick<Replica, 'common' | 'modern'> {
    const prefix = principal ? `${this.prefix}${principalTag(principal)} ` : this.prefix
    const capabilities = declaredTo('', this.server.roots)
    const both = { capabilities, owner: undefined, principal, exclusive: false }
    return {
      common: { id: `${prefix}common`, era: 'legacy', shared: 'legacy', ...both },
      modern: { id: `${prefix}modern`, era: 'modern', shared: 'modern', ...both },
    }
  }

  get weight(): number {
    return this.#share.weight
  }

  get priority(): number {
    return this.#share.priority
  }

  get zone(): string | undefined {
    return this.#share.zone
  }

  /** Applies another share of the calls, from the next call on. */
  reweigh(share: ReplicaShare): void {
    this.#share = share
  }

  /** Whether it takes no new calls. */
  get drained(): boolean {
    return this.#drained
  }

  drain(): void {
    this.#drained = true
  }

  resume(): void {
    this.#drained = false
  }

  /** The eras with which handshakes begin. They correct them. */
  get spoken(): Spoken {
    return this.#spoken
  }

  /** More is known of the server: what it speaks, or that this is unknown again. */
  assume(spoken: Spoken): void {
    this.#spoken = spoken
  }

  /** Digests of its tools' definitions by name. `undefined`: not listed yet. */
  get tools(): ReadonlyMap<string, string> | undefined {
    return this.#tools
  }

  /** Records the digests of its tools' definitions. */
  listed(tools: ReadonlyMap<string, string>): void {
    this.#tools = tools
  }

  /**
   * Names of tools for which it must not be used, since most replicas define them differently. `undefined`: it is equal
   * to the others.
   */
  get missingTools(): ReadonlySet<string> | undefined {
    return this.#missingTools
  }

  /** Records how it differs from most replicas, as `missingTools`. */
  compared(missing: ReadonlySet<string> | undefined): void {
    this.#missingTools = missing
  }

  /** Calls `listener` when a check fails, until `unwatchChecks`. For calls that wait for the replica. */
  watchChecks(listener: () => void): void {
    this.#checkListeners.add(listener)
  }

  unwatchChecks(listener: () => void): void {
    this.#checkListeners.delete(listener)
  }

  /** A check has failed. */
  checkFailed(): void {
    for (const listener of this.#checkListeners) listener()
  }

  /**
   * Whether its legacy side keeps no sessions: each request is independent, and the server can send nothing between
   * requests.
   */
  get stateless(): boolean {
    return this.#sessionful === false
  }

  /** Records that a link has been opened. `sessionful` is reported by its transport. */
  greeted({ era }: { readonly era: Era }, sessionful: boolean): void {
    if (era === 'legacy') this.#sessionful = sessionful
  }

  /**
   * Records that it has lost a session. The next server to answer may be of the other era, and may keep sessions or
   * not.
   */
  forgot(): void {
    this.#sessionful = undefined
  }

  /** Key of the link for requests that no client has sent. */
  get own(): SlotKey {
    return this.spoken.modern === false ? this.common : this.modern
  }

  /** Whether it keeps state for this caller, as far as known. `undefined` stands for the gateway itself. */
  keepsSessionsFor(caller: { readonly protocolVersion: string } | undefined): boolean {
    if (this.server.isolation === 'shared' || this.stateless) return false
    const { legacy, modern } = this.spoken
    return (
      modern !== true ||
      (legacy !== false && caller !== undefined && !isModernVersion(caller.protocolVersion))
    )
  }

  /** Whether a call may be sent to it if there is no better replica: it takes calls, and has not requested a delay. */
  mayBeTried(now: number): boolean {
    return !this.drained && this.weight > 0 && !this.health.busy(now)
  }

  /** Whether it can be used at all. */
  isUsable(now: number): boolean {
    return !this.drained && this.weight > 0 && !this.health.out(now) && !this.health.ejected(now)
  }
}
