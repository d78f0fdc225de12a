import type { Candidate } from './choose.ts'

/** A smaller difference in latency does not matter. */
const LEAST_MORE_MS = 100
/** With fewer samples the average is chance. */
const FEWEST_SAMPLES = 10

/**
 * Replicas whose average latency is over `slowBy` times the median of the others, and at least 100 ms above it. Their
 * averages start again, so that a returned replica is evaluated by its later calls alone.
 */
export function outliers<T extends Candidate>(
  candidates: readonly T[],
  { slowBy, now }: { readonly slowBy: number; readonly now: number },
): T[] {
  const measured = candidates.filter(
    ({ load, health }) => load.samples >= FEWEST_SAMPLES && !health.out(now) && !health.ejected(now),
  )
  const slow = measured.filter(candidate => {
    const others = measured.filter(other => other !== candidate).map(({ load }) => load.averageMs)
    if (others.length === 0) return false
    const usualMs = median(others)
    const { averageMs } = candidate.load
    return averageMs > slowBy * usualMs && averageMs > usualMs + LEAST_MORE_MS
  })
  for (const { load } of slow) load.startAverage()
  return slow
}

function median(values: number[]): number {
  values.sort((a, b) => a - b)
  const middle = Math.floor(values.length / 2)
  const upper = values[middle] as number
  return values.length % 2 === 1 ? upper : ((values[middle - 1] as number) + upper) / 2
}
