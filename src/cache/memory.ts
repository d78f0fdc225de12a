import { LinkedList } from '../core/linked-list.ts'
import type { CacheEntry } from './entry.ts'

export interface MemoryCacheOptions {
  readonly maxBytes: number
  readonly maxBytesPerClient: number
}

/** Results of one owner, the least recently used first. */
interface Own {
  readonly line: LinkedList<CacheEntry>
  bytes: number
}

/**
 * Results in memory, bounded by bytes. Each result has an owner, the client that had it fetched. An owner beyond its
 * bound loses its own least recently used results. When the whole cache is full, the owner with the most bytes loses
 * one. A separate LRU for each owner beside a map of all results would double the cost of every result that is stored
 * and never requested again, so the results themselves are linked in order of use.
 */
export class MemoryCache {
  #maxBytes: number
  #maxBytesPerClient: number
  readonly #all = new Map<string, CacheEntry>()
  readonly #owners = new Map<string, Own>()
  #bytes = 0

  constructor({ maxBytes, maxBytesPerClient }: MemoryCacheOptions) {
    this.#maxBytes = maxBytes
    this.#maxBytesPerClient = Math.min(maxBytes, maxBytesPerClient)
  }

  /** Applies other bounds, and drops what exceeds them. */
  resize({ maxBytes, maxBytesPerClient }: MemoryCacheOptions): void {
    this.#maxBytes = maxBytes
    this.#maxBytesPerClient = Math.min(maxBytes, maxBytesPerClient)
    for (const own of this.#owners.values()) this.#makeRoom(own)
  }

  get size(): number {
    return this.#all.size
  }

  get bytes(): number {
    return this.#bytes
  }

  bytesOf(owner: string): number {
    return this.#owners.get(owner)?.bytes ?? 0
  }

  /** Returns a result and counts that as a use. */
  get(key: string): CacheEntry | undefined {
    const kept = this.#all.get(key)
    const line = kept?.line
    if (line && line.last !== kept) {
      line.remove(kept)
      line.push(kept)
    }
    return kept
  }

  /** Stores a result in place of one with the same key. A result larger than the bound of one client is not stored. */
  set(kept: CacheEntry): void {
    this.delete(kept.key)
    if (kept.bytes > this.#maxBytesPerClient) return
    let own = this.#owners.get(kept.owner)
    if (!own) this.#owners.set(kept.owner, (own = { line: new LinkedList(), bytes: 0 }))
    this.#all.set(kept.key, kept)
    own.line.push(kept)
    this.#count(own, kept, kept.bytes)
    this.#makeRoom(own)
  }

  /** To be called when a result has grown. */
  grown(kept: CacheEntry): void {
    if (this.#all.get(kept.key) === kept) this.set(kept)
  }

  delete(key: string): void {
    const kept = this.#all.get(key)
    if (!kept) return
    this.#all.delete(key)
    const own = this.#owners.get(kept.owner) as Own
    own.line.remove(kept)
    this.#count(own, kept, 0)
    if (own.line.size === 0) this.#owners.delete(kept.owner)
  }

  values(): IterableIterator<CacheEntry> {
    return this.#all.values()
  }

  #count(own: Own, kept: CacheEntry, bytes: number): void {
    own.bytes += bytes - kept.counted
    this.#bytes += bytes - kept.counted
    kept.counted = bytes
  }

  #makeRoom(own: Own): void {
    while (own.bytes > this.#maxBytesPerClient) this.delete((own.line.first as CacheEntry).key)
    while (this.#bytes > this.#maxBytes) {
      let largest = own
      for (const other of this.#owners.values()) if (other.bytes > largest.bytes) largest = other
      this.delete((largest.line.first as CacheEntry).key)
    }
  }
}
