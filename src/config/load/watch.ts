import { watch, type FSWatcher } from 'node:fs'
import { readFile, realpath } from 'node:fs/promises'
import { dirname } from 'node:path'
import { describeError } from '../../core/errors.ts'
import type { Logger } from '../../core/logger.ts'

export interface WatchOptions<T> {
  /** The bytes of the file as it was loaded. */
  readonly bytes: Buffer
  /** Reads the changed bytes; rejects with what is wrong in them. Must not hold up the event loop: a file may be large. */
  readonly load: (bytes: Buffer) => Promise<T>
  /** The file has changed and is sound. */
  readonly onChange: (loaded: T) => void
  readonly logger: Logger
}

/** Editors and deployments write in several steps. */
const SETTLE_MS = 200
/** Where the system cannot tell of changes, they are looked for. */
const LOOK_MS = 5000

/**
 * Watches a configuration file and has it loaded when its bytes have changed, also when it is replaced by another one, or is a link that leads elsewhere from now on. One that
 * is not sound is logged with its problems, and nothing changes.
 */
export class ConfigWatch<T> {
  readonly #file: string
  readonly #options: WatchOptions<T>
  /** By directory. */
  readonly #watchers = new Map<string, FSWatcher>()
  #bytes: Buffer
  #timer: NodeJS.Timeout | undefined
  #looking: NodeJS.Timeout | undefined
  #busy: Promise<void> = Promise.resolve()
  #closed = false

  constructor(file: string, options: WatchOptions<T>) {
    this.#file = file
    this.#options = options
    this.#bytes = options.bytes
  }

  /** Resolves when changes from now on are noticed. */
  async start(): Promise<void> {
    await this.#follow()
  }

  /** Resolves when nothing of it goes on. */
  async close(): Promise<void> {
    this.#closed = true
    clearTimeout(this.#timer)
    clearInterval(this.#looking)
    for (const watcher of this.#watchers.values()) watcher.close()
    this.#watchers.clear()
    await this.#busy
  }

  /** Watches the directory of the file, and that of what it leads to. A file itself would be lost with its first replacement. */
  async #follow(): Promise<void> {
    const target = await realpath(this.#file).catch(() => this.#file)
    const wanted = new Set([dirname(this.#file), dirname(target)])
    if (this.#closed) return
    for (const [directory, watcher] of this.#watchers) {
      if (wanted.has(directory)) continue
      watcher.close()
      this.#watchers.delete(directory)
    }
    for (const directory of wanted) if (!this.#watchers.has(directory)) this.#watch(directory)
  }

  #watch(directory: string): void {
    try {
      const watcher = watch(directory, { persistent: false }, () => this.#soon())
      watcher.on('error', error => this.#lookInstead(directory, error))
      this.#watchers.set(directory, watcher)
    } catch (error) {
      this.#lookInstead(directory, error)
    }
  }

  /** Directories vanish, and the number of watches is limited. */
  #lookInstead(directory: string, cause: unknown): void {
    this.#watchers.get(directory)?.close()
    this.#watchers.delete(directory)
    if (this.#closed || this.#looking) return
    this.#options.logger.info(
      `The configuration cannot be watched; it is looked at every ${LOOK_MS / 1000} s.`,
      {
        cause: describeError(cause),
      },
    )
    this.#looking = setInterval(() => this.#soon(), LOOK_MS)
    this.#looking.unref()
  }

  #soon(): void {
    if (this.#closed) return
    clearTimeout(this.#timer)
    this.#timer = setTimeout(() => (this.#busy = this.#busy.then(() => this.#look())), SETTLE_MS)
    this.#timer.unref()
  }

  async #look(): Promise<void> {
    if (this.#closed) return
    const { load, logger, onChange } = this.#options
    await this.#follow()
    const bytes = await readFile(this.#file).catch(() => undefined)
    // One that is gone for a moment comes back, and one that is gone for good changes nothing.
    if (bytes === undefined || bytes.equals(this.#bytes)) return
    this.#bytes = bytes
    try {
      const loaded = await load(bytes)
      if (!this.#closed) onChange(loaded)
    } catch (error) {
      logger.error(
        `The changed configuration is not used, the one before stays in effect. ${describeError(error)}`,
      )
    }
  }
}
