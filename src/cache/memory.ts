import { LRUCache } from 'lru-cache'
import type { Kept } from './kept.ts'

export interface MemoryOptions {
  readonly maxBytes: number
  readonly maxBytesPerClient: number
}

/**
 * Results in memory, bounded by bytes. Each is somebody's, who had it fetched: whoever fills the memory loses results of their own, the longest unused
 * first. When all of it is full, one goes of whoever has most.
 */
export class Memory {
  readonly #maxBytes: number
  readonly #maxBytesPerClient: number
  readonly #index = new Map<string, Kept>()
  readonly #owners = new Map<string, LRUCache<string, Kept>>()
  #bytes = 0

  constructor({ maxBytes, maxBytesPerClient }: MemoryOptions) {
    this.#maxBytes = maxBytes
    this.#maxBytesPerClient = Math.min(maxBytes, maxBytesPerClient)
  }

  get size(): number {
    return this.#index.size
  }

  get bytes(): number {
    return this.#bytes
  }

  bytesOf(owner: string): number {
    return this.#owners.get(owner)?.calculatedSize ?? 0
  }

  /** Counts as a use. */
  get(key: string): Kept | undefined {
    const kept = this.#index.get(key)
    if (kept) this.#owners.get(kept.owner)?.get(key)
    return kept
  }

  /** Takes the place of what has the same key. What is larger than one client may have is not kept. */
  set(kept: Kept): void {
    const { key, owner } = kept
    const old = this.#index.get(key)
    if (old && old.owner !== owner) this.delete(key)
    this.#index.set(key, kept)
    this.#store(kept)
    if (!this.#owners.get(owner)?.has(key)) this.#forget(key, kept)
  }

  /** To be called when a result has come to take more bytes. */
  grown(kept: Kept): void {
    if (this.#index.get(kept.key) !== kept) return
    // The LRU takes no other size for the same value.
    this.delete(kept.key)
    this.set(kept)
  }

  delete(key: string): void {
    const kept = this.#index.get(key)
    if (!kept) return
    this.#change(kept.owner, own => own.delete(key))
  }

  values(): IterableIterator<Kept> {
    return this.#index.values()
  }

  clear(): void {
    this.#index.clear()
    this.#owners.clear()
    this.#bytes = 0
  }

  #store(kept: Kept): void {
    this.#change(kept.owner, own => own.set(kept.key, kept, { size: kept.bytes }))
    while (this.#bytes > this.#maxBytes) {
      let largest: string | undefined
      let most = 0
      for (const [owner, { calculatedSize }] of this.#owners)
        if (calculatedSize > most) [largest, most] = [owner, calculatedSize]
      if (largest === undefined) return
      this.#change(largest, own => own.pop())
    }
  }

  #change(owner: string, change: (own: LRUCache<string, Kept>) => unknown): void {
    let own = this.#owners.get(owner)
    if (!own) {
      own = new LRUCache<string, Kept>({
        maxSize: this.#maxBytesPerClient,
        dispose: (kept, key) => this.#forget(key, kept),
      })
      this.#owners.set(owner, own)
    }
    const before = own.calculatedSize
    change(own)
    this.#bytes += own.calculatedSize - before
    if (own.size === 0) this.#owners.delete(owner)
  }

  #forget(key: string, kept: Kept): void {
    if (this.#index.get(key) === kept) this.#index.delete(key)
  }
}
