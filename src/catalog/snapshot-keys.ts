/** Stored snapshots of replaced servers that stay stored, for a configuration that comes back. */
const MAX_FORMER = 64

/**
 * Which stored snapshots are of servers in use, and which of servers that a reload has replaced. Of the latter only the
 * newest stay, so that a configuration that never stops changing, such as one with a token in it, does not fill the
 * store.
 */
export class SnapshotKeys {
  /** Server → keys of its snapshots. */
  readonly #inUse = new Map<string, Set<string>>()
  /** Keys of replaced servers, the oldest first. */
  readonly #former = new Set<string>()

  /** A snapshot of the server is stored under the key. */
  stored(server: string, key: string): void {
    this.#former.delete(key)
    const keys = this.#inUse.get(server)
    if (keys) keys.add(key)
    else this.#inUse.set(server, new Set([key]))
  }

  /**
   * The name of the server stands for another one from now on, or for none.
   * @returns the keys that are no longer worth storing
   */
  replaced(server: string): readonly string[] {
    for (const key of this.#inUse.get(server) ?? []) this.#former.add(key)
    this.#inUse.delete(server)
    const dropped = [...this.#former].slice(0, Math.max(0, this.#former.size - MAX_FORMER))
    for (const key of dropped) this.#former.delete(key)
    return dropped
  }
}
