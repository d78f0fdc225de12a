import type { Config, ServerConfig } from '../config/types.ts'
import { describeError, GatewayError } from '../core/errors.ts'
import type { Exchange } from '../core/exchange.ts'
import type { Logger } from '../core/logger.ts'
import type { ListKind } from '../core/route.ts'
import type { Store } from '../state/store.ts'
import { fetchLists, type Lister } from './ingest.ts'
import { fromStored, sameLists, storeKey, toStored, type ServerSnapshot } from './snapshot.ts'
import { changedKinds, View, type ViewMember } from './view.ts'

/** A link as far as the catalog needs it. */
export interface ListableLink extends Lister {
  readonly peer: Lister['peer'] & {
    readonly protocolVersion: string
    readonly instructions: string | undefined
  }
  readonly transport: { readonly kind: string }
  /** Whether requests can be sent. */
  readonly usable: boolean
}

export interface CatalogOptions {
  readonly config: Config
  readonly store: Store
  readonly logger: Logger
  /** Raw JSON of the gateway's `serverInfo`. */
  readonly serverInfo: string
  /** A link to the server, started when there is none: best the one that `exchange` will use. */
  readonly link: (server: string, exchange: Exchange | undefined) => ListableLink | Promise<ListableLink>
  /** A view has been replaced, and these of its lists look different to clients. */
  readonly onChange: (view: View, kinds: readonly ListKind[]) => void
}

/** Several `list_changed` in a row are one change. */
const DEBOUNCE_MS = 100

/** When a server that has never been listed is tried again, at first and at last. */
const FIRST_RETRY_MS = 1000
const LAST_RETRY_MS = 5 * 60_000

/** The name of the view of everything. */
export const WHOLE = ''

/**
 * The merged catalogue: the last known lists of every server, the views made of them, and their renewal. A server that fails keeps what
 * was last known of it.
 */
export class Catalog {
  readonly #options: CatalogOptions
  readonly #servers = new Map<string, ServerConfig>()
  readonly #snapshots = new Map<string, ServerSnapshot>()
  readonly #failures = new Map<string, GatewayError>()
  readonly #refreshing = new Map<string, Promise<void>>()
  readonly #timers = new Map<string, NodeJS.Timeout>()
  readonly #retries = new Map<string, { readonly attempts: number; readonly timer: NodeJS.Timeout }>()
  #views = new Map<string, View>()
  #closed = false

  constructor(options: CatalogOptions) {
    this.#options = options
    for (const server of options.config.servers) this.#servers.set(server.name, server)
  }

  /** Reads what earlier runs have stored. */
  async load(): Promise<void> {
    const servers = this.#options.config.servers
    const stored = await this.#stored(servers.map(server => storeKey(server.name)))
    servers.forEach((server, index) => {
      const text = stored[index]
      const snapshot = text === undefined ? undefined : fromStored(text, server.fingerprint)
      if (snapshot) this.#snapshots.set(server.name, snapshot)
    })
    this.#rebuild()
  }

