import type { Config, ServerConfig } from '../config/types.ts'
import { onAnotherLink } from '../core/another-link.ts'
import { monotonicNow } from '../core/clock.ts'
import { describeError, GatewayError } from '../core/errors.ts'
import type { Exchange } from '../core/exchange.ts'
import type { Logger } from '../core/logger.ts'
import type { Caching } from '../protocol/caching.ts'
import { runsTasks } from '../protocol/features.ts'
import type { Spoken } from '../protocol/spoken.ts'
import type { Store } from '../state/store.ts'
import { freshUntil, sameCaching } from './freshness.ts'
import { fetchLists, type Lister } from './ingest.ts'
import { KeptSnapshots, type KeptOf } from './kept.ts'
import { sameLists, spokenBy, type ServerSnapshot } from './snapshot.ts'
import type { View } from './view.ts'
import { Views, type ViewsOptions } from './views.ts'

/** A link as far as the catalog needs it. */
export interface ListableLink extends Lister {
  readonly peer: Lister['peer'] & {
    readonly protocolVersion: string
    readonly instructions: string | undefined
    /** Of what was discovered. */
    readonly caching?: Caching | undefined
  }
  readonly transport: { readonly kind: string }
  readonly replica?: { readonly spoken: Spoken }
  /** Whether requests can be sent. */
  readonly usable: boolean
}

export interface CatalogOptions extends Pick<ViewsOptions, 'policy' | 'watched' | 'onChange'> {
  readonly config: Config
  readonly store: Store
  readonly logger: Logger
  /** Raw JSON of the gateway's `serverInfo`. */
  readonly serverInfo: string
  /** A link to the server, started when there is none: best the one that `exchange` will use. */
  readonly link: (server: string, exchange: Exchange | undefined) => ListableLink | Promise<ListableLink>
}

/** Several `list_changed` in a row are one change. */
const DEBOUNCE_MS = 100

/** When a server that has never been listed is tried again, at first and at last. */
const FIRST_RETRY_MS = 1000
const LAST_RETRY_MS = 5 * 60_000

/** A list whose time to live is shorter is fetched no more often; one of a server that fails, even less. */
const RENEW_EVERY_MS = 5000
const RENEW_FAILED_EVERY_MS = 60_000

