import type { Logger } from '../../core/logger.ts'
import type { Store } from '../../state/store.ts'
import type { Cache } from '../cache.ts'
import { StatsReport } from './reports.ts'
import { SharedEpochs } from './epochs.ts'
import { NO_COUNTS, StoredTier } from './store-tier.ts'
import type { Tier } from '../tier.ts'

export interface SharedCacheOptions {
  readonly store: Store
  /** Servers whose results may be cached. */
  readonly servers: readonly string[]
  /** Whether results are stored in the store as well. */
  readonly persist: boolean
  /** Bound of the store, for all processes that share it. */
  readonly maxStoredBytes: number
  readonly compressOverBytes: number
  /** The cache of this process. */
  readonly cache: () => Cache
  readonly logger: Logger
  /** The one before, under another configuration: what it knows of other processes stays known. */
  readonly former?: SharedCache | undefined
}

/** The part of the cache that processes with the same state store share: results, invalidations, and counts. */
export class SharedCache {
  /** `undefined`: results are kept in memory only. */
  readonly tier: Tier | undefined
  readonly #stored: StoredTier | undefined
  readonly #epochs: SharedEpochs
  readonly #report: StatsReport
  #isReplaced = false

  constructor(options: SharedCacheOptions) {
    const {
      store,
      servers,
      persist,
      maxStoredBytes: maxBytes,
      compressOverBytes,
      cache,
      logger,
      former,
    } = options
    const epochs =
      former?.handOver(servers) ??
      new SharedEpochs({
        store,
        servers,
        cached: (): readonly string[] => (cache().size > 0 ? epochs.servers : []),
        onForeignChange: (server, tags) => cache().invalidate(server, tags ?? 'server', true),
        logger,
      })
    this.#epochs = epochs
    this.#stored = persist
      ? new StoredTier({ store, epochs: this.#epochs, maxBytes, compressOverBytes })
      : undefined
    this.tier = this.#stored
    this.#report = new StatsReport(
      store,
      () => {
        const { stats, size: entries, bytes } = cache()
        return { tools: stats.list(), memory: { entries, bytes }, stored: this.#stored?.counts ?? NO_COUNTS }
      },
      logger,
    )
  }

  /** The epochs, which live on in the next one. */
  handOver(servers: readonly string[]): SharedEpochs {
    this.#isReplaced = true
    this.#epochs.reconfigure(servers)
    return this.#epochs
  }

  /** Starts to read changes of other processes. Never rejects. */
  async start(): Promise<void> {
    this.#report.start()
    await this.#epochs.start()
  }

  /** Notifies other processes of an invalidation: results of a server with one of the tags, or all of them. */
  outdated(server: string, tags: readonly string[] | undefined): void {
    this.#epochs.changed(server, tags)
  }

  /** Writes what waits. Idempotent; the store stays open. */
  async close(): Promise<void> {
    await this.#stored?.close()
    if (!this.#isReplaced) await this.#epochs.close()
    await this.#report.close()
  }
}
