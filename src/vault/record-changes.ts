import { randomUUID } from 'node:crypto'
import { describeError } from '../core/errors.ts'
import type { Logger } from '../core/logger.ts'
import type { Store } from '../state/store.ts'

const POLL_MS = 1000
/** Polls between those that compare all, in case a process crashed between a change and its announcement. */
const COMPARE_ALL = 30
/** Each change has one of so many versions, so that a poll compares few records. */
const SHARDS = 16
const VERSIONS = Array.from({ length: SHARDS }, (_, at) => `vault/version/${at}`)
/** Keys read at once. */
const CHUNK = 256
/** Of the text of a record: its end belongs to what is sealed, which differs each time. */
const MARK_CHARS = 40

interface Watched {
  readonly listeners: Set<() => void>
  /** Of the text that the listeners may know; `undefined` when nothing was read yet, `''` for no record. */
  mark: string | undefined
}

/**
 * Changes of records by any process that shares the store, for those that listen. A poll reads a version or a few, and
 * records only where a version has changed. Without a listener there is no poll.
 */
export class RecordChanges {
  readonly #store: Store
  readonly #logger: Logger
  readonly #watched = new Map<string, Watched>()
  readonly #versions = new Map<number, string | undefined>()
  #timer: NodeJS.Timeout | undefined
  #polling: Promise<void> | undefined
  #polls = 0
  #failed = false

  constructor(store: Store, logger: Logger) {
    this.#store = store
    this.#logger = logger
  }

  on(key: string, listener: () => void): () => void {
    const watched = this.#watched.get(key) ?? { listeners: new Set(), mark: undefined }
    this.#watched.set(key, watched)
    // The same function may listen twice.
    const own = (): void => listener()
    watched.listeners.add(own)
    if (this.#store.shared) this.#timer ??= setInterval(() => this.#poll(), POLL_MS).unref()
    return () => {
      watched.listeners.delete(own)
      if (watched.listeners.size === 0 && this.#watched.get(key) === watched) this.#watched.delete(key)
      if (this.#watched.size === 0) this.#stop()
    }
  }

  /** To be called with each text that was read, so that what a caller knows already is not announced to it. */
  read(key: string, text: string | undefined): void {
    const watched = this.#watched.get(key)
    if (!watched) return
    const { mark } = watched
    watched.mark = markOf(text)
    if (mark !== undefined && mark !== watched.mark) this.#tell(watched)
  }

  /** After a change by this process. */
  async changed(key: string, text: string | undefined): Promise<void> {
    const watched = this.#watched.get(key)
    if (watched) {
      watched.mark = markOf(text)
      this.#tell(watched)
    }
    if (!this.#store.shared) return
    try {
      await this.#store.set(VERSIONS[shardOf(key)] as string, randomUUID())
    } catch (error) {
      // The record itself is stored; other processes notice it later.
      this.#logger.debug('A change of the vault could not be announced.', { cause: describeError(error) })
    }
  }

  async close(): Promise<void> {
    this.#watched.clear()
    this.#stop()
    await this.#polling
  }

  #stop(): void {
    clearInterval(this.#timer)
    this.#timer = undefined
    this.#versions.clear()
    this.#polls = 0
  }

  #poll(): void {
    this.#polling ??= this.#compare().then(
      () => {
        this.#failed = false
        this.#polling = undefined
      },
      (error: unknown) => {
        // Once, because the store says itself that it cannot be reached.
        if (!this.#failed)
          this.#logger.debug('Changes of the vault could not be read.', { cause: describeError(error) })
        this.#failed = true
        this.#polling = undefined
      },
    )
  }

  async #compare(): Promise<void> {
    const shards = [...new Set([...this.#watched.keys()].map(shardOf))]
    const versions = await this.#store.getMany(shards.map(shard => VERSIONS[shard] as string))
    const isFull = this.#polls++ % COMPARE_ALL === 0
    const outdated = new Set(
      shards.filter((shard, at) => !this.#versions.has(shard) || this.#versions.get(shard) !== versions[at]),
    )
    const keys = [...this.#watched]
      .filter(([key, { mark }]) => isFull || mark === undefined || outdated.has(shardOf(key)))
      .map(([key]) => key)
    for (let at = 0; at < keys.length; at += CHUNK) {
      const chunk = keys.slice(at, at + CHUNK)
      const texts = await this.#store.getMany(chunk)
      for (const [index, key] of chunk.entries()) this.#found(key, texts[index])
    }
    for (const [at, shard] of shards.entries()) this.#versions.set(shard, versions[at])
  }

  #found(key: string, text: string | undefined): void {
    const watched = this.#watched.get(key)
    if (!watched) return
    // What a caller has read before it began to listen is not known, so it is told.
    watched.mark ??= 'unknown'
    this.read(key, text)
  }

  #tell({ listeners }: Watched): void {
    for (const listener of listeners)
      try {
        listener()
      } catch (error) {
        this.#logger.warn('A listener for changes of the vault failed.', { cause: describeError(error) })
      }
  }
}

function markOf(text: string | undefined): string {
  return text === undefined ? '' : text.slice(-MARK_CHARS)
}

/** Of the key's own digest, so that all processes agree. */
function shardOf(key: string): number {
  return (key.codePointAt(key.length - 2) ?? 0) % SHARDS
}
