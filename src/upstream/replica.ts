import { Health } from '../balance/health.ts'
import { Load } from '../balance/load.ts'
import type { Candidate } from '../balance/choose.ts'
import type { ServerConfig } from '../config/types.ts'
import type { Endpoint, ReplicaConfig } from '../config/replica-types.ts'
import { monotonicNow } from '../core/clock.ts'
import { declaredTo } from '../protocol/features.ts'
import type { Era } from '../protocol/revisions.ts'
import type { SlotKey } from './slot-key.ts'
import type { Transport } from './transport.ts'

/** What a handshake has shown of a replica; it decides who may share a link to it. */
export interface Shape {
  readonly era: Era
  readonly kind: Transport['kind']
  readonly sessionful: boolean
}

/** One endpoint of a server: where it is, how it is doing, and what is known of it. */
export class Replica implements Candidate {
  readonly server: ServerConfig
  readonly name: string
  /** What is added to the name of the server in records; empty where there is only one. */
  readonly label: string
  readonly endpoint: Endpoint
  readonly load = new Load()
  readonly health: Health
  /** The link everyone may share: it declares nothing of a client's, so the server asks nobody anything. */
  readonly common: SlotKey
  /** Distinguishes the keys of its slots from those of other replicas. */
  readonly suffix: string
  weight: number
  tier: number
  zone: string | undefined
  /** It takes no new calls. */
  drained = false
  shape: Shape | undefined
  /** Called when its checks say that it is ill, for calls that wait for it. */
  readonly onIll = new Set<() => void>()
  /** Era to start with; a wrong one is corrected by the handshake. */
  era: Era | undefined
  /** Digests of its tools' definitions by name; `undefined` while they are not known. */
  tools: ReadonlyMap<string, string> | undefined
  /** Names of tools that it must not be asked for, since most replicas know others by them; `undefined`: it is like the others. */
  lacks: ReadonlySet<string> | undefined

  /** `number` is unique among all replicas that its server has ever had. */
  constructor(server: ServerConfig, config: ReplicaConfig, number: number) {
    this.server = server
    this.name = config.name
    this.label = number === 0 && server.replicas.length === 1 ? '' : config.name
    this.endpoint = config.endpoint
    this.weight = config.weight
    this.tier = config.tier
    this.zone = config.zone
    this.health = new Health(server.health, monotonicNow, Math.random)
    this.suffix = number === 0 ? '' : ` @${number}`
    this.common = {
      id: `common${this.suffix}`,
      capabilities: declaredTo('', server.roots),
      owner: undefined,
      exclusive: false,
    }
  }

  /** Whether it keeps something for whoever talks to it, as far as that is known. */
  get keepsSessions(): boolean {
    if (this.server.isolation === 'shared') return false
    const { shape } = this
    if ((shape?.era ?? this.era) === 'modern') return false
    return shape === undefined || shape.kind !== 'http' || shape.sessionful
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