  /** A store that cannot be reached is no reason not to start: everything is then listed anew. */
  async #stored(keys: readonly string[]): Promise<readonly (string | undefined)[]> {
    try {
      return await this.#options.store.getMany(keys)
    } catch (error) {
      this.#options.logger.warn('The lists of earlier runs could not be read; every server is listed anew.', {
        cause: describeError(error),
      })
      return []
    }
  }

  /** The view behind an endpoint: `''` for everything, or a server's name. Made when first asked for. */
  view(name: string): View | undefined {
    let view = this.#views.get(name)
    if (!view && (name === WHOLE || this.#servers.has(name))) {
      view = this.#build(name)
      this.#views.set(name, view)
    }
    return view
  }

  snapshot(server: string): ServerSnapshot | undefined {
    return this.#snapshots.get(server)
  }

  /** Why the last attempt to list a server failed. */
  failure(server: string): GatewayError | undefined {
    return this.#failures.get(server)
  }

  /**
   * Waits until every server of the view has been listed or has failed to, at most as long as configured. Servers that were listed before are not
   * waited for and not started.
   */
  async complete(name: string, exchange?: Exchange): Promise<View | undefined> {
    const missing = this.view(name)?.missing ?? []
    const pending: Promise<void>[] = []
    for (const server of missing) {
      const refresh = this.refresh(server, exchange)
      // One that failed before is tried again, but nobody waits for it a second time.
      if (!this.#failures.has(server)) pending.push(refresh)
    }
    if (pending.length > 0) {
      let timer: NodeJS.Timeout | undefined
      const timeout = new Promise(resolve => {
        timer = setTimeout(resolve, this.#options.config.gateway.catalog.firstListTimeoutMs)
      })
      await Promise.race([Promise.all(pending), timeout])
      clearTimeout(timer)
    }
    return this.view(name)
  }

  /** Lists a server anew. Never rejects; a failure is kept and logged. Calls while one is running share it. */
  refresh(server: string, exchange?: Exchange, link?: ListableLink): Promise<void> {
    const running = this.#refreshing.get(server)
    if (running) return running
    const refresh = this.#refresh(server, exchange, link).finally(() => this.#refreshing.delete(server))
    this.#refreshing.set(server, refresh)
    return refresh
  }

  /** Lists a server anew soon; for notifications, which come in bursts. */
  refreshSoon(server: string, link?: ListableLink): void {
    if (this.#closed || this.#timers.has(server)) return
    const timer = setTimeout(() => {
      this.#timers.delete(server)
      // A refresh that began before the change may have missed it.
      void (this.#refreshing.get(server) ?? Promise.resolve()).then(() =>
        this.refresh(server, undefined, link),
      )
    }, DEBOUNCE_MS)
    timer.unref()
    this.#timers.set(server, timer)
  }

  /** Servers whose lists are older than configured. */
  stale(): string[] {
    const oldest = Date.now() - this.#options.config.gateway.catalog.refreshAfterMs
    return [...this.#snapshots.values()]
      .filter(snapshot => snapshot.fetchedAt < oldest)
      .map(snapshot => snapshot.server)
  }

  async close(): Promise<void> {
    this.#closed = true
    for (const timer of this.#timers.values()) clearTimeout(timer)
    this.#timers.clear()
    for (const { timer } of this.#retries.values()) clearTimeout(timer)
    this.#retries.clear()
    await Promise.all(this.#refreshing.values())
  }

  async #refresh(
    name: string,
    exchange: Exchange | undefined,
    over: ListableLink | undefined,
  ): Promise<void> {
    const server = this.#servers.get(name)
    if (!server || this.#closed) return
    const logger = this.#options.logger.child({ server: name })
    const previous = this.#snapshots.get(name)
    let snapshot: ServerSnapshot
    try {
      const link = over?.usable ? over : await this.#options.link(name, exchange)
      const lists = await fetchLists(
        link,
        server.listTimeoutMs,
        await hiddenBy(server),
        previous?.lists,
        logger,
      )
      const now = Date.now()
      snapshot = {
        server: name,
        fingerprint: server.fingerprint,
        fetchedAt: now,
        era: link.peer.era,
        eraAt: now,
        transport: link.transport.kind,
        protocolVersion: link.peer.protocolVersion,
        capabilities: link.peer.capabilities,
        instructions: link.peer.instructions,
        lists,
      }
    } catch (error) {
      if (this.#closed) return
      this.#failures.set(name, GatewayError.from(error, name))
      const known = previous ? 'its last known lists stay' : 'it has no lists yet'
      logger.warn(`The server could not be listed; ${known}.`, { cause: describeError(error) })
      if (!previous) this.#retryLater(name)
      return
    }
    this.#failures.delete(name)
    clearTimeout(this.#retries.get(name)?.timer)
    this.#retries.delete(name)
    if (this.#closed) return
    this.#snapshots.set(name, snapshot)
    if (!previous || !sameLists(previous, snapshot)) this.#rebuild()
    try {
      await this.#options.store.set(storeKey(name), toStored(snapshot))
    } catch (error) {
      logger.warn('The lists could not be stored; the next start has to fetch them again.', {
        cause: describeError(error),
      })
    }
  }

  /** Clients list once and wait to hear of changes: what was down then would stay unknown to them when it is up again. */
  #retryLater(name: string): void {
    const previous = this.#retries.get(name)
    clearTimeout(previous?.timer)
    const attempts = (previous?.attempts ?? 0) + 1
    const delay = Math.min(LAST_RETRY_MS, FIRST_RETRY_MS * 2 ** (attempts - 1))
    const timer = setTimeout(() => void this.refresh(name), delay)
    timer.unref()
    this.#retries.set(name, { attempts, timer })
  }

  /** Replaces every view in use; clients of those that look different now are told. */
  #rebuild(): void {
    const before = this.#views
    this.#views = new Map([...before.keys()].map(name => [name, this.#build(name)]))
    for (const [name, old] of before) {
      const view = this.#views.get(name)
      const kinds = view ? changedKinds(old, view) : []
      if (view && kinds.length > 0) this.#options.onChange(view, kinds)
    }
  }

  #build(name: string): View {
    const { config, serverInfo, logger } = this.#options
    const { maxNameLength, pageSize } = config.gateway.catalog
    const members: ViewMember[] = []
    for (const server of config.servers) {
      if (name !== WHOLE && name !== server.name) continue
      // Alone at its endpoint, a server keeps the names it uses itself.
      members.push({
        server,
        prefix: name === WHOLE ? server.prefix : false,
        snapshot: this.#snapshots.get(server.name),
      })
    }
    return new View({ name, members, maxNameLength, pageSize, serverInfo, logger })
  }
}

/** Whether a tool is hidden; the first setting that matches it decides. */
async function hiddenBy(server: ServerConfig): Promise<(tool: string) => boolean> {
  if (server.tools.length === 0) return () => false
  const { default: picomatch } = await import('picomatch')
  const rules = server.tools.map(tool => ({ matches: picomatch(tool.glob), hidden: tool.hidden }))
  return name => rules.find(rule => rule.matches(name))?.hidden ?? false
}
