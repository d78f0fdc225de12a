import type { MetricObjectWithValues, MetricValue, MetricValueWithName, Metric, Registry } from 'prom-client'
import type { MetricDescription, Reading } from './series.ts'

/** The two formats of scrapes. Only the first one has exemplars. */
export type ExpositionFormat = 'openmetrics' | 'prometheus'

/** A metric, and its series when they are asked for. */
export interface ExposedMetric {
  readonly description: MetricDescription
  readonly read: () => readonly Reading[]
}

export interface ExposedText {
  readonly text: string
  readonly contentType: string
}

type Values = MetricObjectWithValues<MetricValue<string>>

/**
 * Writes metrics, with those of the process, in the formats of Prometheus. Its library is loaded with the first scrape.
 * Scrapes at the same time share one text.
 */
export class Exposition {
  readonly #metrics: readonly ExposedMetric[]
  #registry: Promise<Registry> | undefined
  #format: ExpositionFormat = 'prometheus'
  readonly #pending = new Map<ExpositionFormat, Promise<ExposedText>>()
  #last: Promise<unknown> = Promise.resolve()

  constructor(metrics: readonly ExposedMetric[]) {
    this.#metrics = metrics
  }

  write(format: ExpositionFormat): Promise<ExposedText> {
    const pending = this.#pending.get(format)
    if (pending) return pending
    // The registry writes one format at a time.
    const written = this.#last.then(() => {
      this.#pending.delete(format)
      return this.#write(format)
    })
    this.#pending.set(format, written)
    this.#last = written.catch(() => undefined)
    return written
  }

  async #write(format: ExpositionFormat): Promise<ExposedText> {
    const registry = await (this.#registry ??= this.#load())
    this.#format = format
    registry.setContentType(contentTypeOf(format) as Parameters<Registry['setContentType']>[0])
    return { text: await registry.metrics(), contentType: contentTypeOf(format) }
  }

  async #load(): Promise<Registry> {
    const library = await import('prom-client')
    const registry = new library.Registry()
    library.collectDefaultMetrics({ register: registry })
    for (const { description, read } of this.#metrics) {
      const get = (): Promise<Values> => Promise.resolve(valuesOf(description, read(), this.#format))
      registry.registerMetric({ name: description.name, get } as unknown as Metric)
    }
    return registry
  }
}

function contentTypeOf(format: ExpositionFormat): string {
  return format === 'openmetrics'
    ? 'application/openmetrics-text; version=1.0.0; charset=utf-8'
    : 'text/plain; version=0.0.4; charset=utf-8'
}

function valuesOf(
  { name, help, kind, buckets = [] }: MetricDescription,
  readings: readonly Reading[],
  format: ExpositionFormat,
): Values {
  // In OpenMetrics the library adds the suffix to each value.
  const shown = kind === 'counter' && format === 'prometheus' ? `${name}_total` : name
  const values =
    kind === 'histogram'
      ? readings.flatMap(reading => histogramOf(name, buckets, reading))
      : readings.map(({ labels, value }) => ({ labels, value }))
  return { name: shown, help, type: kind, values, aggregator: 'sum' } as unknown as Values
}

function histogramOf(
  name: string,
  bounds: readonly number[],
  { labels, value: sum, buckets = [], exemplars }: Reading,
): MetricValueWithName<string>[] {
  const values: object[] = buckets.map((count, at) => {
    const exemplar = exemplars?.get(at)
    return {
      metricName: `${name}_bucket`,
      labels: { ...labels, le: at < bounds.length ? String(bounds[at]) : '+Inf' },
      value: count,
      ...(exemplar && {
        exemplar: {
          labelSet: { trace_id: exemplar.traceId },
          value: exemplar.value,
          timestamp: exemplar.time,
        },
      }),
    }
  })
  values.push({ metricName: `${name}_sum`, labels, value: sum })
  values.push({ metricName: `${name}_count`, labels, value: buckets.at(-1) ?? 0 })
  return values as MetricValueWithName<string>[]
}
