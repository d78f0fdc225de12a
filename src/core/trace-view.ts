import type { CallTrace } from './call-trace.ts'
import type { Route } from './route.ts'

/** Where a request went. */
export type RouteFacts = Pick<Route, 'server' | 'own' | 'exposed'>

/** What observers read of a request: its route, the decisions about it and the duration of each stage. */
export interface TraceFacts extends Readonly<
  Pick<
    CallTrace,
    | 'rule'
    | 'shadowed'
    | 'fallbackFrom'
    | 'replica'
    | 'repeats'
    | 'cache'
    | 'waitedMs'
    | 'storeMs'
    | 'linkMs'
    | 'upstreamMs'
    | 'sentAt'
    | 'endedAt'
  >
> {
  /** `undefined` until it is resolved. */
  readonly route: RouteFacts | undefined
}

/** A trace as listeners of events see it. It has no setter, and its route is a copy that cannot be written to. */
export class TraceView implements TraceFacts {
  readonly #trace: CallTrace
  #source: Route | undefined
  #route: RouteFacts | undefined

  constructor(trace: CallTrace) {
    this.#trace = trace
  }

  /** The trace behind a view, or the trace itself. For listeners of the gateway, which change nothing. */
  static behind(trace: TraceFacts): TraceFacts {
    return #trace in trace ? trace.#trace : trace
  }

  get route(): RouteFacts | undefined {
    const { route } = this.#trace
    if (route !== this.#source) {
      this.#source = route
      this.#route = route && Object.freeze({ server: route.server, own: route.own, exposed: route.exposed })
    }
    return this.#route
  }

  get rule(): string | undefined {
    return this.#trace.rule
  }

  get shadowed(): string | undefined {
    return this.#trace.shadowed
  }

  get fallbackFrom(): string | undefined {
    return this.#trace.fallbackFrom
  }

  get replica(): string | undefined {
    return this.#trace.replica
  }

  get repeats(): number {
    return this.#trace.repeats
  }

  get cache(): CallTrace['cache'] {
    return this.#trace.cache
  }

  get waitedMs(): number {
    return this.#trace.waitedMs
  }

  get storeMs(): number {
    return this.#trace.storeMs
  }

  get linkMs(): number {
    return this.#trace.linkMs
  }

  get upstreamMs(): number {
    return this.#trace.upstreamMs
  }

  get sentAt(): number {
    return this.#trace.sentAt
  }

  get endedAt(): number {
    return this.#trace.endedAt
  }
}
