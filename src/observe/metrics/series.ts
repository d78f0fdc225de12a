/** What a metric is called and counts. The table in docs/metrics.md is written from it. */
export interface MetricDescription {
  /** Without the suffixes of its kind, such as `_total`. */
  readonly name: string
  /** One sentence. */
  readonly help: string
  readonly kind: 'counter' | 'gauge' | 'histogram'
  readonly labels: readonly LabelDescription[]
  /** Upper bounds of a histogram, ascending, in the unit of its name. */
  readonly buckets?: readonly number[]
}

export interface LabelDescription {
  readonly name: string
  /** Whether its values come from clients, servers or configurations. Others are of a short list. */
  readonly open: boolean
}

/** A single observation, for a series that is looked at: the trace to look for. */
export interface Exemplar {
  readonly traceId: string
  readonly value: number
  /** Unix seconds. */
  readonly time: number
}

/** One series, as it is read. Counts of buckets are cumulative, and the last one is that of all observations. */
export interface Reading {
  readonly labels: Readonly<Record<string, string>>
  readonly value: number
  readonly buckets?: readonly number[]
  readonly exemplars?: ReadonlyMap<number, Exemplar>
}

/** The value of open labels in the series of what has no series of its own. */
const OTHER = 'other'
/** Characters of a label's value. Names of servers and tools may have any length. */
const MAX_LABEL_CHARS = 128
const FIRST_SERIES = 8

/**
 * The series of one metric, in one array. A series is looked up once by its labels, and written to by its place. Beyond
 * `maxSeries`, values of open labels become `other`, so that the number of series stays bounded.
 */
export class Series {
  readonly description: MetricDescription
  readonly #maxSeries: number
  readonly #buckets: readonly number[]
  /** Numbers of one series: a value; or the counts of its buckets, its sum and its count. */
  readonly #width: number
  #numbers: Float64Array
  readonly #places = new Map<string, number>()
  readonly #labels: (readonly string[])[] = []
  readonly #exemplars = new Map<number, Map<number, Exemplar>>()
  #folded = 0

  constructor(description: MetricDescription, maxSeries: number) {
    this.description = description
    this.#maxSeries = maxSeries
    this.#buckets = description.buckets ?? []
    this.#width = description.kind === 'histogram' ? this.#buckets.length + 2 : 1
    this.#numbers = new Float64Array(this.#width * FIRST_SERIES)
  }

  /** How often a series was looked up that has no place of its own. */
  get folded(): number {
    return this.#folded
  }

  /** The place of the series with these values of the labels, in their order. It stays valid. */
  at(...values: readonly string[]): number {
    const key = keyOf(values)
    const known = this.#places.get(key)
    if (known !== undefined) return known
    if (this.#labels.length < this.#maxSeries) return this.#add(key, values)
    this.#folded++
    const folded = values.map((value, at) => (this.description.labels[at]?.open === true ? OTHER : value))
    const other = keyOf(folded)
    return this.#places.get(other) ?? this.#add(other, folded)
  }

  add(place: number, amount = 1): void {
    this.#numbers[place] = (this.#numbers[place] ?? 0) + amount
  }

  /** Counts an observation of a histogram. */
  observe(place: number, value: number): void {
    const numbers = this.#numbers
    const bucket = this.#bucketOf(value)
    const sum = place + this.#buckets.length
    // Values above the last bound are in the count only.
    if (bucket < this.#buckets.length) numbers[place + bucket] = (numbers[place + bucket] ?? 0) + 1
    numbers[sum] = (numbers[sum] ?? 0) + value
    numbers[sum + 1] = (numbers[sum + 1] ?? 0) + 1
  }

  /** Keeps the trace of an observation, the latest one of each bucket. */
  exemplify(place: number, exemplar: Exemplar): void {
    let ofPlace = this.#exemplars.get(place)
    if (!ofPlace) this.#exemplars.set(place, (ofPlace = new Map()))
    ofPlace.set(this.#bucketOf(exemplar.value), exemplar)
  }

  read(): Reading[] {
    return this.#labels.map((values, nth) => {
      const place = nth * this.#width
      const labels = Object.fromEntries(
        this.description.labels.map(({ name }, at) => [name, values[at] ?? '']),
      )
      if (this.description.kind !== 'histogram') return { labels, value: this.#numbers[place] ?? 0 }
      const buckets: number[] = []
      let count = 0
      for (let bucket = 0; bucket < this.#buckets.length; bucket++)
        buckets.push((count += this.#numbers[place + bucket] ?? 0))
      const sum = place + this.#buckets.length
      buckets.push(this.#numbers[sum + 1] ?? 0)
      const exemplars = this.#exemplars.get(place)
      return { labels, value: this.#numbers[sum] ?? 0, buckets, ...(exemplars && { exemplars }) }
    })
  }

  #add(key: string, values: readonly string[]): number {
    const place = this.#labels.length * this.#width
    if (place + this.#width > this.#numbers.length) {
      const larger = new Float64Array(this.#numbers.length * 2)
      larger.set(this.#numbers)
      this.#numbers = larger
    }
    this.#labels.push(values.map(shortened))
    this.#places.set(key, place)
    return place
  }

  /** Most observations are small, so that a walk from the first bound is faster than a search. */
  #bucketOf(value: number): number {
    const buckets = this.#buckets
    let bucket = 0
    while (bucket < buckets.length && value > (buckets[bucket] ?? 0)) bucket++
    return bucket
  }
}

/** Values may contain any character, so their lengths keep them apart. */
function keyOf(values: readonly string[]): string {
  let key = ''
  for (const value of values) {
    const text = shortened(value)
    key += `${text.length}:${text}`
  }
  return key
}

function shortened(value: string): string {
  return value.length > MAX_LABEL_CHARS ? `${value.slice(0, MAX_LABEL_CHARS - 1)}…` : value
}
