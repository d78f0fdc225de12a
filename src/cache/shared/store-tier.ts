import { setTimeout as sleep } from 'node:timers/promises'
import { monotonicNow } from '../../core/clock.ts'
import type { Store } from '../../state/store.ts'
import { epochKey, stampOf } from './epoch.ts'
import type { SharedEpochs } from './epochs.ts'
import { decode, encode, nameOf } from './codec.ts'
import type { TierEntry, Tier } from '../tier.ts'
import { Wait } from '../wait.ts'

export interface StoredTierOptions {
  readonly store: Store
  /** Epochs in the same store. */
  readonly epochs: SharedEpochs
  /** Larger results are compressed. */
  readonly compressOverBytes: number
  /** Bound of all entries in the store, including those of other processes. */
  readonly maxBytes: number
  /** Bounds of the entries that wait to be written: number, and size of results. */
  readonly maxQueued?: number
  readonly maxQueuedBytes?: number
}

/** After this many misses in a row only every sixteenth look-up is made: a look-up costs half as much as a call. */
const IN_VAIN = 256
const SAMPLED = 16

/** Name of the zone of the store that contains the entries. */
export const ZONE = 'cache'

/** Timeout of a look-up. Afterwards, a call to the server takes no longer. */
const GET_MS = 200
const GET_STEP_MS = 20
/** Pause after the store did not answer. */
const AWAY_MS = 1000
const MAX_QUEUED = 1000
const MAX_QUEUED_BYTES = 16 * 1024 * 1024
/**
 * Results that may be written at once, and per second afterwards. A write costs as much as a call, and a client that
 * always requests something new would pay double for results that are never requested again.
 */
const WRITES = 1000
const WRITES_PER_SECOND = 200
/** Results within this time are written together: a commit of a database costs more than an entry. */
const GATHER_MS = 10
/** Bounds of one write: number, and size of results. */
const BATCH = 256
const BATCH_BYTES = 2 * 1024 * 1024

/** Counts of look-ups and writes, since the start. */
export interface TierCounts {
  readonly hits: number
  readonly misses: number
  /** Not answered in time, or not at all. */
  readonly unanswered: number
  /** Skipped, because of many misses before. */
  readonly spared: number
  /** Found, but invalidated by a change. */
  readonly outdated: number
  /** Found, but damaged, of another version or under another key. */
  readonly damaged: number
  readonly written: number
  /** Not written: the queue was full, or too many were written recently. */
  readonly dropped: number
  /** Not written: a change may have occurred in between. */
  readonly unstamped: number
  /** Not written: too large for the store, or the store is unreachable. */
  readonly refused: number
}

export const NO_COUNTS: TierCounts = {
  hits: 0,
  misses: 0,
  unanswered: 0,
  spared: 0,
  outdated: 0,
  damaged: 0,
  written: 0,
  dropped: 0,
  unstamped: 0,
  refused: 0,
}

interface Job {
  readonly entry: TierEntry
  readonly stamp: string
  readonly expiresAt: number
}

/**
 * Entries in the state store, for the next start and for other processes. Written in the background, so that no call
 * waits for it.
 */
export class StoredTier implements Tier {
  readonly #options: StoredTierOptions
  readonly #queue = new Map<string, Job>()
  readonly #wait = new Wait(GET_MS, GET_STEP_MS)
  #writing: Promise<void> | undefined
  #queuedBytes = 0
  #awayUntil = 0
  #closed = false
  /** Look-ups since the last hit. */
  #inVain = 0
  #writesLeft = WRITES
  #writesAt = monotonicNow()
  readonly #counts: { -readonly [K in keyof TierCounts]: number } = { ...NO_COUNTS }

  constructor(options: StoredTierOptions) {
    this.#options = options
  }

