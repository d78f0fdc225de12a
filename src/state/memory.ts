import { LRUCache } from 'lru-cache'
import {
  assertKey,
  assertRoom,
  assertValue,
  closedError,
  expiryOf,
  inByteOrder,
  machineNow,
  type StoreOptions,
} from './entry.ts'
import { hold, isHeld, take, type Step } from './amounts.ts'
import type {
  Held,
  HeldWrite,
  HoldRequest,
  SetOptions,
  Store,
  Taken,
  TakeRequest,
  Zone,
  ZoneSize,
} from './store.ts'

/** Enough for a catalogue of thousands of tools, yet small for a laptop. */
const DEFAULT_MEMORY_BYTES = 256 * 1024 * 1024

const SWEEP_EVERY_MS = 60_000

export interface MemoryStoreOptions extends StoreOptions {
  /**
   * Maximum size of keys and values together, in bytes of UTF-8; default 256 MiB. The least recently used are evicted
   * first; a value above the maximum is not stored.
   */
  readonly maxBytes?: number
}

interface Entry {
  readonly value: string
  /** Milliseconds since the epoch, `Infinity` when it never expires. */
  readonly expiresAt: number
  readonly bytes: number
  readonly zone: string | undefined
}

/** The entries of a zone, oldest first. */
interface Zoned {
  readonly bytesOf: Map<string, number>
  bytes: number
}

/** A store whose content is lost at exit: for tests, for embedding, and for machines without a writable disk. */
export function createMemoryStore(options: MemoryStoreOptions = {}): Store {
  return new MemoryStore(
    options.maxBytes ?? DEFAULT_MEMORY_BYTES,
    options.now ?? Date.now,
    options.steady ?? options.now ?? machineNow,
  )
}

class MemoryStore implements Store {
  readonly name = 'memory'
  readonly shared = false
  readonly #entries: LRUCache<string, Entry>
  readonly #now: () => number
  readonly #steady: () => number
  readonly #zones = new Map<string, Zoned>()
  /** Kept apart from the values: used quotas must not be evicted to make room. */
  readonly #amounts = new Map<string, { readonly text: string; readonly expiresAt: number }>()
  #sweptAt = 0
  #closed = false

  constructor(maxBytes: number, now: () => number, steady: () => number) {
    this.#entries = new LRUCache<string, Entry>({
      maxSize: maxBytes,
      sizeCalculation: entry => entry.bytes,
      dispose: ({ zone }, key) => zone !== undefined && this.#leave(zone, key),
    })
    this.#now = now
    this.#steady = steady
  }

  async get(key: string): Promise<string | undefined> {
    this.#assertOpen()
    return this.#live(key)
  }

  async getMany(keys: readonly string[]): Promise<(string | undefined)[]> {
    this.#assertOpen()
    return keys.map(key => this.#live(key))
  }

  async set(key: string, value: string, { ttlMs, zone }: SetOptions = {}): Promise<void> {
    this.#assertOpen()
    assertKey(key)
    const valueBytes = assertValue(key, value)
    const expiresAt = expiryOf(ttlMs, this.#now())
    const room = zone && assertRoom(key, valueBytes, zone)
    this.#entries.set(key, {
      value,
      expiresAt,
      bytes: valueBytes + Buffer.byteLength(key) + 1,
      zone: zone?.name,
    })
    if (zone && room !== undefined && this.#entries.has(key)) this.#enter(zone, key, room)
  }

  async setIfAbsent(key: string, value: string): Promise<string> {
    this.#assertOpen()
    const current = this.#live(key)
    if (current === undefined) await this.set(key, value)
    return current ?? value
  }

  async delete(key: string): Promise<void> {
    this.#assertOpen()
    assertKey(key)
    this.#entries.delete(key)
  }

  async keys(prefix: string): Promise<string[]> {
    this.#assertOpen()
    const now = this.#now()
    const found: string[] = []
    for (const [key, entry] of this.#entries.entries()) {
      if (key.startsWith(prefix) && entry.expiresAt > now) found.push(key)
    }
    return inByteOrder(found)
  }

  async zone(name: string): Promise<ZoneSize> {
    this.#assertOpen()
    const zone = this.#zones.get(name)
    return { entries: zone?.bytesOf.size ?? 0, bytes: zone?.bytes ?? 0 }
  }

  async take(request: TakeRequest): Promise<Taken> {
    const now = 'until' in request.window ? this.#now : this.#steady
    return this.#step(request.key, now(), (stored, at) => take(stored, request, at))
  }

  async hold(request: HoldRequest): Promise<Held> {
    return this.#step(request.key, this.#steady(), (stored, at) => hold(stored, request, at))
  }

  async setHeld({ key, value, ttlMs, claim, holder }: HeldWrite): Promise<boolean> {
    this.#assertOpen()
    assertKey(claim)
    assertKey(key)
    if (!isHeld(this.#amounts.get(claim)?.text, holder, this.#steady())) return false
    if (value === undefined) await this.delete(key)
    else await this.set(key, value, ttlMs === undefined ? {} : { ttlMs })
    return true
  }

  async close(): Promise<void> {
    this.#closed = true
    this.#entries.clear()
    this.#amounts.clear()
  }

  #enter({ name, maxBytes }: Zone, key: string, bytes: number): void {
    let zone = this.#zones.get(name)
    if (!zone) this.#zones.set(name, (zone = { bytesOf: new Map(), bytes: 0 }))
    zone.bytesOf.set(key, bytes)
    zone.bytes += bytes
    for (const first of zone.bytesOf.keys()) {
      if (zone.bytes <= maxBytes) break
      this.#entries.delete(first)
    }
  }

  #leave(name: string, key: string): void {
    const zone = this.#zones.get(name)
    const bytes = zone?.bytesOf.get(key)
    if (!zone || bytes === undefined) return
    zone.bytesOf.delete(key)
    zone.bytes -= bytes
  }

  /** `at`: the time on the step's own clock. The lifetime of its text is measured by the steady clock. */
  #step<T>(key: string, at: number, step: (stored: string | undefined, now: number) => Step<T>): T {
    this.#assertOpen()
    assertKey(key)
    const now = this.#steady()
    const stored = this.#amounts.get(key)
    const { text, expiresAt, answer } = step(stored && stored.expiresAt > now ? stored.text : undefined, at)
    if (expiresAt > at) this.#amounts.set(key, { text, expiresAt: now + expiresAt - at })
    else this.#amounts.delete(key)
    if (now - this.#sweptAt >= SWEEP_EVERY_MS) {
      this.#sweptAt = now
      for (const [other, amount] of this.#amounts) if (amount.expiresAt <= now) this.#amounts.delete(other)
    }
    return answer
  }

  #live(key: string): string | undefined {
    assertKey(key)
    const entry = this.#entries.get(key)
    if (entry === undefined) return undefined
    if (entry.expiresAt > this.#now()) return entry.value
    this.#entries.delete(key)
    return undefined
  }

  #assertOpen(): void {
    if (this.#closed) throw closedError(this.name)
  }
}
