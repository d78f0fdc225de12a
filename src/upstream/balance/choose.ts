import type { Health } from './health.ts'
import type { Load } from './load.ts'

/** The properties of a replica that matter for load balancing. */
export interface Candidate {
  /** Share of the calls within its priority. A replica of weight 0 is never chosen. */
  readonly weight: number
  /** The lowest priority that can take calls gets all of them. */
  readonly priority: number
  readonly zone: string | undefined
  readonly load: Load
  readonly health: Health
}

export interface ChooseOptions<T> {
  /** Current time in milliseconds, by the clock of loads and healths. */
  readonly now: number
  /** Returns a number from 0 to 1. */
  readonly random: () => number
  /** Zone of the gateway. */
  readonly zone: string | undefined
  /** Fraction of the reachable candidates of a priority above which ejections are ignored. */
  readonly panic: number
  /** Candidates that cannot or must not get this call. */
  readonly leftOut?: ((candidate: T) => boolean) | undefined
}

/** Lower latencies count as equal to this. */
const SHORTEST_MS = 1
/**
 * Ratio up to which latencies differ by chance and by tool. A smaller value would give every call to the luckier
 * replica and override the weights.
 */
const BY_CHANCE = 3
/** The weights decide unless one replica has at least this many times the load of the other. */
const CLEARLY = 2

/** Per candidate of `choose`: its part in the draw. Negative if it is ejected, 0 if it cannot be chosen. */
let parts = new Float64Array(16)

/**
 * Chooses the candidate for one call: in the lowest priority that can take calls and in the own zone, two candidates
 * are drawn by weight, and the less loaded one is chosen. `undefined`: none can be reached. See `docs/resilience.md`
 * for the rules. Allocates nothing.
 */
export function choose<T extends Candidate>(
  candidates: readonly T[],
  options: ChooseOptions<T>,
): T | undefined {
  if (candidates.length === 1) return single(candidates[0] as T, options)
  if (parts.length < candidates.length) parts = new Float64Array(candidates.length * 2)
  let inDoubt: number | undefined
  for (
    let priority = lowestPriority(candidates, -Infinity);
    priority !== Infinity;
    priority = lowestPriority(candidates, priority)
  ) {
    const found = weigh(candidates, priority, options, false)
    if (found === 'usable') return draw(candidates, options)
    if (found === 'ejected') inDoubt ??= priority
  }
  if (inDoubt === undefined) return undefined
  weigh(candidates, inDoubt, options, true)
  return draw(candidates, options)
}

/** A single replica is never excluded by an ejection. */
function single<T extends Candidate>(candidate: T, options: ChooseOptions<T>): T | undefined {
  if (candidate.weight <= 0 || candidate.health.out(options.now)) return undefined
  return options.leftOut?.(candidate) === true ? undefined : candidate
}

function lowestPriority(candidates: readonly Candidate[], above: number): number {
  let lowest = Infinity
  for (let index = 0; index < candidates.length; index++) {
    const { priority } = candidates[index] as Candidate
    if (priority > above && priority < lowest) lowest = priority
  }
  return lowest
}

/**
 * Fills `parts` for one priority. Ejections count while they are few. If every candidate is ejected, the result is
 * `ejected`, since a later priority may be better; `believeNone` uses the priority nevertheless.
 */
function weigh<T extends Candidate>(
  candidates: readonly T[],
  priority: number,
  { now, zone, panic, leftOut }: ChooseOptions<T>,
  believeNone: boolean,
): 'usable' | 'ejected' | 'none' {
  let reachable = 0
  let ejected = 0
  let positive = 0
  let negative = 0
  for (let index = 0; index < candidates.length; index++) {
    const candidate = candidates[index] as T
    const { health, weight } = candidate
    parts[index] = 0
    if (candidate.priority !== priority || weight <= 0 || health.out(now)) continue
    reachable++
    const judged = health.ejected(now)
    if (judged) ejected++
    if (leftOut !== undefined && leftOut(candidate)) continue
    if (judged) {
      negative++
      parts[index] = -weight
    } else {
      positive++
      parts[index] = weight * health.share(now)
    }
  }
  if (positive === 0 && !(believeNone && negative > 0)) return negative > 0 ? 'ejected' : 'none'
  if (negative > 0 && (believeNone || ejected > panic * reachable)) {
    for (let index = 0; index < candidates.length; index++) parts[index] = Math.abs(parts[index] as number)
  }
  if (zone !== undefined) keepZone(candidates, zone)
  return 'usable'
}

function keepZone(candidates: readonly Candidate[], zone: string): void {
  let own = false
  for (let index = 0; index < candidates.length && !own; index++) {
    own = (parts[index] as number) > 0 && (candidates[index] as Candidate).zone === zone
  }
  if (!own) return
  for (let index = 0; index < candidates.length; index++) {
    if ((candidates[index] as Candidate).zone !== zone) parts[index] = 0
  }
}

function draw<T extends Candidate>(candidates: readonly T[], { now, random }: ChooseOptions<T>): T {
  let sum = 0
  let count = 0
  for (let index = 0; index < candidates.length; index++) {
    const part = parts[index] as number
    if (part > 0) {
      sum += part
      count++
    }
  }
  const first = drawOne(candidates.length, random() * sum, -1)
  if (count === 1) return candidates[first] as T
  const second = drawOne(candidates.length, random() * (sum - (parts[first] as number)), first)
  const a = candidates[first] as T
  const b = candidates[second] as T
  const mean = sum / count
  let aMs = Math.max(a.load.latencyAt(now), SHORTEST_MS)
  let bMs = Math.max(b.load.latencyAt(now), SHORTEST_MS)
  // If one latency is unknown, only the calls in flight are compared. Otherwise a new replica would get every call
  // until its first answer.
  const unknown = a.load.latencyMs === 0 || b.load.latencyMs === 0
  if (unknown || (aMs < bMs * BY_CHANCE && bMs < aMs * BY_CHANCE)) aMs = bMs = 1
  const aLoad = (1 + (a.load.inFlight * mean) / (parts[first] as number)) * aMs
  const bLoad = (1 + (b.load.inFlight * mean) / (parts[second] as number)) * bMs
  return bLoad * CLEARLY <= aLoad ? b : a
}

/** Index at which the running sum of `parts` exceeds `point`, without the part at `except`. */
function drawOne(length: number, point: number, except: number): number {
  let last = -1
  for (let index = 0, sum = 0; index < length; index++) {
    const part = parts[index] as number
    if (part <= 0 || index === except) continue
    last = index
    sum += part
    if (point < sum) return index
  }
  // Rounding errors can make the sum slightly smaller than before.
  return last
}
