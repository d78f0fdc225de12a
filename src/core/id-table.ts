/** How many numbers in a row have a place each. A power of two; small, because every session has a table. */
const PLACES = 64

/**
 * Values by id, for what comes and goes with every call; ids are strings or natural numbers. A `Map` does the same, but V8 chains its outgrown tables:
 * once one of them has become old, everything that passed through later is kept alive until the next full collection, which cost a fifth of the
 * gateway's time. A plain object has no such chain.
 *
 * Objects are slow with numbers that grow and grow. Since ours follow one another, each has a place by its remainder; only one whose place is still
 * taken, by a call that lasts, goes to the object.
 */
export class IdTable<K extends number | string, T> {
  /** By place. A free one may still have the id of its last value. */
  readonly #ids: number[] = []
  readonly #recent: (T | undefined)[] = []
  #others = Object.create(null) as Record<number | string, T>
  #size = 0

  get size(): number {
    return this.#size
  }

  has(id: K): boolean {
    return this.get(id) !== undefined
  }

  get(id: K): T | undefined {
    if (typeof id === 'number') {
      const place = id % PLACES
      if (this.#ids[place] === id) {
        const value = this.#recent[place]
        if (value !== undefined) return value
      }
    }
    return this.#others[id]
  }

  set(id: K, value: T): void {
    const known = this.#others[id] !== undefined
    if (typeof id === 'number' && !known) {
      const place = id % PLACES
      const taken = this.#recent[place] !== undefined
      if (!taken || this.#ids[place] === id) {
        this.#ids[place] = id
        this.#recent[place] = value
        if (!taken) this.#size++
        return
      }
    }
    this.#others[id] = value
    if (!known) this.#size++
  }

  /** Removes the value of `id` and returns it. */
  take(id: K): T | undefined {
    if (typeof id === 'number') {
      const place = id % PLACES
      if (this.#ids[place] === id) {
        const value = this.#recent[place]
        if (value !== undefined) {
          this.#recent[place] = undefined
          this.#size--
          return value
        }
      }
    }
    const value = this.#others[id]
    if (value === undefined) return undefined
    delete this.#others[id]
    this.#size--
    return value
  }

  /** Values; those with numbers come in their order. */
  values(): T[] {
    if (this.#size === 0) return []
    const all = Object.assign(Object.create(null), this.#others) as Record<number | string, T>
    this.#recent.forEach((value, place) => {
      if (value !== undefined) all[this.#ids[place] as number] = value
    })
    return Object.values(all)
  }

  clear(): void {
    this.#recent.length = 0
    this.#others = Object.create(null) as Record<number | string, T>
    this.#size = 0
  }
}
