import { randomUUID } from 'node:crypto'
import type { Store } from '../state/store.ts'

export interface RecordLeaseOptions {
  readonly store: Store
  /** Key of the claim in the store. */
  readonly claim: string
  /** Key of the value that the lease protects. */
  readonly key: string
  /** After which the claim of a process that does not renew it lapses. */
  readonly ttlMs: number
}

/**
 * The right to change one value, over all processes that share the store. It is a claim that is renewed, and each write
 * is made in one step with a check of the claim, so that a process that stood still cannot overwrite what the next
 * holder wrote. A claim that has lapsed is taken again as long as the value is what it was.
 */
export class RecordLease {
  readonly #options: RecordLeaseOptions
  readonly #holder = randomUUID()
  readonly #ended = new AbortController()
  /** The value as this holder knows it. */
  #text: string | undefined
  #timer: NodeJS.Timeout | undefined
  #renewing: Promise<void> | undefined
  #writing = false
  #lost = false

  constructor(options: RecordLeaseOptions) {
    this.#options = options
  }

  /** Aborted when another process has taken over, and by `end`. */
  get signal(): AbortSignal {
    return this.#ended.signal
  }

  /** Tells the run to end early. It may still write. */
  end(): void {
    this.#ended.abort()
  }

  /** Resolves to whether nothing else holds it. */
  async tryTake(): Promise<boolean> {
    const { store, key, ttlMs } = this.#options
    // A store of this process alone needs no claim: there are turns.
    if (store.shared) {
      if (!(await this.#claim(1))) return false
      this.#timer = setInterval(() => this.#renew(), ttlMs / 3).unref()
    }
    this.#text = await store.get(key).catch(async (error: unknown) => {
      await this.release()
      throw error
    })
    return true
  }

  /** `undefined` deletes. Resolves to `false`, and writes nothing, when another process has taken over. */
  async set(value: string | undefined, valueTtlMs?: number): Promise<boolean> {
    await this.#renewing
    if (this.#lost) return false
    this.#writing = true
    try {
      if (!(await this.#write(value, valueTtlMs))) {
        this.#lose()
        return false
      }
      this.#text = value
      return true
    } finally {
      this.#writing = false
    }
  }

  /** Never rejects: a claim that cannot be given back lapses. */
  async release(): Promise<void> {
    clearInterval(this.#timer)
    await this.#renewing
    if (this.#options.store.shared) await this.#claim(0).catch(() => undefined)
  }

  async #write(value: string | undefined, ttlMs: number | undefined): Promise<boolean> {
    const { store, key, claim } = this.#options
    if (store.shared) {
      const write = { key, value, ttlMs, claim, holder: this.#holder }
      return (await store.setHeld(write)) || ((await this.#retake()) && (await store.setHeld(write)))
    }
    if (value === undefined) await store.delete(key)
    else await store.set(key, value, ttlMs === undefined ? {} : { ttlMs })
    return true
  }

  async #claim(want: 0 | 1, renews = false): Promise<boolean> {
    const { store, claim, ttlMs } = this.#options
    const held = await store.hold({ key: claim, holder: this.#holder, want, limit: 1, ttlMs, renews })
    return held.permits === 1
  }

  /** Not beside a write, which finds out by itself whether the claim is live. */
  #renew(): void {
    if (this.#writing) return
    this.#renewing ??= this.#renewed().finally(() => (this.#renewing = undefined))
  }

  async #renewed(): Promise<void> {
    try {
      if (!(await this.#claim(1, true)) && !(await this.#retake())) this.#lose()
    } catch {
      // The store says itself that it cannot be reached. Whether the claim has lapsed, the next write finds out.
    }
  }

  /** Whether nothing else has changed the value since it was known, nor holds the lease. */
  async #retake(): Promise<boolean> {
    return (await this.#claim(1)) && (await this.#options.store.get(this.#options.key)) === this.#text
  }

  #lose(): void {
    this.#lost = true
    clearInterval(this.#timer)
    this.#ended.abort()
  }
}
