/** Counts of the calls of one tool, or of the reads of one server. */
export class Counters {
  /** Answered from the cache, without stale results. */
  hits = 0
  staleHits = 0
  misses = 0
  stores = 0
  /** Answered by another client's call. */
  coalesced = 0
  /** Size of the results that were not fetched. */
  bytesSaved = 0
  /** Time that servers would have needed for them. */
  upstreamMsSaved = 0
}

export interface CountersOf extends Readonly<Counters> {
  readonly server: string
  /** The server's own name of the tool; `resources/read` for reads. */
  readonly tool: string
}

/** Counters of this process, since its start. */
export class CacheStats {
  readonly #servers = new Map<string, Map<string, Counters>>()

  /** The same object as long as the process runs. */
  of(server: string, tool: string): Counters {
    let tools = this.#servers.get(server)
    if (!tools) this.#servers.set(server, (tools = new Map()))
    let counters = tools.get(tool)
    if (!counters) tools.set(tool, (counters = new Counters()))
    return counters
  }

  list(): CountersOf[] {
    return [...this.#servers].flatMap(([server, tools]) =>
      [...tools].map(([tool, counters]) => ({ server, tool, ...counters })),
    )
  }
}
