/** Names of items of servers by holder. A name that is held several times counts once. */
export class HeldNames<K> {
  readonly #held = new Map<K, Map<string, Map<string, number>>>()
  readonly #counts = new Map<K, number>()

  /** Number of names of a holder. */
  countOf(holder: K): number {
    return this.#counts.get(holder) ?? 0
  }

  has(holder: K, server: string, name: string): boolean {
    return this.#held.get(holder)?.get(server)?.has(name) === true
  }

  add(holder: K, server: string, name: string): void {
    let servers = this.#held.get(holder)
    if (!servers) this.#held.set(holder, (servers = new Map()))
    let names = servers.get(server)
    if (!names) servers.set(server, (names = new Map()))
    const times = names.get(name) ?? 0
    names.set(name, times + 1)
    if (times === 0) this.#counts.set(holder, this.countOf(holder) + 1)
  }

  /** Releases one hold of a name. */
  delete(holder: K, server: string, name: string): void {
    const servers = this.#held.get(holder)
    const names = servers?.get(server)
    const times = names?.get(name)
    if (!servers || !names || times === undefined) return
    if (times > 1) {
      names.set(name, times - 1)
      return
    }
    names.delete(name)
    if (names.size === 0) servers.delete(server)
    if (servers.size === 0) {
      this.#held.delete(holder)
      this.#counts.delete(holder)
    } else this.#counts.set(holder, this.countOf(holder) - 1)
  }
}
