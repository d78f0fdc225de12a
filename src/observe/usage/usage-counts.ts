/** What the requests of one thing by one client have used. */
export interface UsageCounts {
  calls: number
  /** Those that the gateway or a server answered with an error. */
  errors: number
  /** Those answered without a request to a server of their own: from the cache, or with an equal call in flight. */
  hits: number
  /** Milliseconds in which servers worked on them. */
  upstreamMs: number
  /** UTF-8 bytes of parameters, and of results. */
  bytesIn: number
  bytesOut: number
  /** Cost units, by `cost` of servers and tools. */
  cost: number
}

/** The order in which records have them. New ones are added at the end. */
export const USAGE_FIELDS = [
  'calls',
  'errors',
  'hits',
  'upstreamMs',
  'bytesIn',
  'bytesOut',
  'cost',
] as const satisfies readonly (keyof UsageCounts)[]

/** What a row is of. `server` is empty for requests to the gateway itself, such as lists. */
export interface UsageKey {
  readonly client: string
  readonly server: string
  /** The server's own name of the tool; the method of any other request. */
  readonly tool: string
}

export interface UsageRow extends UsageKey, UsageCounts {}

/** In place of names, where there are too many of them. */
const OTHER_USE = 'other'

export function noUsage(key: UsageKey): UsageRow {
  return { ...key, calls: 0, errors: 0, hits: 0, upstreamMs: 0, bytesIn: 0, bytesOut: 0, cost: 0 }
}

export function addUsage(to: UsageCounts, counts: UsageCounts): void {
  for (const field of USAGE_FIELDS) to[field] += counts[field]
}

/** Shares of the rows: for tools, and for them with what all tools of a server use together. */
const OWN_SHARE = 0.75
const SERVER_SHARE = 0.95

/** Rows by what they are of. Beyond the bound, the tools of a server are one row, and then clients are. */
export class UsageRows {
  readonly #rows = new Map<string, UsageRow>()
  readonly #max: number

  constructor(max: number) {
    this.#max = max
  }

  get size(): number {
    return this.#rows.size
  }

  /** The row of a key, or the one that counts for it. It stays the same object. */
  at(key: UsageKey): UsageRow {
    const { client, server } = key
    return (
      this.#within(OWN_SHARE, key) ??
      this.#within(SERVER_SHARE, { client, server, tool: OTHER_USE }) ??
      this.#within(1, { client: OTHER_USE, server, tool: OTHER_USE }) ??
      this.#made({ client: OTHER_USE, server: OTHER_USE, tool: OTHER_USE })
    )
  }

  add(row: UsageRow): void {
    addUsage(this.at(row), row)
  }

  list(): readonly UsageRow[] {
    return [...this.#rows.values()]
  }

  /** The row of this key, which is made while fewer than this share of the rows are there. */
  #within(share: number, key: UsageKey): UsageRow | undefined {
    const id = idOf(key)
    return this.#rows.get(id) ?? (this.#rows.size < this.#max * share ? this.#made(key, id) : undefined)
  }

  #made(key: UsageKey, id = idOf(key)): UsageRow {
    const known = this.#rows.get(id)
    if (known) return known
    const row = noUsage(key)
    this.#rows.set(id, row)
    return row
  }
}

/** Names may contain any character. */
function idOf({ client, server, tool }: UsageKey): string {
  return `${client.length}:${client}${server.length}:${server}${tool}`
}
