import type { Cache } from '../cache/cache.ts'
import { SharedCache } from '../cache/shared/shared.ts'
import type { Tier } from '../cache/tier.ts'
import type { Config } from '../config/types.ts'
import type { Logger } from '../core/logger.ts'
import type { Store } from '../state/store.ts'

export interface CacheSharingOptions {
  readonly store: Store
  readonly logger: Logger
  /** The cache of this process. */
  readonly cache: () => Cache
}

/**
 * The shared part of the cache, where something is cached and other processes can know of it. Replaced when a
 * configuration says otherwise of it.
 */
export class CacheSharing {
  readonly #options: CacheSharingOptions
  #shared: SharedCache | undefined
  #settings = ''
  #started = false
  /** Until the one of before is closed. */
  #ending: Promise<void> = Promise.resolve()

  constructor(options: CacheSharingOptions) {
    this.#options = options
  }

  get tier(): Tier | undefined {
    return this.#shared?.tier
  }

  reconfigure({ servers, gateway }: Config): void {
    const { store, cache, logger } = this.#options
    const cached = servers.filter(server => server.cache ?? server.tools.some(tool => tool.cache))
    const names = cached.map(({ name }) => name)
    const settings = JSON.stringify([names, gateway.cache])
    if (settings === this.#settings) return
    this.#settings = settings
    const before = this.#shared
    const isShared = names.length > 0 && store.shared
    this.#shared = isShared
      ? new SharedCache({ ...gateway.cache, store, servers: names, cache, logger, former: before })
      : undefined
    if (before) this.#ending = this.#ending.then(() => before.close())
    if (this.#started) this.start()
  }

  /** Begins to hear of what others do. */
  start(): void {
    this.#started = true
    const shared = this.#shared
    if (shared) void this.#ending.then(() => (this.#shared === shared ? shared.start() : undefined))
  }

  outdated(server: string, tags: readonly string[] | undefined): void {
    this.#shared?.outdated(server, tags)
  }

  /** Writes what waits. */
  async close(): Promise<void> {
    await this.#ending
    await this.#shared?.close()
  }
}
