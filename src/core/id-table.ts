/**
 * Values by id, for what comes and goes with every call. A `Map` does the same, but V8 chains its outgrown tables: once one of them has become
 * old, everything that passed through later is kept alive until the next full collection, which cost a fifth of the gateway's time. A plain object has no
 * such chain.
 */
export class IdTable<K extends number | string, T> {
  #entries = Object.create(null) as Record<number | string, T>
  #size = 0

  get size(): number {
    return this.#size
  }

  has(id: K): boolean {
    return this.#entries[id] !== undefined
  }

  get(id: K): T | undefined {
    return this.#entries[id]
  }

  set(id: K, value: T): void {
    if (this.#entries[id] === undefined) this.#size++
    this.#entries[id] = value
  }

  /** Removes the value of `id` and returns it. */
  take(id: K): T | undefined {
    const value = this.#entries[id]
    if (value === undefined) return undefined
    delete this.#entries[id]
    this.#size--
    return value
  }

  /** Values; those with integer ids come in their order. */
  values(): T[] {
    return Object.values(this.#entries)
  }

  clear(): void {
    this.#entries = Object.create(null) as Record<number | string, T>
    this.#size = 0
  }
}
