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

/** The tool of the counters for reads. */
export const READS = 'resources/read'

/** Counters of this process: of servers in the configuration, and of tools that they list. */
export class CacheStats {
  readonly #servers = new Map<string, Map<string, Counters>>()

  /** The same object until the server or the tool is gone. */
  of(server: string, tool: string): Counters {
    let tools = this.#servers.get(server)
    if (!tools) this.#servers.set(server, (tools = new Map()))
    let counters = tools.get(tool)
    if (!counters) tools.set(tool, (counters = new Counters()))
    return counters
  }

  /** Forgets the counters of all other servers. */
  keepServers(servers: ReadonlySet<string>): void {
    for (const server of this.#servers.keys()) if (!servers.has(server)) this.#servers.delete(server)
  }

  /** Forgets the counters of all other tools of a server. */
  keepTools(server: string, tools: ReadonlySet<string>): void {
    const counters = this.#servers.get(server)
    for (const tool of counters?.keys() ?? []) if (tool !== READS && !tools.has(tool)) counters?.delete(tool)
  }

  list(): CountersOf[] {
    return [...this.#servers].flatMap(([server, tools]) =>
      [...tools].map(([tool, counters]) => ({ server, tool, ...counters })),
    )
  }
}
