/** How long work may hold up everything else at a time. */
export const SLICE_MS = 5

/** Work in parts: between them everything else gets its turn. */
export class Slices {
  #until = performance.now() + SLICE_MS

  /** Whether the work has gone on for long enough. */
  get over(): boolean {
    return performance.now() > this.#until
  }

  /** Resolves when everything else had its turn. */
  async next(): Promise<void> {
    await new Promise(resolve => setImmediate(resolve))
    this.#until = performance.now() + SLICE_MS
  }
}

/** Does something with each of a list, one after the other; everything else gets its turn in between. Rejects with what it throws. */
export async function inTurns<T, R>(list: readonly T[], work: (item: T) => R): Promise<R[]> {
  const slices = new Slices()
  const results: R[] = []
  for (const item of list) {
    if (slices.over) await slices.next()
    results.push(work(item))
  }
  return results
}

/** Work that pauses at each `yield`. */
export type Steps<T> = Generator<undefined, T, undefined>

/** Entries of a list that are gone through between two pauses. */
export const STRIDE = 32

/** Characters of an entry that count as one more entry. */
const STRIDE_CHARS = 256

/** Counts the entries of a list between two pauses. A long entry counts for several, since what is done with it may take as long as it is. */
export class Stride {
  #left = STRIDE

  /** Whether a pause is due before an entry of so many characters. */
  isOver(chars: number): boolean {
    const isOver = this.#left <= 0
    if (isOver) this.#left = STRIDE
    this.#left -= 1 + chars / STRIDE_CHARS
    return isOver
  }
}

/** Does all of the work without a pause. */
export function atOnce<T>(steps: Steps<T>): T {
  for (;;) {
    const step = steps.next()
    if (step.done === true) return step.value
  }
}

/** Work in parts, one after the other: however much there is of it, everything else gets its turn in between. */
export class SlicedWork {
  readonly #slices = new Slices()
  #last: Promise<unknown> = Promise.resolve()

  /** Does the work once all that was asked for before is done. Rejects with what the work throws. */
  do<T>(work: () => Steps<T>): Promise<T> {
    const done = this.#last.then(() => this.#run(work()))
    this.#last = done.catch(() => {})
    return done
  }

  async #run<T>(steps: Steps<T>): Promise<T> {
    for (;;) {
      if (this.#slices.over) await this.#slices.next()
      const step = steps.next()
      if (step.done === true) return step.value
    }
  }
}
