/**
 * An element of a heap: the smallest `pass` first, of equal ones the smallest `order`. Neither may change while it is
 * in a heap.
 */
export interface Ranked {
  readonly pass: number
  readonly order: number
}

/** A binary heap: the first element is found at once; adding and removing take logarithmic time. */
export class Heap<T extends Ranked> {
  #items: T[] = []

  get size(): number {
    return this.#items.length
  }

  get first(): T | undefined {
    return this.#items[0]
  }

  add(item: T): void {
    const items = this.#items
    let at = items.length
    items.push(item)
    while (at > 0) {
      const parent = (at - 1) >> 1
      const above = items[parent] as T
      if (!before(item, above)) break
      items[at] = above
      at = parent
    }
    items[at] = item
  }

  /** Removes the first element. */
  take(): T | undefined {
    const items = this.#items
    const first = items[0]
    const last = items.pop()
    if (last === undefined || items.length === 0) return first
    let at = 0
    for (;;) {
      let child = 2 * at + 1
      if (child >= items.length) break
      if (child + 1 < items.length && before(items[child + 1] as T, items[child] as T)) child++
      const below = items[child] as T
      if (!before(below, last)) break
      items[at] = below
      at = child
    }
    items[at] = last
    return first
  }

  /** Keeps the elements for which `wanted` is true. */
  keep(wanted: (item: T) => boolean): void {
    const kept = this.#items.filter(wanted)
    this.#items = []
    for (const item of kept) this.add(item)
  }

  clear(): void {
    this.#items = []
  }
}

function before(one: Ranked, other: Ranked): boolean {
  return one.pass < other.pass || (one.pass === other.pass && one.order < other.order)
}