  get counts(): TierCounts {
    return { ...this.#counts }
  }

  async get(server: string, key: string): Promise<TierEntry | undefined> {
    const { epochs } = this.#options
    const begunAt = monotonicNow()
    if (this.#closed || begunAt < this.#awayUntil) return this.#miss('unanswered')
    if (this.#inVain++ > IN_VAIN && this.#inVain % SAMPLED !== 0) return this.#miss('spared')
    const name = nameOf(server, key)
    const mark = epochs.mark(server)
    // Both in one snapshot, so that an outdated entry is never taken for a current one.
    const values = await this.#ask([name, epochKey(server)])
    if (!values) {
      this.#awayUntil = monotonicNow() + AWAY_MS
      return this.#miss('unanswered')
    }
    const [value, epochText] = values
    const epoch = epochs.seen(server, epochText, mark, begunAt)
    if (value === undefined) return this.#miss('misses')
    this.#inVain = 0
    const found = await decode(name, value)
    if (!found) {
      this.#remove(name)
      return this.#miss('damaged')
    }
    if (!epoch || found.stamp !== stampOf(epoch, found.entry.tags)) {
      if (epoch) this.#remove(name)
      return this.#miss('outdated')
    }
    this.#counts.hits++
    // The entry's age by the wall clock counts, because other processes stored it by that clock.
    return { ...found.entry, storedAt: found.entry.storedAt - aheadMs() }
  }

  set(server: string, key: string, entry: TierEntry, ttlMs: number): void {
    if (this.#closed || !(ttlMs > 0)) return
    const { maxQueued = MAX_QUEUED, maxQueuedBytes = MAX_QUEUED_BYTES } = this.#options
    const { tags, storedAt, upstreamMs, text } = entry
    const stamp = this.#options.epochs.stamp(server, tags, storedAt - upstreamMs)
    if (stamp === undefined) return void this.#counts.unstamped++
    if (
      this.#queue.size >= maxQueued ||
      this.#queuedBytes + text.length > maxQueuedBytes ||
      !this.#mayWrite()
    )
      return void this.#counts.dropped++
    const name = nameOf(server, key)
    this.#take(name)
    this.#queue.set(name, { entry, stamp, expiresAt: monotonicNow() + ttlMs })
    this.#queuedBytes += text.length
    if (!this.#writing) this.#start()
  }

  #mayWrite(): boolean {
    const now = monotonicNow()
    const passedMs = Math.max(0, now - this.#writesAt)
    this.#writesAt = now
    this.#writesLeft = Math.min(WRITES, this.#writesLeft + (passedMs * WRITES_PER_SECOND) / 1000)
    if (this.#writesLeft < 1) return false
    this.#writesLeft--
    return true
  }

  /** Resolves when no write is waiting. */
  async idle(): Promise<void> {
    while (this.#writing) await this.#writing
  }

  /** Writes what waits, and takes nothing more. Idempotent; the store stays open. */
  async close(): Promise<void> {
    this.#closed = true
    await this.idle()
  }

  #start(): void {
    this.#writing = this.#write().finally(() => {
      this.#writing = undefined
      // Entries may have been added after the last check.
      if (this.#queue.size > 0) this.#start()
    })
  }

  async #write(): Promise<void> {
    while (this.#queue.size > 0) {
      // The pause also lets the call be answered first. It keeps a process alive that has something to write.
      if (!this.#closed) await sleep(GATHER_MS)
      const batch: Promise<void>[] = []
      let bytes = 0
      for (const [name] of this.#queue) {
        const job = this.#take(name)
        if (!job) continue
        batch.push(this.#writeOne(name, job))
        bytes += job.entry.text.length
        if (batch.length === BATCH || bytes > BATCH_BYTES) break
      }
      await Promise.all(batch)
    }
  }

  async #writeOne(name: string, { entry, stamp, expiresAt }: Job): Promise<void> {
    const { store, compressOverBytes, maxBytes } = this.#options
    try {
      const value = await encode(
        name,
        { ...entry, storedAt: entry.storedAt + aheadMs() },
        stamp,
        compressOverBytes,
      )
      const ttlMs = expiresAt - monotonicNow()
      if (ttlMs > 0) await store.set(name, value, { ttlMs, zone: { name: ZONE, maxBytes } })
      this.#counts.written++
    } catch {
      this.#counts.refused++
    }
  }

  #take(name: string): Job | undefined {
    const job = this.#queue.get(name)
    if (!job) return undefined
    this.#queue.delete(name)
    this.#queuedBytes -= job.entry.text.length
    return job
  }

  /** `undefined` when there is no answer in time. */
  #ask(keys: readonly string[]): Promise<readonly (string | undefined)[] | undefined> {
    const answer = this.#options.store.getMany(keys).catch(() => undefined)
    return Promise.race([answer, this.#wait.end()])
  }

  #remove(name: string): void {
    this.#options.store.delete(name).catch(() => undefined)
  }

  #miss(why: 'misses' | 'unanswered' | 'spared' | 'outdated' | 'damaged'): undefined {
    this.#counts[why]++
    return undefined
  }
}

/**
 * Difference between the wall clock and the monotonic one, in whole seconds, because the two are not read at the same
 * moment.
 */
function aheadMs(): number {
  return Math.round((Date.now() - monotonicNow()) / 1000) * 1000
}
