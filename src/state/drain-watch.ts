import { randomUUID } from 'node:crypto'
import { describeError } from '../core/errors.ts'
import type { Logger } from '../core/logger.ts'
import {
  DRAIN_POLL_MS,
  drainVersion,
  readDrained,
  writeReport,
  type Drained,
  type DrainReport,
} from './drained.ts'
import type { Store } from './store.ts'

export interface DrainWatchOptions {
  readonly store: Store
  /** Called with the drained servers after each change. */
  readonly onChange: (drained: Drained) => void
  /** Calls in flight at drained servers and replicas. */
  readonly inFlight: () => DrainReport['inFlight']
  readonly logger: Logger
}

/**
 * Detects within a second what operators drain, from any process that shares the store, and reports there the calls
 * still in flight. Costs one read per second; it writes only during a drain.
 */
export class DrainWatch {
  readonly #node = randomUUID()
  readonly #options: DrainWatchOptions
  #version: string | undefined
  #timer: NodeJS.Timeout | undefined
  #polling: Promise<void> | undefined
  /** Whether the last report contained calls in flight, or none was written since the last change. */
  #busy = false
  #failed = false

  constructor(options: DrainWatchOptions) {
    this.#options = options
  }

  /** Resolves when the drained servers are known, or cannot be read. Never rejects. */
  async start(): Promise<void> {
    this.#timer ??= setInterval(() => void this.poll(), DRAIN_POLL_MS)
    this.#timer.unref()
    await this.poll()
  }

  /** Never rejects. */
  poll(): Promise<void> {
    this.#polling ??= this.#poll()
      .then(
        () => {
          this.#failed = false
        },
        (error: unknown) => {
          // Logged once rather than every second: the store itself reports that it is unavailable.
          if (!this.#failed)
            this.#options.logger.debug('The list of drained servers could not be read.', {
              cause: describeError(error),
            })
          this.#failed = true
        },
      )
      .finally(() => (this.#polling = undefined))
    return this.#polling
  }

  async close(): Promise<void> {
    clearInterval(this.#timer)
    await this.#polling
  }

  async #poll(): Promise<void> {
    const { store, onChange, inFlight } = this.#options
    const version = await drainVersion(store)
    if (version !== undefined && version !== this.#version) {
      onChange(await readDrained(store))
      this.#version = version
      this.#busy = true
    }
    if (!this.#busy || version === undefined) return
    const counts = inFlight()
    await writeReport(store, this.#node, { version, inFlight: counts })
    this.#busy = Object.values(counts).some(replicas => Object.values(replicas).some(count => count > 0))
  }
}
