import { LRUCache } from 'lru-cache'
import { choose } from '../balance/choose.ts'
import { Latencies } from '../balance/latencies.ts'
import { RetryBudget } from '../balance/retry-budget.ts'
import type { ServerConfig } from '../../config/types.ts'
import type { Endpoint, ReplicaConfig } from '../../config/replica-types.ts'
import { monotonicNow } from '../../core/clock.ts'
import { GatewayError } from '../../core/errors.ts'
import { wildcard } from '../../policy/pattern.ts'
import type { Caller } from './isolation.ts'
import { Replica } from './replica.ts'

/** Whether a replica is no choice for a call: it was tried already, or does not offer what is called. */
export type Excluded = (replica: Replica) => boolean

/** Where a call may go, and where it went. */
export interface ReplicaChoice {
  readonly excluded: Excluded | undefined
  /** Set as soon as it is decided. */
  replica: Replica | undefined
}

/** Second attempts at calls that are slow, as a share of calls. */
const HEDGES = 0.05
/** Sessions and principals whose replica is remembered. */
const MAX_REMEMBERED = 10_000
const DRAINED_MS = 60_000

/**
 * The replicas of a server, and which of them takes a call: `upstream/balance/choose.ts` decides, but a client of a server that keeps sessions stays with its replica for as
 * long as that can be used.
 */
export class ReplicaSet {
  readonly server: ServerConfig
  #zone: string | undefined
  #list: readonly Replica[]
  /** Of the next one that is new. */
  #next: number
  /** Names of those that take no calls until further notice. */
  #drained: ReadonlySet<string> = new Set()
  /** By session or principal: where the server keeps something for it. */
  readonly #remembered = new LRUCache<string, Replica>({ max: MAX_REMEMBERED })
  /** Where what lasts beyond a call stands, for servers that keep no sessions. */
  #standing: Replica | undefined
  /** Calls that may have been run, and are made once more. */
  retryBudget: RetryBudget
  /** Calls that are tried at a second replica while the first is at it. */
  readonly hedgeBudget = new RetryBudget(HEDGES, 1)
  /** Of calls that may run twice. */
  readonly latencies = new Latencies()
  /** Whether calls of tools may run twice, where that is asked for at all. */
  readonly #repeats = new LRUCache<string, boolean>({ max: MAX_REMEMBERED })
  #someRepeat = false
  #retryShare: number
  readonly #onTurn: ((replica: Replica, cause: string | undefined) => void) | undefined

  /** `zone` is the gateway's own. `onTurn` hears when a replica goes out or is ejected, with the cause, and when it is back, without one. */
  constructor(
    server: ServerConfig,
    zone: string | undefined,
    onTurn?: (replica: Replica, cause: string | undefined) => void,
  ) {
    this.#onTurn = onTurn
    this.server = server
    this.#zone = zone
    this.#retryShare = server.retryBudget
    this.retryBudget = new RetryBudget(server.retryBudget)
    this.#lookAtRepeats()
    this.#list = server.replicas.map((config, number) => this.#made(config, number))
    this.#next = server.replicas.length
  }

