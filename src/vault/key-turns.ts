import type { Store } from '../state/store.ts'

/** Most that wait for one key in this process. */
const MAX_WAITING = 1000

/** A wait for a turn that ended without one. */
export class NoTurn extends Error {
  readonly why: 'late' | 'many' | 'closed'

  constructor(why: NoTurn['why']) {
    super(why)
    this.why = why
  }
}

interface Waiting {
  readonly admit: () => void
  readonly refuse: (error: NoTurn) => void
}

/** Key → those that wait for the one whose turn it is. By store, because several vaults may share the object of one. */
const ALL = new WeakMap<Store, Map<string, Waiting[]>>()

/** Turns within this process, in the order of arrival. */
export class KeyTurns {
  readonly #waiting: Map<string, Waiting[]>
  readonly #own = new Set<Waiting>()

  constructor(store: Store) {
    const waiting = ALL.get(store) ?? new Map<string, Waiting[]>()
    ALL.set(store, waiting)
    this.#waiting = waiting
  }

  /** Resolves when it is the turn of the caller, to what ends it. @throws NoTurn (as a rejection) */
  async take(key: string, waitMs: number): Promise<() => void> {
    const queue = this.#waiting.get(key)
    if (!queue) this.#waiting.set(key, [])
    else if (queue.length >= MAX_WAITING) throw new NoTurn('many')
    else await this.#wait(queue, waitMs)
    return () => this.#end(key)
  }

  /** Those that wait get none. */
  close(): void {
    for (const waiting of this.#own) waiting.refuse(new NoTurn('closed'))
  }

  #wait(queue: Waiting[], waitMs: number): Promise<void> {
    return new Promise((resolve, reject) => {
      const leave = (): void => {
        clearTimeout(timer)
        this.#own.delete(waiting)
      }
      const waiting: Waiting = {
        admit: () => {
          leave()
          resolve()
        },
        refuse: error => {
          leave()
          queue.splice(queue.indexOf(waiting), 1)
          reject(error)
        },
      }
      const timer = setTimeout(() => waiting.refuse(new NoTurn('late')), waitMs)
      queue.push(waiting)
      this.#own.add(waiting)
    })
  }

  #end(key: string): void {
    const next = this.#waiting.get(key)?.shift()
    if (next) next.admit()
    else this.#waiting.delete(key)
  }
}
