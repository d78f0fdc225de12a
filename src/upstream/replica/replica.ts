import { Health } from '../balance/health.ts'
import { Load } from '../balance/load.ts'
import type { Candidate } from '../balance/choose.ts'
import type { ServerConfig } from '../../config/types.ts'
import type { Endpoint, ReplicaConfig } from '../../config/replica-types.ts'
import { monotonicNow } from '../../core/clock.ts'
import { declaredTo } from '../../protocol/capabilities.ts'
import { isModernVersion, type Era } from '../../protocol/revisions.ts'
import { UNKNOWN, type Spoken } from '../../protocol/spoken.ts'
import { Printed } from '../transport/stdio/printed.ts'
import type { SlotKey } from './slot-key.ts'
import type { TransportTraits } from '../transport/shared/traits.ts'
import { traitsOf } from '../transport/transports.ts'

/** One endpoint of a server: where it is, how it is doing, and what is known of it. */
export class Replica implements Candidate {
  readonly server: ServerConfig
  readonly name: string
  /** What is added to the name of the server in records; empty where there is only one. */
  readonly label: string
  readonly endpoint: Endpoint
  /** What transports to it can do. */
  readonly traits: TransportTraits
  readonly load = new Load()
  readonly health: Health
  /** The legacy link everyone may share: it declares nothing of a client's, so the server asks nobody anything. */
  readonly common: SlotKey
  /** The modern link, which everyone shares. */
  readonly modern: SlotKey
  /** Distinguishes the keys of its slots from those of other replicas. */
  readonly suffix: string
  weight: number
  priority: number
  zone: string | undefined
  /** It takes no new calls. */
  drained = false
  /** Whether it kept a session for its last legacy link, which decides who may share one; `undefined`: not known. */
  #sessionful: boolean | undefined
  /** What its processes print. */
  readonly printed = new Printed()
  /** Called when its checks say that it is ill, for calls that wait for it. */
  readonly onIll = new Set<() => void>()
  /** Called when it goes out or is ejected, with the cause, and when it is back, without one. */
  onTurn: ((cause: string | undefined) => void) | undefined
  /** Where handshakes begin; what is wrong is corrected by them. */
  spoken: Spoken = UNKNOWN
  /** Digests of its tools' definitions by name; `undefined` while they are not known. */
  tools: ReadonlyMap<string, string> | undefined
  /** Names of tools that it must not be asked for, since most replicas know others by them; `undefined`: it is like the others. */
  missingTools: ReadonlySet<string> | undefined

  /** `number` is unique among all replicas that its server has ever had. */
  constructor(server: ServerConfig, config: ReplicaConfig, number: number) {
    this.server = server
    this.name = config.name
    this.label = number === 0 && server.replicas.length === 1 ? '' : config.name
    this.endpoint = config.endpoint
    this.traits = traitsOf(config.endpoint)
    this.weight = config.weight
    this.priority = config.priority
    this.zone = config.zone
    this.health = new Health(server.health, monotonicNow, Math.random, cause => this.onTurn?.(cause))
    this.suffix = number === 0 ? '' : ` @${number}`
    const capabilities = declaredTo('', server.roots)
    const shared = { capabilities, owner: undefined, exclusive: false }
    this.common = { id: `common${this.suffix}`, era: 'legacy', ...shared }
    this.modern = { id: `modern${this.suffix}`, era: 'modern', ...shared }
  }

  /** Whether its legacy conversations are none: each request stands for itself, and nobody can be asked or told anything between requests. */
  get stateless(): boolean {
    return this.#sessionful === false
  }

  /** A link has been opened; `sessionful` is what its transport tells. */
  greeted({ era }: { readonly era: Era }, sessionful: boolean): void {
    if (era === 'legacy') this.#sessionful = sessionful
  }

  /** It has forgotten a session. What answers from now on may be of the other era, and may keep sessions or not. */
  forgot(): void {
    this.#sessionful = undefined
  }

  /** The link for what no client asks for. */
  get own(): SlotKey {
    return this.spoken.modern === false ? this.common : this.modern
  }

  /** Whether it keeps something for this caller, as far as that is known; `undefined` stands for the gateway itself. */
  keepsSessionsFor(caller: { readonly protocolVersion: string } | undefined): boolean {
    if (this.server.isolation === 'shared' || this.stateless) return false
    const { legacy, modern } = this.spoken
    return (
      modern !== true ||
      (legacy !== false && caller !== undefined && !isModernVersion(caller.protocolVersion))
    )
  }

  /** Whether a call may be sent to it where there is no better one: it takes calls, and has not asked to be left alone. */
  mayBeTried(now: number): boolean {
    return !this.drained && this.weight > 0 && !this.health.busy(now)
  }

  /** Whether it can be used at all. */
  isUsable(now: number): boolean {
    return !this.drained && this.weight > 0 && !this.health.out(now) && !this.health.ejected(now)
  }
}
