/** How long a test waits for something that does not come. */
const PATIENCE_MS = 30_000

interface Waiting<T> {
  readonly matches: (item: T) => boolean
  readonly resolve: (item: T) => void
}

/** What has arrived and was not taken yet, in the order of arrival. */
export class Inbox<T> {
  readonly #items: T[] = []
  readonly #waiting = new Set<Waiting<T>>()
  readonly #all: T[] = []
  readonly #listeners: ((item: T) => void)[] = []

  /** Everything that ever arrived. */
  get all(): readonly T[] {
    return this.#all
  }

  /** What was not taken yet. */
  get left(): readonly T[] {
    return this.#items
  }

  /** Hands over everything that has arrived and will arrive; nothing is taken. */
  onItem(listener: (item: T) => void): void {
    this.#all.forEach(listener)
    this.#listeners.push(listener)
  }

  push(item: T): void {
    this.#all.push(item)
    for (const listener of this.#listeners) listener(item)
    for (const waiting of this.#waiting) {
      if (!waiting.matches(item)) continue
      this.#waiting.delete(waiting)
      waiting.resolve(item)
      return
    }
    this.#items.push(item)
  }

  /**
   * Takes the first item that matches, arrived already or yet to come.
   * @throws Error that shows what is there instead, after thirty seconds
   */
  take(matches: (item: T) => boolean = () => true, what = 'what was awaited'): Promise<T> {
    const index = this.#items.findIndex(matches)
    if (index >= 0) return Promise.resolve(this.#items.splice(index, 1)[0] as T)
    return this.next(matches, what)
  }

  /** Takes the first item that matches of those yet to come. @throws Error as `take` does */
  next(matches: (item: T) => boolean, what = 'what was awaited'): Promise<T> {
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => {
        this.#waiting.delete(waiting)
        reject(
          new Error(
            `${what} did not come within ${PATIENCE_MS} ms; there is: ${JSON.stringify(this.#items)}`,
          ),
        )
      }, PATIENCE_MS)
      const waiting: Waiting<T> = {
        matches,
        resolve: item => {
          clearTimeout(timer)
          resolve(item)
        },
      }
      this.#waiting.add(waiting)
    })
  }
}
