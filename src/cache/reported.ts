import { randomUUID } from 'node:crypto'
import { describeError } from '../core/errors.ts'
import type { Logger } from '../core/logger.ts'
import type { Store } from '../state/store.ts'

/** What kept results of a tool have saved, since the gateway was started. */
export interface ToolCounts {
  readonly server: string
  /** As the server names it. */
  readonly tool: string
  readonly hits: number
  /** Of the hits, those beyond their `ttl`. */
  readonly staleHits: number
  readonly misses: number
  readonly stores: number
  /** Calls that were answered by another one under way. */
  readonly coalesced: number
  /** Size of the results of hits. */
  readonly bytesSaved: number
  /** What the server had needed for them. */
  readonly upstreamMsSaved: number
}

const PREFIX = 'cache-stats/'
const EVERY_MS = 5000
/** A process that does not report any more is left out soon. */
const TTL_MS = 3 * EVERY_MS

/** Writes the counts of this process to the store every few seconds, where `cache stats` finds those of all processes. */
export class CountsReport {
  readonly #store: Store
  readonly #counts: () => readonly ToolCounts[]
  readonly #logger: Logger
  readonly #key = PREFIX + randomUUID()
  #timer: NodeJS.Timeout | undefined
  #writing: Promise<void> | undefined

  constructor(store: Store, counts: () => readonly ToolCounts[], logger: Logger) {
    this.#store = store
    this.#counts = counts
    this.#logger = logger
  }

  start(): void {
    this.#timer ??= setInterval(() => void this.write(), EVERY_MS)
    this.#timer.unref()
  }

  /** Never rejects. Calls while one is under way share it. */
  write(): Promise<void> {
    this.#writing ??= this.#write().finally(() => (this.#writing = undefined))
    return this.#writing
  }

  /** Idempotent. Takes the counts back: they are of processes that run. */
  async close(): Promise<void> {
    clearInterval(this.#timer)
    await this.#writing
    await this.#store.delete(this.#key).catch(() => undefined)
  }

  async #write(): Promise<void> {
    const counts = this.#counts()
    if (counts.length === 0) return
    try {
      await this.#store.set(this.#key, JSON.stringify(counts), { ttlMs: TTL_MS })
    } catch (error) {
      this.#logger.debug('Counts of kept results could not be written.', { cause: describeError(error) })
    }
  }
}

/** The counts of all processes that share the store, added up, in the order of servers and tools. @throws when the store cannot be read */
export async function readCounts(store: Store): Promise<ToolCounts[]> {
  const sums = new Map<string, ToolCounts>()
  for (const text of await store.getMany(await store.keys(PREFIX)))
    for (const one of text === undefined ? [] : parsed(text)) {
      const key = JSON.stringify([one.server, one.tool])
      const sum = sums.get(key)
      sums.set(key, sum ? added(sum, one) : one)
    }
  return [...sums.values()].sort((a, b) => compare(a.server, b.server) || compare(a.tool, b.tool))
}

function added(a: ToolCounts, b: ToolCounts): ToolCounts {
  return {
    server: a.server,
    tool: a.tool,
    hits: a.hits + b.hits,
    staleHits: a.staleHits + b.staleHits,
    misses: a.misses + b.misses,
    stores: a.stores + b.stores,
    coalesced: a.coalesced + b.coalesced,
    bytesSaved: a.bytesSaved + b.bytesSaved,
    upstreamMsSaved: a.upstreamMsSaved + b.upstreamMsSaved,
  }
}

function parsed(text: string): readonly ToolCounts[] {
  try {
    return JSON.parse(text) as readonly ToolCounts[]
  } catch {
    return []
  }
}

function compare(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0
}