  #made(config: ReplicaConfig, number: number): Replica {
    const replica = new Replica(this.server, config, number)
    replica.onTurn = cause => this.#onTurn?.(replica, cause)
    return replica
  }

  get list(): readonly Replica[] {
    return this.#list
  }

  /** Whether there are several. */
  get several(): boolean {
    return this.#list.length > 1
  }

  /** The settings of the server have changed; `zone` is the gateway's own. */
  reconfigured(zone: string | undefined): void {
    this.#zone = zone
    this.#lookAtRepeats()
    if (this.server.retryBudget !== this.#retryShare) {
      this.#retryShare = this.server.retryBudget
      this.retryBudget = new RetryBudget(this.#retryShare)
    }
    for (const { health } of this.#list) health.configure(this.server.health)
  }

  #lookAtRepeats(): void {
    const { retry, tools } = this.server
    this.#someRepeat = retry || tools.some(tool => tool.retry === true)
    this.#repeats.clear()
  }

  /**
   * Takes others for the replicas there are. Those of the same name and endpoint stay, with what is known of them, and have their new weight, priority and zone from the next
   * call on. Returns those that are gone, which take no new calls.
   */
  update(configs: readonly ReplicaConfig[]): readonly Replica[] {
    const gone = new Set(this.#list)
    const spoken = this.#list[0]?.spoken
    this.#list = configs.map(config => {
      for (const known of gone) {
        if (known.name !== config.name || !sameEndpoint(known.endpoint, config.endpoint)) continue
        gone.delete(known)
        known.weight = config.weight
        known.priority = config.priority
        known.zone = config.zone
        return known
      }
      const added = this.#made(config, this.#next++)
      if (spoken) added.spoken = spoken
      added.drained = this.#isDrained(added)
      return added
    })
    for (const replica of gone) replica.drained = true
    return [...gone]
  }

  /** Puts a fresh replica in the place of each one, with its endpoint and its share. Returns the old ones, which take no new calls. */
  renew(): readonly Replica[] {
    const gone = this.#list
    this.#list = gone.map(old => {
      const { name, endpoint, weight, priority, zone, spoken } = old
      const fresh = this.#made({ name, endpoint, weight, priority, zone, service: undefined }, this.#next++)
      fresh.spoken = spoken
      fresh.drained = old.drained
      return fresh
    })
    for (const replica of gone) replica.drained = true
    return gone
  }

  /**
   * From now on the replicas of these names take no calls, and all others do; `''` is the name of all. A name that stands for several addresses is that of each.
   * Returns those for which that is new.
   */
  drain(names: ReadonlySet<string>): readonly Replica[] {
    this.#drained = names
    return this.#list.filter(replica => {
      const drained = this.#isDrained(replica)
      const changed = replica.drained !== drained
      replica.drained = drained
      return changed
    })
  }

  #isDrained({ name }: Replica): boolean {
    if (this.#drained.has('') || this.#drained.has(name)) return true
    const slash = name.lastIndexOf('/')
    return slash > 0 && this.#drained.has(name.slice(0, slash))
  }

  /** Whether a call of a tool may run twice, by the configuration. */
  repeats(tool: string): boolean {
    if (!this.#someRepeat) return false
    let repeats = this.#repeats.get(tool)
    if (repeats === undefined) {
      const { retry, tools } = this.server
      repeats =
        tools.find(({ glob, retry: own }) => own !== undefined && wildcard(glob)(tool))?.retry ?? retry
      this.#repeats.set(tool, repeats)
    }
    return repeats
  }

  /**
   * Which replicas are no choice for a call of a tool: they do not offer what the others do, or another one, named `home`, has begun what it is about and can be
   * used. `undefined`: all are a choice.
   */
  excludedFor(tool: string, home: string | undefined): Excluded | undefined {
    const held = home === undefined ? undefined : this.#list.find(({ name }) => name === home)
    if (!held && !this.#list.some(({ missingTools }) => missingTools?.has(tool))) return undefined
    return replica =>
      (replica.missingTools?.has(tool) ?? false) ||
      (held !== undefined && replica !== held && held.isUsable(monotonicNow()))
  }

  /** Whether there is one that can be used, or may be, besides those that are no choice. */
  hasOther(leftOut: Excluded): boolean {
    const now = monotonicNow()
    return this.#list.some(replica => !leftOut(replica) && replica.mayBeTried(now))
  }

  /**
   * The replica for a call, or for what is about nobody's.
   * @throws GatewayError `upstream_unreachable`, not sent, when none can be used
   */
  choose(caller: Caller | undefined, leftOut: Excluded | undefined): Replica {
    const only = this.several ? undefined : this.#list[0]
    if (only && !only.drained && !leftOut?.(only)) return only
    const now = monotonicNow()
    const known = caller && this.#remembered.get(whoIs(caller))
    if (known?.keepsSessionsFor(caller) && known.isUsable(now) && !leftOut?.(known)) return known
    const chosen = choose(this.#list, {
      now,
      random: Math.random,
      zone: this.#zone,
      panic: this.server.health.panic,
      leftOut: replica => replica.drained || (leftOut?.(replica) ?? false),
    })
    if (!chosen) return this.#lastResort(leftOut, now)
    if (caller && chosen.keepsSessionsFor(caller)) this.remember(caller, chosen)
    return chosen
  }

  /** None can be reached, as far as is known: the one that would be tried next is tried now, since a call that is not sent costs nothing. */
  #lastResort(leftOut: Excluded | undefined, now: number): Replica {
    let soonest: Replica | undefined
    for (const replica of this.#list) {
      if (leftOut?.(replica) || !replica.mayBeTried(now)) continue
      if (!soonest || (replica.health.nextTry ?? 0) < (soonest.health.nextTry ?? 0)) soonest = replica
    }
    if (!soonest) throw this.#noneFor(leftOut, now)
    return soonest
  }

  /** The replica for what lasts beyond a call. */
  standingFor(caller: Caller): Replica {
    const standing = this.#standing
    if (standing && !standing.keepsSessionsFor(caller) && standing.isUsable(monotonicNow())) return standing
    const chosen = this.choose(caller, undefined)
    this.#standing = chosen
    return chosen
  }

  /** From now on a client stays with a replica. */
  remember(caller: Caller, replica: Replica): void {
    if (this.several) this.#remembered.set(whoIs(caller), replica)
  }

  /** A session has ended. */
  forget(id: string): void {
    this.#remembered.delete(id)
  }

  #noneFor(leftOut: Excluded | undefined, now: number): GatewayError {
    const { name, problem } = this.server
    if (problem !== undefined) return new GatewayError('config', problem, { server: name })
    if (this.#list.length > 0 && this.#list.every(({ drained }) => drained))
      return new GatewayError(
        'upstream_unreachable',
        `Server "${name}" is drained: it takes no calls until an operator ends that, with: mcp-manifold drain ${name} --undo`,
        // Nobody knows when, but trying again in a moment is of no use.
        { server: name, retryAfterMs: DRAINED_MS },
      )
    const why = this.#list.map(replica => {
      if (replica.drained) return `${replica.name} is drained`
      if (leftOut?.(replica)) return `${replica.name} was tried, or does not offer it`
      return `${replica.name}: ${replica.health.cause ?? 'its weight is 0'}`
    })
    const tries = this.#list.flatMap(({ drained, health }) => (drained ? [] : (health.nextTry ?? [])))
    const waitMs = tries.length === 0 ? undefined : Math.max(1, Math.ceil(Math.min(...tries) - now))
    const next = waitMs === undefined ? '' : ` Next attempt in ${Math.max(1, Math.ceil(waitMs / 1000))} s.`
    return new GatewayError(
      'upstream_unreachable',
      `No replica of server "${name}" can take the call: ${why.join('; ')}.${next}`,
      { server: name, ...(waitMs !== undefined && { retryAfterMs: waitMs }) },
    )
  }
}

/** Whether a link to one is a link to the other. Of its addresses the first says which one it is. */
function sameEndpoint(a: Endpoint, b: Endpoint): boolean {
  const key = (endpoint: Endpoint): string =>
    JSON.stringify({ ...endpoint, addresses: endpoint.addresses?.slice(0, 1) })
  return key(a) === key(b)
}

/** Who it is whose replica is remembered. */
function whoIs({ conversation, principal }: Caller): string {
  return conversation?.id ?? principal.id
}
