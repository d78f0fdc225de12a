import { METRICS, type MetricKey } from './descriptions.ts'
import { Series } from './series.ts'

export type AllSeries = Readonly<Record<MetricKey, Series>>

/** The series of every metric, each bounded by `maxSeries`. */
export function allSeries(maxSeries: number): AllSeries {
  const entries = Object.entries(METRICS).map(([key, description]) => [
    key,
    new Series(description, maxSeries),
  ])
  return Object.fromEntries(entries) as AllSeries
}
