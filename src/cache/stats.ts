/** What became of the calls of one tool, or of the reads of one server. */
export class Counters {
  /** Answered from what is kept; stale ones are not among them. */
  hits = 0
  staleHits = 0
  misses = 0
  stores = 0
  /** Answered by the call of another. */
  coalesced = 0
  /** Of results that were not fetched. */
  bytesSaved = 0
  /** That servers would have worked for them. */
  upstreamMsSaved = 0
}

export interface CountersOf extends Readonly<Counters> {
  readonly server: string
  /** As the server names it; `resources/read` for what is read. */
  readonly tool: string
}

/** Counters of this process, since it began. */
export class CacheStats {
  readonly #servers = new Map<string, Map<string, Counters>>()

  /** The same for as long as the process runs. */
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
