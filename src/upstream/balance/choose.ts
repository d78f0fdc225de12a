import type { Health } from './health.ts'
import type { Load } from './load.ts'

/** A replica, as far as choosing is concerned. */
export interface Candidate {
  /** Share of the calls within its priority; one of weight 0 is never chosen. */
  readonly weight: number
  /** The lowest one that can take calls gets them all. */
  readonly priority: number
  readonly zone: string | undefined
  readonly load: Load
  readonly health: Health
}

export interface ChooseOptions<T> {
  /** Milliseconds, of the clock that loads and healths go by. */
  readonly now: number
  /** From 0 to 1. */
  readonly random: () => number
  /** The gateway's own. */
  readonly zone: string | undefined
  /** Fraction of a priority's reachable candidates above which ejections are not believed. */
  readonly panic: number
  /** Those that this call cannot or must not go to. */
  readonly leftOut?: ((candidate: T) => boolean) | undefined
}

/** Faster than that all are alike. */
const SHORTEST_MS = 1
/** By so many times latencies differ by chance and by what is called. Were less believed, the luckier one would get everything, and no weight would be kept. */
const BY_CHANCE = 3
/** The weights decide unless one is at least so many times as loaded as the other. */
const CLEARLY = 2

/** Of the candidates of `choose`: their part in the draw, negative where they are ejected, 0 where they are out of the question. */
let parts = new Float64Array(16)

/**
 * The candidate for one call, or `undefined` where none can be reached: the lowest priority that can take calls, the own zone in it, and of two
 * drawn by weight the less loaded one. `docs/resilience.md` has the rules. Allocates nothing.
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

/** A single replica is never left out by a judgement. */
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
 * Fills `parts` for one priority. Ejections are believed in as long as they are few. A priority in which everything is ejected is `ejected`, since
 * a later one may be better off; `believeNone` takes it nevertheless.
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
  // Not known of one: only what is in flight can be compared, or a newcomer would get everything until its first answer.
  const unknown = a.load.latencyMs === 0 || b.load.latencyMs === 0
  if (unknown || (aMs < bMs * BY_CHANCE && bMs < aMs * BY_CHANCE)) aMs = bMs = 1
  const aLoad = (1 + (a.load.inFlight * mean) / (parts[first] as number)) * aMs
  const bLoad = (1 + (b.load.inFlight * mean) / (parts[second] as number)) * bMs
  return bLoad * CLEARLY <= aLoad ? b : a
}

/** Index in `parts` where their sum exceeds `point`, without the one at `except`. */
function drawOne(length: number, point: number, except: number): number {
  let last = -1
  for (let index = 0, sum = 0; index < length; index++) {
    const part = parts[index] as number
    if (part <= 0 || index === except) continue
    last = index
    sum += part
    if (point < sum) return index
  }
  // Rounding: the sum of all may be a hair below what it was.
  return last
}
