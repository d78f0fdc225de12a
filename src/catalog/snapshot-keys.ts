/** Stored snapshots of replaced servers that stay stored, for a configuration that comes back: at least so many. */
const MIN_FORMER = 64
/** The same for each server that there has been at one time. */
const FORMER_OF_EACH = 4

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
  /** Maximum number of servers that there has been at one time. */
  #servers = 0

  /** A snapshot of the server is stored under the key. */
  stored(server: string, key: string): void {
    this.#former.delete(key)
    const keys = this.#inUse.get(server)
    if (keys) keys.add(key)
    else this.#inUse.set(server, new Set([key]))
    this.#servers = Math.max(this.#servers, this.#inUse.size)
  }

  /**
   * The name of the server stands for another one from now on, or for none.
   * @returns the keys that are no longer worth storing
   */
  replaced(server: string): readonly string[] {
    for (const key of this.#inUse.get(server) ?? []) this.#former.add(key)
    this.#inUse.delete(server)
    const excess = this.#former.size - Math.max(MIN_FORMER, FORMER_OF_EACH * this.#servers)
    const dropped = excess > 0 ? [...this.#former].slice(0, excess) : []
    for (const key of dropped) this.#former.delete(key)
    return dropped
  }
}
