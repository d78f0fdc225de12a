import type { EventBus } from '../../core/event-bus.ts'
import { estimatedTokens } from '../../core/estimated-tokens.ts'
import { allSeries } from './all-series.ts'
import { countEvents } from './event-metrics.ts'
import { Exposition, type ExposedMetric, type ExposedText, type ExpositionFormat } from './exposition.ts'
import { RequestMetrics } from './request-metrics.ts'
import type { MetricDescription, Reading, Series } from './series.ts'
import { seriesOf, STATE_METRICS, type GatewayState } from './state-metrics.ts'

export interface MetricsOptions {
  /** Series of each metric. What is beyond is counted together (`Series`). */
  readonly maxSeries: number
  readonly state: () => GatewayState
}

export const RESULT_TOKENS: MetricDescription = {
  name: 'manifold_result_tokens',
  help: 'Estimated tokens of results: bytes by 4.1.',
  kind: 'counter',
  labels: [
    { name: 'client', open: true },
    { name: 'server', open: true },
  ],
}

export const FOLDED: MetricDescription = {
  name: 'manifold_folded_series',
  help: 'Times that a series had no place of its own and became one of "other", by metric.',
  kind: 'counter',
  labels: [{ name: 'metric', open: false }],
}

/**
 * The metrics of a gateway (docs/metrics.md). Counting adds to arrays while calls pass. Texts are made when they are
 * asked for.
 */
export class Metrics {
  readonly #series
  readonly #requests: RequestMetrics
  readonly #exposition: Exposition
  #ends: (() => void)[] = []

  constructor({ maxSeries, state }: MetricsOptions) {
    const series = (this.#series = allSeries(maxSeries))
    this.#requests = new RequestMetrics(series)
    const counted = Object.values(series)
    const tokens = (): Reading[] =>
      series.bytesOut.read().map(({ labels, value }) => ({ labels, value: estimatedTokens(value) }))
    this.#exposition = new Exposition([
      ...counted.map((each): ExposedMetric => ({ description: each.description, read: () => each.read() })),
      { description: RESULT_TOKENS, read: tokens },
      { description: FOLDED, read: () => foldedOf(counted) },
      ...STATE_METRICS.map((metric): ExposedMetric => ({
        description: metric,
        read: () => seriesOf(metric, state(), maxSeries).read(),
      })),
    ])
  }

  /** Counts what `events` report, until `unfollow`. */
  follow(events: Pick<EventBus, 'hear'>): void {
    this.#ends.push(this.#requests.listen(events), countEvents(events, this.#series))
  }

  unfollow(): void {
    for (const end of this.#ends.splice(0)) end()
  }

  /** What a scrape gets. */
  write(format: ExpositionFormat): Promise<ExposedText> {
    return this.#exposition.write(format)
  }
}

function foldedOf(counted: readonly Series[]): Reading[] {
  return counted
    .filter(({ folded }) => folded > 0)
    .map(({ description, folded }) => ({ labels: { metric: description.name }, value: folded }))
}
