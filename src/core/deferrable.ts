import { SLICE_MS, Slices, type Steps } from './slices.ts'

/**
 * Work that runs immediately while the current turn of the event loop has time left, and in parts otherwise. Pieces of
 * one party run in order of arrival; parties take turns. Each piece has a key: a later piece replaces a waiting one of
 * the same party and key.
 */
export class Deferrable {
  readonly #onError: (error: unknown) => void
  /** Waiting pieces by party; no inner map is empty. */
  readonly #waiting = new Map<string, Map<string, () => Steps<void>>>()
  #until: number | undefined
  #running = false

  /** `onError` receives the errors of deferred pieces. A piece that runs immediately throws to its caller. */
  constructor(onError: (error: unknown) => void) {
    this.#onError = onError
  }

  /** Number of waiting pieces of a party. */
  waitingOf(party: string): number {
    return this.#waiting.get(party)?.size ?? 0
  }

  /** The share of a party in `most`, split equally among this party and all parties with waiting pieces. */
  shareOf(party: string, most: number): number {
    return most / (this.#waiting.size + (this.#waiting.has(party) ? 0 : 1))
  }

  do(party: string, key: string, work: () => Steps<void>): void {
    if (this.#running || this.#isOver) {
      const own = this.#waiting.get(party)
      if (own) own.set(key, work)
      else this.#waiting.set(party, new Map([[key, work]]))
      if (!this.#running) void this.#run(undefined)
      return
    }
    const steps = work()
    while (steps.next().done !== true)
      if (this.#isOver) {
        void this.#run(steps)
        return
      }
  }

  get #isOver(): boolean {
    if (this.#until === undefined) {
      this.#until = performance.now() + SLICE_MS
      setImmediate(() => (this.#until = undefined))
    }
    return performance.now() > this.#until
  }

  async #run(begun: Steps<void> | undefined): Promise<void> {
    this.#running = true
    const slices = new Slices()
    const finish = async (steps: Steps<void>): Promise<void> => {
      try {
        do if (slices.over) await slices.next()
        while (steps.next().done !== true)
      } catch (error) {
        this.#onError(error)
      }
    }
    await slices.next()
    if (begun) await finish(begun)
    // The iteration of a map includes entries added during it: a party with more pieces is added again, after all
    // others.
    for (const [party, own] of this.#waiting) {
      this.#waiting.delete(party)
      const work = takeFirst(own)
      if (own.size > 0) this.#waiting.set(party, own)
      if (work) await finish(work())
    }
    this.#running = false
  }
}

function takeFirst<T>(map: Map<string, T>): T | undefined {
  for (const [key, first] of map) {
    map.delete(key)
    return first
  }
  return undefined
}