/** Unchanged lists are written to the store no more often. */
const KEEP_EVERY_MS = 10 * 60_000

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
  /** When lists were last renewed because their time to live was over. */
  readonly #renewed = new Map<string, number>()
  readonly #kept: KeptSnapshots
  readonly #keptAt = new Map<string, number>()
  readonly #views: Views
  #closed = false

  constructor(options: CatalogOptions) {
    this.#options = options
    for (const server of options.config.servers) {
      this.#servers.set(server.name, server)
      if (server.problem !== undefined)
        this.#failures.set(server.name, new GatewayError('config', server.problem, { server: server.name }))
    }
    this.#kept = new KeptSnapshots(options.store)
    this.#views = new Views({ ...options, snapshot: server => this.#snapshots.get(server) })
  }

  /** Reads what earlier runs have stored. */
  async load(): Promise<void> {
    const servers = this.#options.config.servers
    const kept = await this.#loadKept(servers.map(server => ({ server, variant: '' })))
    servers.forEach((server, index) => {
      const snapshot = kept[index]
      if (snapshot) this.#snapshots.set(server.name, snapshot)
    })
    this.#views.rebuild()
  }

  /** A store that cannot be reached is no reason not to start: everything is then listed anew. */
  async #loadKept(of: readonly KeptOf[]): Promise<readonly (ServerSnapshot | undefined)[]> {
    try {
      return await this.#kept.load(of)
    } catch (error) {
      this.#options.logger.warn('The lists of earlier runs could not be read; every server is listed anew.', {
        cause: describeError(error),
      })
      return []
    }
  }

  /** What callers see of the endpoints. */
  get views(): Views {
    return this.#views
  }

  /** A view by its name. */
  view(name: string): View | undefined {
    return this.#views.view(name)
  }

  snapshot(server: string): ServerSnapshot | undefined {
    return this.#snapshots.get(server)
  }

  /** Whether a server runs tools as tasks of revision 2025-11-25. */
  runsTasks(server: string): boolean {
    return runsTasks(this.#snapshots.get(server)?.capabilities)
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

  /** Somebody asks for lists of a view: those that their servers take for old are fetched anew, in the background. */
  renew(view: View): void {
    const now = Date.now()
    for (const server of view.servers) {
      const snapshot = this.#snapshots.get(server)
      // Lists from the future are of an unknown age: the clock was set back.
      if (!snapshot || (snapshot.fetchedAt <= now && freshUntil(snapshot) > now)) continue
      const pauseMs = this.#failures.has(server) ? RENEW_FAILED_EVERY_MS : RENEW_EVERY_MS
      const steady = monotonicNow()
      if (steady - (this.#renewed.get(server) ?? 0) < pauseMs) continue
      this.#renewed.set(server, steady)
      void this.refresh(server)
    }
  }

  /** Servers whose lists are older than configured. */
  stale(): string[] {
    const now = Date.now()
    const oldest = now - this.#options.config.gateway.catalog.refreshAfterMs
    return [...this.#snapshots.values()]
      .filter(({ fetchedAt }) => fetchedAt < oldest || fetchedAt > now)
      .map(snapshot => snapshot.server)
  }

  async close(): Promise<void> {
    this.#closed = true
    this.#views.close()
    for (const timer of this.#timers.values()) clearTimeout(timer)
    this.#timers.clear()
    for (const { timer } of this.#retries.values()) clearTimeout(timer)
    this.#retries.clear()
    await Promise.all(this.#refreshing.values())
  }

  /** Whatever fails in here is that server's failure. */
  async #refresh(
    name: string,
    exchange: Exchange | undefined,
    over: ListableLink | undefined,
  ): Promise<void> {
    const server = this.#servers.get(name)
    if (!server || server.problem !== undefined || this.#closed) return
    const previous = this.#snapshots.get(name)
    try {
      const snapshot = await this.#fetch(server, exchange, over, previous)
      if (this.#closed) return
      this.#take(name, snapshot, previous)
      this.#failures.delete(name)
      clearTimeout(this.#retries.get(name)?.timer)
      this.#retries.delete(name)
      await this.#keep(server, snapshot, previous)
    } catch (error) {
      if (this.#closed) return
      this.#failures.set(name, failureOf(name, error))
      const known = previous ? 'its last known lists stay' : 'it has no lists yet'
      this.#options.logger.warn(`The server could not be listed; ${known}.`, {
        server: name,
        cause: describeError(error),
      })
      if (!previous) this.#retryLater(name)
    }
  }

  async #fetch(
    server: ServerConfig,
    exchange: Exchange | undefined,
    over: ListableLink | undefined,
    previous: ServerSnapshot | undefined,
  ): Promise<ServerSnapshot> {
    const { name } = server
    const logger = this.#options.logger.child({ server: name })
    const { link, known } = await onAnotherLink(async () => {
      const link = over?.usable ? over : await this.#options.link(name, exchange)
      return { link, known: await fetchLists(link, server.listTimeoutMs, previous, logger) }
    })
    const now = Date.now()
    const { era, protocolVersion, capabilities, instructions, caching } = link.peer
    return {
      server: name,
      fetchedAt: now,
      era,
      spoken: link.replica?.spoken ?? spokenBy(era),
      eraAt: now,
      transport: link.transport.kind,
      protocolVersion,
      capabilities,
      instructions,
      lists: known.lists,
      caching: caching ? { ...known.caching, discover: caching } : known.caching,
    }
  }

  /** Puts a snapshot in place of the previous one. Views that cannot be made of it are made of the previous one again. */
  #take(name: string, snapshot: ServerSnapshot, previous: ServerSnapshot | undefined): void {
    this.#snapshots.set(name, snapshot)
    if (previous && sameLists(previous, snapshot) && sameCaching(previous, snapshot)) return
    try {
      this.#views.rebuild()
    } catch (error) {
      if (previous) this.#snapshots.set(name, previous)
      else this.#snapshots.delete(name)
      this.#views.rebuild()
      throw error
    }
  }

  /** Lists that change at short intervals are not written each time they are found unchanged. */
  async #keep(
    server: ServerConfig,
    snapshot: ServerSnapshot,
    previous: ServerSnapshot | undefined,
  ): Promise<void> {
    const { name } = server
    const age = snapshot.fetchedAt - (this.#keptAt.get(name) ?? 0)
    if (age < KEEP_EVERY_MS && previous && sameLists(previous, snapshot) && sameCaching(previous, snapshot))
      return
    try {
      await this.#kept.save({ server, variant: '' }, snapshot)
      this.#keptAt.set(name, snapshot.fetchedAt)
    } catch (error) {
      this.#options.logger.warn('The lists could not be stored; the next start has to fetch them again.', {
        server: name,
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
}

/** Why a server could not be listed, for people. */
function failureOf(server: string, error: unknown): GatewayError {
  if (error instanceof GatewayError) return error
  const cause = describeError(error).slice(0, 300)
  return new GatewayError('upstream_protocol', `Server "${server}" could not be listed: ${cause}`, {
    server,
    cause: error,
  })
}
