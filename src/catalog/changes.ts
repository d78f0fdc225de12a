/** How long lists wait for a server that has said that its lists have changed, in milliseconds. */
export const WAIT_MS = 1500

interface Change {
  /** Until the server has been listed anew, or the time is over. */
  readonly over: Promise<void>
  readonly end: () => void
}

/**
 * Changes of lists that servers have told of and that are not shown yet. A client that lists after a change waits for it. A server that does not list itself in time is
 * not waited for until it has.
 */
export class Changes {
  readonly #pending = new Map<string, Set<Change>>()
  readonly #late = new Set<string>()

  /** A server has told of a change; the returned function says that it is shown. */
  begin(server: string): () => void {
    let pending = this.#pending.get(server)
    if (!pending) this.#pending.set(server, (pending = new Set()))
    let resolve = (): void => {}
    const over = new Promise<void>(done => (resolve = done))
    const timer = setTimeout(() => {
      this.#late.add(server)
      resolve()
    }, WAIT_MS)
    timer.unref()
    const end = (): void => {
      clearTimeout(timer)
      resolve()
    }
    const change = { over, end }
    const all = pending.add(change)
    return () => {
      end()
      all.delete(change)
      if (all.size > 0) return
      this.#late.delete(server)
      this.#pending.delete(server)
    }
  }

  /** Until what is known now to have changed is shown; `undefined` when nothing is to be waited for. */
  shown(servers: ReadonlySet<string>): Promise<unknown> | undefined {
    if (this.#pending.size === 0) return undefined
    const waits: Promise<void>[] = []
    for (const [server, pending] of this.#pending)
      if (servers.has(server) && !this.#late.has(server)) for (const { over } of pending) waits.push(over)
    return waits.length === 0 ? undefined : Promise.all(waits)
  }

  close(): void {
    for (const pending of this.#pending.values()) for (const { end } of pending) end()
    this.#pending.clear()
  }
}
