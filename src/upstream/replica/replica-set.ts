import { choose } from '../balance/choose.ts'
import { Latencies } from '../balance/latencies.ts'
import { RetryBudget } from '../balance/retry-budget.ts'
import type { ServerConfig } from '../../config/types.ts'
import type { Endpoint, ReplicaConfig } from '../../config/replica-types.ts'
import type { ReplicaId } from '../../core/call-state.ts'
import { monotonicNow } from '../../core/clock.ts'
import { GatewayError } from '../../core/errors.ts'
import { growingLru } from '../../core/growing-lru.ts'
import { shellWord } from '../../core/shell-word.ts'
import { wildcard } from '../../policy/pattern.ts'
import type { Caller } from './isolation.ts'
import { Replica } from './replica.ts'

/** Whether a replica is excluded for a call: it was tried already, or lacks the called tool. */
export type Excluded = (replica: Replica) => boolean

/** Replicas allowed for a call, and the one that was chosen. */
export interface ReplicaChoice {
  readonly excluded: Excluded | undefined
  /** Set as soon as it is decided. */
  replica: Replica | undefined
}

/** Budget of hedged attempts, as a share of calls. */
const HEDGES = 0.05
/** Maximum number of sessions and principals whose replica is recorded. */
const MAX_REMEMBERED = 10_000
const DRAINED_MS = 60_000

/**
 * The replicas of a server, and the choice among them for a call (`upstream/balance/choose.ts`). A client of a server
 * that keeps sessions stays with its replica for as long as that can be used.
 */
export class ReplicaSet {
  readonly server: ServerConfig
  #zone: string | undefined
  #list: readonly Replica[]
  /** Number of the next new replica. */
  #next: number
  /** Names of drained replicas. */
  #drained: ReadonlySet<string> = new Set()
  /** Replica by session or principal, where the server keeps state for it. */
  readonly #remembered = growingLru<string, Replica>(MAX_REMEMBERED)
  /** Replica for standing subscriptions, for servers that keep no sessions. */
  #standing: Replica | undefined
  /** Budget for retries of calls that may have been executed. */
  retryBudget: RetryBudget
  /** Budget for hedged attempts at a second replica. */
  readonly hedgeBudget = new RetryBudget(HEDGES, 1)
  /** Latencies of repeatable calls. */
  readonly latencies = new Latencies()
  /** Whether a tool may be called twice, cached by name. */
  readonly #repeats = growingLru<string, boolean>(MAX_REMEMBERED)
  #someRepeat = false
  #retryShare: number
  readonly #onTurn: ((replica: Replica, cause: string | undefined) => void) | undefined

  /**
   * `zone` is the gateway's own. `onTurn` is called when a replica goes out or is ejected, with the cause, and when it
   * is back, without one.
   */
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
    return new Replica(this.server, config, number, this.#onTurn)
  }

  get list(): readonly Replica[] {
    return this.#list
  }

  /** Whether a replica is current. One that was replaced or removed serves its last calls only. */
  has(replica: unknown): boolean {
    return this.#list.some(current => current === replica)
  }

  /** Whether there are several replicas. */
  get several(): boolean {
    return this.#list.length > 1
  }

