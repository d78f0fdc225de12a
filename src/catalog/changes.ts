/** How long a list request waits for a server that has reported a changed list, in milliseconds. */
export const WAIT_MS = 1500

interface Change {
  /** Resolves when the server has been listed again, or the time is over. */
  readonly over: Promise<void>
  readonly end: () => void
}

/**
 * List changes that servers have reported and that views do not show yet. A client that lists after a change waits for
 * it. A server whose listing takes too long is not waited for again until it has finished.
 */
export class Changes {
  readonly #pending = new Map<string, Set<Change>>()
  readonly #late = new Set<string>()

  /** Records that a server has reported a change. The returned function records that the change is shown. */
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

  /** Resolves when the changes pending now are shown. `undefined`: there is nothing to wait for. */
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
