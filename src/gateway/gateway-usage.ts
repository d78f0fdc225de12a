import { randomUUID } from 'node:crypto'
import { calendarDays, type CalendarDay } from '../core/calendar-day.ts'
import { CLOCK } from '../core/clock.ts'
import type { Logger } from '../core/logger.ts'
import type { RouteFacts } from '../core/trace-view.ts'
import type { Config } from '../config/types.ts'
import { UsageCounter } from '../observe/usage/usage-counter.ts'
import { mergeUsage } from '../observe/usage/usage-merge.ts'
import { readUsage, type DayUsage } from '../observe/usage/usage-store.ts'
import { costOfTool } from '../quota/cost.ts'
import type { Store } from '../state/store.ts'
import type { GatewayEvents } from './gateway-events.ts'

export interface GatewayUsageOptions {
  readonly store: Store
  readonly logger: Logger
  readonly events: GatewayEvents
  /** The configuration in effect. */
  readonly config: () => Config
}

/** Earlier days are merged after the start, and then once a day. */
const FIRST_MERGE_MS = 60_000
const MERGE_MS = 86_400_000

/** What clients use of servers, day by day, in the state store of the gateway (docs/usage.md). */
export class GatewayUsage {
  readonly #store: Store
  readonly #counter: UsageCounter
  readonly #unfollow: () => void
  readonly #merge: () => Promise<void>
  #timer: NodeJS.Timeout
  #merging: Promise<void> = Promise.resolve()
  #closed = false

  /** `undefined`: the configuration wants none. */
  static of(options: GatewayUsageOptions): GatewayUsage | undefined {
    return options.config().gateway.usage.enabled ? new GatewayUsage(options) : undefined
  }

  private constructor({ store, logger, events, config }: GatewayUsageOptions) {
    const { timeZone, usage } = config().gateway
    const writer = randomUUID()
    const dayOf: (time: number) => CalendarDay = calendarDays(timeZone)
    const { keepMs } = usage
    this.#store = store
    this.#counter = new UsageCounter({
      store,
      logger,
      writer,
      dayOf,
      keepMs,
      costOf: route => costOf(config(), route),
    })
    this.#unfollow = this.#counter.listen(events)
    this.#merge = () => mergeUsage({ store, logger, holder: writer, dayOf, keepMs }, CLOCK.wall())
    this.#timer = this.#mergeIn(FIRST_MERGE_MS)
  }

  /** The use from the day `since` to the day `until`, in all gateways that share the store. */
  async read(since: string, until: string): Promise<DayUsage[]> {
    await this.#counter.flush()
    return await readUsage(this.#store, since, until)
  }

  /** Writes what was counted. Nothing is counted any more. */
  async close(): Promise<void> {
    this.#closed = true
    clearTimeout(this.#timer)
    this.#unfollow()
    await this.#counter.close()
    await this.#merging
  }

  #mergeIn(ms: number): NodeJS.Timeout {
    return setTimeout(() => {
      this.#merging = this.#merge().then(() => {
        if (!this.#closed) this.#timer = this.#mergeIn(MERGE_MS)
      })
    }, ms).unref()
  }
}

function costOf({ servers }: Config, { server, own }: RouteFacts): number {
  const config = servers.find(({ name }) => name === server)
  return config ? costOfTool(config, own) : 0
}
