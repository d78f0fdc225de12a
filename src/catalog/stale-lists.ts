import { monotonicNow } from '../core/clock.ts'
import type { ServerLists } from './server-lists.ts'

/** The first look waits, so that it does not compete with a client's first requests. */
const FIRST_LOOK_MS = 2000
/** Longest time between two looks. */
const LOOK_MS = 60_000

/** Lists servers again whose lists have become old. A server is tried at most once in that time. */
export class StaleLists {
  readonly #lists: Pick<ServerLists, 'stale' | 'refresh'>
  /** 0: lists do not become old. */
  #maxAgeMs: number
  readonly #triedAt = new Map<string, number>()
  #timer: NodeJS.Timeout | undefined

  constructor(lists: Pick<ServerLists, 'stale' | 'refresh'>, maxAgeMs: number) {
    this.#lists = lists
    this.#maxAgeMs = maxAgeMs
  }

  /** Begins to look. */
  start(): void {
    this.#lookIn(FIRST_LOOK_MS)
  }

  /** Applies another age, once it has been started. */
  reconfigure(maxAgeMs: number): void {
    if (maxAgeMs === this.#maxAgeMs) return
    this.#maxAgeMs = maxAgeMs
    this.#lookIn(Math.min(maxAgeMs, FIRST_LOOK_MS))
  }

  close(): void {
    clearTimeout(this.#timer)
  }

  #lookIn(delayMs: number): void {
    clearTimeout(this.#timer)
    if (this.#maxAgeMs === 0) return
    this.#timer = setTimeout(() => this.#look(), delayMs)
    this.#timer.unref()
  }

  #look(): void {
    const maxAgeMs = this.#maxAgeMs
    const now = monotonicNow()
    const stale = this.#lists.stale(maxAgeMs)
    const names = new Set(stale)
    for (const name of this.#triedAt.keys()) if (!names.has(name)) this.#triedAt.delete(name)
    for (const name of stale) {
      if (now - (this.#triedAt.get(name) ?? -Infinity) < maxAgeMs) continue
      this.#triedAt.set(name, now)
      void this.#lists.refresh(name)
    }
    this.#lookIn(Math.min(maxAgeMs, LOOK_MS))
  }
}
