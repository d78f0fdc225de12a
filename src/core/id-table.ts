/** A power of two; small, because every session has a table. */
const RECENT = 64

/** Consecutive ids get different buckets. */
function indexOf(id: number | string): number {
  if (typeof id === 'number') return id & (RECENT - 1)
  const { length } = id
  return (id.charCodeAt(length - 1) + 10 * id.charCodeAt(length - 2)) & (RECENT - 1)
}

/**
 * Values by id, for entries that are added and removed with every call; ids are strings or natural numbers. A `Map`
 * would keep memory alive: V8 chains its outgrown tables, and once one of them is old, everything added later survives
 * until the next full collection. That cost a fifth of the gateway's time. A plain object has no such chain.
 *
 * Objects are slow with ever-growing numbers, also as text. Since ids are mostly consecutive, each has a bucket by its
 * last bits. An id whose bucket is still taken by a long call goes to the object.
 */
export class IdTable<K extends number | string, T> {
  /** Ids by bucket. A free bucket may still contain the id of its last value. */
  readonly #ids: K[] = []
  readonly #recent: (T | undefined)[] = []
  #recentSize = 0
  #others = Object.create(null) as Record<number | string, T>
  #othersSize = 0

  get size(): number {
    return this.#recentSize + this.#othersSize
  }

  has(id: K): boolean {
    return this.get(id) !== undefined
  }

  get(id: K): T | undefined {
    const index = indexOf(id)
    if (this.#holds(index, id)) return this.#recent[index]
    return this.#othersSize === 0 ? undefined : this.#others[id]
  }

  set(id: K, value: T): void {
    const index = indexOf(id)
    if (this.#holds(index, id)) this.#recent[index] = value
    else if (this.#othersSize > 0 && this.#others[id] !== undefined) this.#others[id] = value
    else if (this.#recent[index] === undefined) {
      this.#ids[index] = id
      this.#recent[index] = value
      this.#recentSize++
    } else {
      this.#others[id] = value
      this.#othersSize++
    }
  }

  /** Removes the value of `id` and returns it. */
  take(id: K): T | undefined {
    const index = indexOf(id)
    if (this.#holds(index, id)) {
      const value = this.#recent[index]
      this.#recent[index] = undefined
      this.#recentSize--
      return value
    }
    const value = this.#othersSize === 0 ? undefined : this.#others[id]
    if (value === undefined) return undefined
    delete this.#others[id]
    this.#othersSize--
    return value
  }

  /** All values; those with numeric ids come in order. */
  values(): T[] {
    if (this.size === 0) return []
    const all = Object.assign(Object.create(null), this.#others) as Record<number | string, T>
    this.#recent.forEach((value, index) => {
      if (value !== undefined) all[this.#ids[index] as K] = value
    })
    return Object.values(all)
  }

  clear(): void {
    this.#recent.length = 0
    this.#recentSize = 0
    this.#others = Object.create(null) as Record<number | string, T>
    this.#othersSize = 0
  }

  #holds(index: number, id: K): boolean {
    return this.#ids[index] === id && this.#recent[index] !== undefined
  }
}
