import { describeError } from '../../core/errors.ts'
import type { EventBus } from '../../core/event-bus.ts'
import type { RequestEnded } from '../../core/events.ts'
import type { Logger } from '../../core/logger.ts'
import type { Principal } from '../../core/principal.ts'
import { RequestView } from '../../core/request-view.ts'
import { TraceView, type RouteFacts, type TraceFacts } from '../../core/trace-view.ts'
import type { Store } from '../../state/store.ts'
import { methodLabel } from '../method-label.ts'
import { UsageRows, type UsageRow } from './usage-counts.ts'
import { encodeUsage, MAX_USAGE_NAME, usageKey } from './usage-record.ts'

export interface UsageCounterOptions {
  readonly store: Pick<Store, 'set'>
  readonly logger: Logger
  /** Names the records of this process: no other process has it, and no earlier run. */
  readonly writer: string
  /** The day of a moment (Unix milliseconds), and when it ends. */
  readonly dayOf: (time: number) => { readonly day: string; readonly endsAt: number }
  /** Cost units of one call of a route. */
  readonly costOf: (route: RouteFacts) => number
  /** How long records are kept, in milliseconds. */
  readonly keepMs: number
}

/** What a kill loses at most. */
const FLUSH_MS = 5000
/** Rows of one process and day. */
const MAX_ROWS = 5000
/** Days that wait for a store that is away. The oldest ones are given up. */
const MAX_EARLIER = 31

interface Day {
  readonly day: string
  readonly endsAt: number
  readonly rows: UsageRows
  /** Whether it has changed since it was written. */
  dirty: boolean
}

interface KnownRow {
  readonly day: Day
  readonly row: UsageRow
  readonly cost: number
}

/**
 * Counts requests by client, server, tool and day, and writes what has changed to the state store every five seconds.
 * The rows of a listed tool are looked up once for each client and day.
 */
export class UsageCounter {
  readonly #options: UsageCounterOptions
  #known = new WeakMap<Principal, WeakMap<RouteFacts, KnownRow>>()
  #today: Day | undefined
  /** Earlier days that could not be written yet. */
  readonly #earlier: Day[] = []
  #timer: NodeJS.Timeout | undefined
  #writing: Promise<void> = Promise.resolve()
  #failed = false
  #closed = false

  constructor(options: UsageCounterOptions) {
    this.#options = options
  }

  /** Counts what `events` report, until the returned function is called. */
  listen(events: Pick<EventBus, 'hear'>): () => void {
    const ends = [
      events.hear('request.ended', event => this.#ended(event)),
      // Another configuration may have other costs.
      events.hear('reload.applied', () => void (this.#known = new WeakMap())),
    ]
    return () => ends.forEach(end => end())
  }

  /** Resolves when what was counted so far is written, or could not be. */
  async flush(): Promise<void> {
    clearTimeout(this.#timer)
    this.#timer = undefined
    this.#writing = this.#writing.then(() => this.#write())
    await this.#writing
  }

  /** Writes what was counted. What cannot be written is lost. Idempotent. */
  async close(): Promise<void> {
    this.#closed = true
    await this.flush()
  }

  #ended(event: RequestEnded): void {
    const trace = TraceView.behind(event.trace)
    const { row, day, cost } = this.#rowOf(event, trace.route)
    row.calls++
    if (event.result !== 'ok') row.errors++
    if (trace.cache !== undefined) row.hits++
    row.upstreamMs += trace.upstreamMs
    row.bytesIn += event.bytesIn
    row.bytesOut += event.bytesOut
    if (wasExecuted(event, trace)) row.cost += cost
    if (day.dirty) return
    day.dirty = true
    this.#flushLater()
  }

  #flushLater(): void {
    if (!this.#closed) this.#timer ??= setTimeout(() => void this.flush(), FLUSH_MS).unref()
  }

  #rowOf(event: RequestEnded, route: RouteFacts | undefined): KnownRow {
    const { principal, time } = event
    const day = this.#dayAt(time)
    const { method } = RequestView.behind(event.request)
    const isTool = method === 'tools/call'
    if (route && isTool) {
      let ofPrincipal = this.#known.get(principal)
      if (!ofPrincipal) this.#known.set(principal, (ofPrincipal = new WeakMap()))
      const known = ofPrincipal.get(route)
      if (known?.day === day) return known
      const made = this.#find(day, principal, route.own, route)
      ofPrincipal.set(route, made)
      return made
    }
    return this.#find(day, principal, methodLabel(method), route)
  }

  #find(day: Day, { client, name }: Principal, tool: string, route: RouteFacts | undefined): KnownRow {
    const key = { client: shortened(client ?? name), server: route?.server ?? '', tool: shortened(tool) }
    return { day, row: day.rows.at(key), cost: route ? this.#options.costOf(route) : 0 }
  }

  #dayAt(time: number): Day {
    const today = this.#today
    // A clock that is set back counts on in the day that has begun.
    if (today && time < today.endsAt) return today
    if (today?.dirty) this.#earlier.push(today)
    if (this.#earlier.length > MAX_EARLIER) this.#earlier.shift()
    const { day, endsAt } = this.#options.dayOf(time)
    return (this.#today = { day, endsAt, rows: new UsageRows(MAX_ROWS), dirty: false })
  }

  async #write(): Promise<void> {
    const { store, logger, writer, keepMs } = this.#options
    const days = [...this.#earlier, ...(this.#today?.dirty === true ? [this.#today] : [])]
    for (const day of days) {
      day.dirty = false
      const text = encodeUsage({ includes: [], rows: day.rows.list() })
      try {
        await store.set(usageKey({ day: day.day, writer }), text, { ttlMs: keepMs })
        this.#failed = false
        const at = this.#earlier.indexOf(day)
        if (at >= 0) this.#earlier.splice(at, 1)
      } catch (error) {
        // It is written with the next change.
        day.dirty = true
        if (!this.#failed)
          logger.warn('The usage could not be written to the state store; it is tried again.', {
            cause: describeError(error),
          })
        this.#failed = true
        this.#flushLater()
        return
      }
    }
  }
}

/** Whether a server has executed the call, or may have: those cost what their tool costs. */
function wasExecuted({ error }: RequestEnded, { sentAt }: TraceFacts): boolean {
  return sentAt > 0 && error?.delivery !== 'not_sent'
}

function shortened(name: string): string {
  return name.length > MAX_USAGE_NAME ? `${name.slice(0, MAX_USAGE_NAME - 1)}…` : name
}
