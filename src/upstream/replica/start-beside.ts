import { monotonicNow } from '../../core/clock.ts'
import type { Caller } from './isolation.ts'
import type { Replica } from './replica.ts'
import type { Excluded, ReplicaSet } from './replica-set.ts'

export interface BackgroundStartOptions {
  readonly replicas: ReplicaSet
  /** Whether a shared link to it is open. */
  readonly runs: (replica: Replica) => boolean
  /** Opens such a link. May throw or reject. */
  readonly start: (replica: Replica) => unknown
}

/** Starts a chosen replica in the background while a running one takes the call. */
export class BackgroundStart {
  readonly #options: BackgroundStartOptions

  constructor(options: BackgroundStartOptions) {
    this.#options = options
  }

  /** @throws GatewayError when no replica can be used */
  choose(caller: Caller | undefined, leftOut: Excluded | undefined): Replica {
    const { replicas } = this.#options
    const chosen = replicas.choose(caller, leftOut)
    if (!replicas.several) return chosen
    if (chosen.traits.process && chosen.health.away) return this.#otherThan(chosen, caller, leftOut)
    return chosen.keepsSessionsFor(caller) ? chosen : this.#runningOr(chosen, leftOut)
  }

  /**
   * As `choose`, preferably a replica that offers what most do: its lists are those of the server.
   * @throws GatewayError when no replica can be used
   */
  chooseTypical(caller: Caller): Replica {
    const chosen = this.choose(caller, undefined)
    if (!chosen.missingTools || chosen.keepsSessionsFor(caller)) return chosen
    const differs = ({ missingTools }: Replica): boolean => missingTools !== undefined
    return this.#options.replicas.hasOther(differs) ? this.choose(caller, differs) : chosen
  }

  #runningOr(chosen: Replica, leftOut: Excluded | undefined): Replica {
    const { replicas, runs } = this.#options
    if (runs(chosen)) return chosen
    const now = monotonicNow()
    for (const replica of replicas.list) {
      if (!runs(replica) || replica.priority > chosen.priority) continue
      if (!replica.isUsable(now) || leftOut?.(replica)) continue
      void this.#start(chosen)
      return replica
    }
    return chosen
  }

  /** A call must not wait for a process that failed to start the last time, or did not last. */
  #otherThan(away: Replica, caller: Caller | undefined, leftOut: Excluded | undefined): Replica {
    let other: Replica
    try {
      other = this.#options.replicas.choose(
        caller,
        replica => replica === away || (leftOut?.(replica) ?? false),
      )
    } catch {
      return away
    }
    // Otherwise two unreachable replicas would wait for each other.
    if (other.health.away) return away
    void this.#start(away)
    return other
  }

  async #start(replica: Replica): Promise<void> {
    try {
      await this.#options.start(replica)
    } catch {
      // The failure has already been recorded in its health.
    }
  }
}
