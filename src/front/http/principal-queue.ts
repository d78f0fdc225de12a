/** An element of a queue. */
export interface QueuedItem {
  readonly principal: string
}

/**
 * A bounded queue with a share for each principal. When it is full, the latest element of the principal with the most
 * is removed.
 */
export class PrincipalQueue<T extends QueuedItem> {
  readonly #most: number
  readonly #byPrincipal = new Map<string, Set<T>>()
  #size = 0

  constructor(most: number) {
    this.#most = most
  }

  get size(): number {
    return this.#size
  }

  /** Elements by principal, in order of arrival. */
  get byPrincipal(): ReadonlyMap<string, ReadonlySet<T>> {
    return this.#byPrincipal
  }

  /** A copy of all elements. */
  all(): T[] {
    return [...this.#byPrincipal.values()].flatMap(waiting => [...waiting])
  }

  /** Adds an element. @returns the element that was removed for it, possibly the same one */
  add(item: T): T | undefined {
    const own = this.#byPrincipal.get(item.principal)
    let displaced: T | undefined
    if (this.#size >= this.#most) {
      let largest = own
      for (const waiting of this.#byPrincipal.values())
        if (waiting.size > (largest?.size ?? 0)) largest = waiting
      if (largest === undefined || largest === own) return item
      displaced = [...largest].at(-1) as T
      this.delete(displaced)
    }
    if (own) own.add(item)
    else this.#byPrincipal.set(item.principal, new Set([item]))
    this.#size++
    return displaced
  }

  /** Idempotent. */
  delete(item: T): void {
    const waiting = this.#byPrincipal.get(item.principal)
    if (!waiting?.delete(item)) return
    this.#size--
    if (waiting.size === 0) this.#byPrincipal.delete(item.principal)
  }
}
