/** Maximum time in milliseconds for which work may block the event loop. */
export const SLICE_MS = 5

/** Work in parts, between which the event loop runs. */
export class Slices {
  #until = performance.now() + SLICE_MS

  /** Whether the current part has used its time. */
  get over(): boolean {
    return performance.now() > this.#until
  }

  /** Resolves after the event loop has run. */
  async next(): Promise<void> {
    await new Promise(resolve => setImmediate(resolve))
    this.#until = performance.now() + SLICE_MS
  }
}

/**
 * Applies `work` to each entry of a list in order, yielding to the event loop in between. Rejects with the error of
 * `work`.
 */
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

/** List entries that are processed between two pauses. */
export const STRIDE = 32

/** Characters of an entry that count as one more entry. */
const STRIDE_CHARS = 256

/**
 * Counts the entries of a list between two pauses. A long entry counts for several, because its processing time may
 * grow with its length.
 */
export class Stride {
  #left = STRIDE

  /** Whether a pause is due before an entry of `chars` characters. */
  isOver(chars: number): boolean {
    const isOver = this.#left <= 0
    if (isOver) this.#left = STRIDE
    this.#left -= 1 + chars / STRIDE_CHARS
    return isOver
  }
}

/** Runs all of the work without a pause. */
export function atOnce<T>(steps: Steps<T>): T {
  for (;;) {
    const step = steps.next()
    if (step.done === true) return step.value
  }
}

/**
 * A queue of work that runs in parts, one piece after another, so that any amount of it leaves time for the event loop.
 */
export class SlicedWork {
  readonly #slices = new Slices()
  #last: Promise<unknown> = Promise.resolve()

  /** Runs the work after all work requested before. Rejects with the error of the work. */
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