  /** Applies changed settings of the server. `zone` is the gateway's own. */
  reconfigured(zone: string | undefined): void {
    this.#zone = zone
    this.#lookAtRepeats()
    if (this.server.retryBudget !== this.#retryShare) {
      this.#retryShare = this.server.retryBudget
      this.retryBudget = new RetryBudget(this.#retryShare)
    }
    for (const { health } of this.#list) health.configure(this.server.health)
  }

  /** Lets the next call try replicas at once that were unreachable. Returns whether there are any. */
  tryNow(): boolean {
    const now = monotonicNow()
    return this.#list.filter(({ health }) => health.tryNow(now)).length > 0
  }

  #lookAtRepeats(): void {
    const { retry, tools } = this.server
    this.#someRepeat = retry || tools.some(tool => tool.retry === true)
    this.#repeats.clear()
  }

  /**
   * Replaces the replicas. Those of the same name and endpoint stay, with their recorded state, and have their new
   * weight, priority and zone from the next call on. Returns the removed ones, which take no new calls.
   */
  update(configs: readonly ReplicaConfig[]): readonly Replica[] {
    const gone = new Set(this.#list)
    const spoken = this.#list[0]?.spoken
    this.#list = configs.map(config => {
      for (const known of gone) {
        if (known.name !== config.name || !sameEndpoint(known.endpoint, config.endpoint)) continue
        gone.delete(known)
        known.reweigh(config)
        return known
      }
      const added = this.#made(config, this.#next++)
      if (spoken) added.assume(spoken)
      if (this.#isDrained(added)) added.drain()
      return added
    })
    for (const replica of gone) replica.drain()
    return [...gone]
  }

  /**
   * Replaces each of these replicas that is in the list with a new one, with the same endpoint and share. Returns the
   * old ones, which take no new calls.
   */
  renew(replicas: readonly Replica[]): readonly Replica[] {
    const gone = this.#list.filter(replica => replicas.includes(replica))
    this.#list = this.#list.map(old => {
      if (!gone.includes(old)) return old
      const { name, location, endpoint, weight, priority, zone, spoken } = old
      const same = { name, location, endpoint, weight, priority, zone, service: undefined }
      const fresh = this.#made(same, this.#next++)
      fresh.assume(spoken)
      if (old.drained) fresh.drain()
      return fresh
    })
    for (const replica of gone) replica.drain()
    return gone
  }

  /**
   * Drains the replicas of these names, and no others; `''` is the name of all. A name with several addresses stands
   * for each of its replicas. Returns those that are newly drained.
   */
  drain(names: ReadonlySet<string>): readonly Replica[] {
    this.#drained = names
    return this.#list.filter(replica => {
      const drained = this.#isDrained(replica)
      if (replica.drained === drained) return false
      if (drained) replica.drain()
      else replica.resume()
      return true
    })
  }

  #isDrained({ name }: Replica): boolean {
    if (this.#drained.has('') || this.#drained.has(name)) return true
    const slash = name.lastIndexOf('/')
    return slash > 0 && this.#drained.has(name.slice(0, slash))
  }

  /** Whether the configuration allows a tool to be called twice. */
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
   * Replicas excluded for a call of a tool: they lack the tool, or are elsewhere than the replica `home`, to which the
   * call belongs. Of those at its location they are excluded while `home` itself can be used. `undefined`: none is.
   */
  excludedFor(tool: string, home: ReplicaId | undefined): Excluded | undefined {
    if (!home && !this.#list.some(({ missingTools }) => missingTools?.has(tool))) return undefined
    const held = home && this.#list.find(replica => isSame(replica, home))
    return replica =>
      (replica.missingTools?.has(tool) ?? false) ||
      (home !== undefined && replica.location !== home.location) ||
      (held !== undefined && replica !== held && held.isUsable(monotonicNow()))
  }

  /** The replica of this identity, or else another one at its location. `undefined`: there is none there any more. */
  at(home: ReplicaId): Replica | undefined {
    const those = this.#list.filter(({ location }) => location === home.location)
    const now = monotonicNow()
    return those.find(replica => isSame(replica, home)) ?? those.find(one => one.isUsable(now)) ?? those[0]
  }

  /** Whether a replica that is not excluded can be used. */
  hasOther(leftOut: Excluded): boolean {
    const now = monotonicNow()
    return this.#list.some(replica => !leftOut(replica) && replica.mayBeTried(now))
  }

  /**
   * The replica for a call, or for a request of the gateway itself.
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

  /**
   * No replica seems reachable: the one whose next try is due first is tried now, since a call that is not sent costs
   * nothing.
   */
  #lastResort(leftOut: Excluded | undefined, now: number): Replica {
    let soonest: Replica | undefined
    for (const replica of this.#list) {
      if (leftOut?.(replica) || !replica.mayBeTried(now)) continue
      if (!soonest || (replica.health.nextTry ?? 0) < (soonest.health.nextTry ?? 0)) soonest = replica
    }
    if (!soonest) throw this.#noneFor(leftOut, now)
    return soonest
  }

  /** The replica for standing subscriptions. */
  standingFor(caller: Caller): Replica {
    const standing = this.#standing
    if (standing && !standing.keepsSessionsFor(caller) && standing.isUsable(monotonicNow())) return standing
    const chosen = this.choose(caller, undefined)
    this.#standing = chosen
    return chosen
  }

  /** Binds a client to a replica. */
  remember(caller: Caller, replica: Replica): void {
    if (this.several) this.#remembered.set(whoIs(caller), replica)
  }

  /** Drops the binding of a session that has ended. */
  forget(id: string): void {
    this.#remembered.delete(id)
  }

  #noneFor(leftOut: Excluded | undefined, now: number): GatewayError {
    const { name, problem } = this.server
    if (problem !== undefined) return new GatewayError('config', problem, { server: name })
    if (this.#list.length > 0 && this.#list.every(({ drained }) => drained))
      return new GatewayError(
        'upstream_unreachable',
        `Server "${name}" is drained: it takes no calls until an operator ends that, with: mcp-manifold drain ${shellWord(name)} --undo`,
        // The end of the drain is unknown, but an immediate retry is useless.
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

/** Whether two endpoints are the same replica. The first of its addresses identifies it. */
function sameEndpoint(a: Endpoint, b: Endpoint): boolean {
  const key = (endpoint: Endpoint): string =>
    JSON.stringify({ ...endpoint, addresses: endpoint.addresses?.slice(0, 1) })
  return key(a) === key(b)
}

function isSame(replica: ReplicaId, { name, location }: ReplicaId): boolean {
  return replica.name === name && replica.location === location
}

/** Key of the caller whose replica is recorded. */
function whoIs({ conversation, principal }: Caller): string {
  return conversation?.id ?? principal.id
}
