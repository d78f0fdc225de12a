import { randomUUID } from 'node:crypto'
import { describeError } from '../../core/errors.ts'
import { isJsonObject } from '../../core/json-object.ts'
import type { Logger } from '../../core/logger.ts'
import type { Store, ZoneSize } from '../../state/store.ts'
import { Counters, type CountersOf } from '../stats.ts'
import { NO_COUNTS, ZONE, type TierCounts } from './store-tier.ts'

/** Cache statistics of one process, or of all of them. Counts start with the gateway. */
export interface CacheReport {
  readonly tools: readonly CountersOf[]
  /** Current content of the memory. */
  readonly memory: ZoneSize
  /** Look-ups and writes of the store; zeros if results are not stored there. */
  readonly stored: TierCounts
}

/** Statistics of all running processes, and the current content of the store. */
export interface CacheReports extends CacheReport {
  readonly stored: TierCounts & ZoneSize
}

const PREFIX = 'cache-stats/'
const EVERY_MS = 5000
/** The report of a process that has stopped expires soon. */
const TTL_MS = 3 * EVERY_MS

/**
 * Writes the counts of this process to the store every few seconds, where `cache stats` reads those of all processes.
 */
export class StatsReport {
  readonly #store: Store
  readonly #counts: () => CacheReport
  readonly #logger: Logger
  readonly #key = PREFIX + randomUUID()
  #timer: NodeJS.Timeout | undefined
  #writing: Promise<void> | undefined

  constructor(store: Store, counts: () => CacheReport, logger: Logger) {
    this.#store = store
    this.#counts = counts
    this.#logger = logger
  }

  start(): void {
    this.#timer ??= setInterval(() => void this.write(), EVERY_MS)
    this.#timer.unref()
  }

  /** Never rejects. Calls during a write share it. */
  write(): Promise<void> {
    this.#writing ??= this.#write().finally(() => (this.#writing = undefined))
    return this.#writing
  }

  /** Deletes the counts, because only running processes have some. Idempotent. */
  async close(): Promise<void> {
    clearInterval(this.#timer)
    await this.#writing
    await this.#store.delete(this.#key).catch(() => undefined)
  }

  async #write(): Promise<void> {
    const counts = this.#counts()
    if (counts.tools.length === 0) return
    try {
      await this.#store.set(this.#key, JSON.stringify(counts), { ttlMs: TTL_MS })
    } catch (error) {
      this.#logger.debug('The counts of the cache could not be written.', { cause: describeError(error) })
    }
  }
}

/**
 * The counts of all processes that share the store, added up, in the order of servers and tools. @throws when the store
 * cannot be read
 */
export async function readCounts(store: Store): Promise<CacheReports> {
  const [texts, room] = await Promise.all([
    store.keys(PREFIX).then(keys => store.getMany(keys)),
    store.zone(ZONE),
  ])
  const tools = new Map<string, CountersOf>()
  let memory: ZoneSize = { entries: 0, bytes: 0 }
  let stored: TierCounts = NO_COUNTS
  for (const text of texts) {
    const report = text === undefined ? undefined : parsed(text)
    if (!report) continue
    for (const one of report.tools) {
      const { server, tool } = one
      const key = JSON.stringify([server, tool])
      tools.set(key, { ...added<Counters>(tools.get(key) ?? new Counters(), one), server, tool })
    }
    memory = added(memory, report.memory)
    stored = added(stored, report.stored)
  }
  const sorted = [...tools.values()].sort((a, b) => compare(a.server, b.server) || compare(a.tool, b.tool))
  return { tools: sorted, memory, stored: { ...room, ...stored } }
}

/** Adds two objects with the same numeric members. A member that the second lacks counts as 0. */
function added<T extends object>(a: T, b: { readonly [K in keyof T]?: T[K] }): T {
  const sums = Object.keys(a).map(key => {
    const [one, other] = [a, b].map(of => (of as Readonly<Record<string, unknown>>)[key])
    return [key, Number(one) + (typeof other === 'number' ? other : 0)]
  })
  return Object.fromEntries(sums) as T
}

/** `undefined` for text that no gateway of this version has written. */
function parsed(text: string): CacheReport | undefined {
  try {
    const report = JSON.parse(text) as unknown
    if (!isJsonObject(report)) return undefined
    const { tools, memory, stored } = report
    const known =
      Array.isArray(tools) &&
      tools.every(one => isJsonObject(one) && typeof one.server === 'string' && typeof one.tool === 'string')
    return known && isJsonObject(memory) && isJsonObject(stored)
      ? (report as unknown as CacheReport)
      : undefined
  } catch {
    return undefined
  }
}

function compare(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0
}
