import type { ServerConfig } from '../config/types.ts'
import { leftOut } from '../config/unusable-entry.ts'
import { describeError, GatewayError } from '../core/errors.ts'
import type { Exchange } from '../core/exchange.ts'
import { levelAfter } from '../core/already-said.ts'
import type { Logger } from '../core/logger.ts'
import { onceLogger } from '../core/once-logger.ts'
import { PacedStarts } from '../core/paced-starts.ts'
import { retryOnNewLink } from '../core/retry-on-new-link.ts'
import { runsTasks } from '../protocol/capabilities.ts'
import type { ClientKind } from '../protocol/client-kind.ts'
import type { Store } from '../state/store.ts'
import { AfterCalls } from './after-calls.ts'
import { listingErrorOf, attemptKey, kindOfClient, replaced, deleteAttemptsOf } from './attempt.ts'
import { Changes } from './changes.ts'
import { FailurePauses } from './failure-pauses.ts'
import { Failures } from './failures.ts'
import { FirstLists, type Try } from './first-lists.ts'
import { ListBudget } from './list-budget.ts'
import { differs, listOthers, listServer, variantOver, withoutRoots } from './list-server.ts'
import type { ListableLink, ShownTo } from './list-server.ts'
import { restoreLists } from './restore.ts'
import { Retries } from './retries.ts'
import { sameLists, type ServerSnapshot } from './snapshot.ts'
import { StoredSnapshots } from './stored-snapshots.ts'
import { Variants } from './variants.ts'
import type { Views } from './views.ts'

export interface ServerListsOptions {
  readonly servers: readonly ServerConfig[]
  /** How long list requests wait for a server that has never been listed. */
  readonly firstListTimeoutMs: number
  readonly store: Store
  readonly logger: Logger
  /** The views that clients see at the moment. */
  readonly views: () => Pick<Views, 'rebuild' | 'upToDate'>
  /** A link to the server, opened if there is none: the one that `exchange` will use, or any. */
  readonly link: (server: string, exchange: Exchange | undefined) => ListableLink | Promise<ListableLink>
  /** Time before which no link to the server can be opened, by `monotonicNow`. */
  readonly notBefore?: (server: string) => number | undefined
  /** Every open link to the server. */
  readonly links?: (server: string) => readonly ListableLink[]
  /** Whether a link leads to the server that has this name now, not to one that was replaced. Default: each does. */
  readonly isCurrent?: (server: string, link: ListableLink) => boolean
}

/** Delay that combines several `list_changed` notifications in a row. */
const DEBOUNCE_MS = 100

/**
 * The last lists of every server, and their renewal. They live as long as the gateway, across configurations. A server
 * that fails keeps its last lists.
 */
export class ServerLists {
  readonly #options: ServerListsOptions
  /** Logger for what every listing reports again. */
  readonly #logger: Logger
  readonly #servers = new Map<string, ServerConfig>()
  /** By name, for every server of the configuration. */
  readonly #variants = new Map<string, Variants>()
  readonly #budget = new ListBudget()
  readonly #failures: Failures
  readonly #refreshing = new Map<string, Promise<void>>()
  /** As `refresh`, but of many servers that are due at once, each turn of the event loop begins only some. */
  readonly refreshes = new PacedStarts<string>(server => void this.refresh(server))
  readonly #timers = new Map<string, NodeJS.Timeout>()
  /** Retries of servers that have never been listed. */
  readonly retries = new Retries(server => this.refreshes.add(server))
  /** Pauses between the tries for servers that keep failing. */
  readonly pauses = new FailurePauses()
  readonly #kept: StoredSnapshots
  readonly firstLists: FirstLists
  readonly changes = new Changes()
  /** Records calls, and lists for their clients what the calls may have changed. */
  readonly afterCalls: AfterCalls
  #closed = false

  constructor(options: ServerListsOptions) {
    this.#options = options
    this.#failures = new Failures(options.logger)
    this.#logger = onceLogger(options.logger)
    this.#kept = new StoredSnapshots(options.store)
    this.firstLists = new FirstLists({
      timeoutMs: options.firstListTimeoutMs,
      isListed: server => this.#variants.get(server)?.base !== undefined,
      kept: this.#kept,
      logger: options.logger,
    })
    this.afterCalls = new AfterCalls({
      snapshot: server => this.snapshot(server),
      list: (server, exchange) => this.#refreshAgain(server, exchange),
    })
    for (const server of options.servers) this.#add(server)
  }

  #add(server: ServerConfig): void {
    this.#servers.set(server.name, server)
    if (!this.#variants.has(server.name))
      this.#variants.set(server.name, new Variants(server.name, this.#budget))
    const { name, problem } = server
    if (problem !== undefined)
      this.#failures.set(name, new GatewayError('config', leftOut(name, problem), { server: name }))
  }

  /**
   * Continues with the servers of another configuration. A changed server keeps its lists until it has been listed
   * again. The lists of a removed server are dropped.
   * @returns the servers that are new
   */
  reconfigure(servers: readonly ServerConfig[], firstListTimeoutMs: number): readonly ServerConfig[] {
    this.firstLists.timeoutMs = firstListTimeoutMs
    const added = servers.filter(({ name }) => !this.#servers.has(name))
    const names = new Set(servers.map(({ name }) => name))
    const gone = new Set([...this.#servers.keys()].filter(name => !names.has(name)))
    for (const name of gone) {
      this.#servers.delete(name)
      this.#variants.delete(name)
      this.#budget.free(name)
      this.#failures.delete(name)
    }
    const restarted = new Set(gone)
    for (const server of servers) {
      const before = this.#servers.get(server.name)
      if (before?.problem !== undefined && server.problem === undefined) this.#failures.delete(server.name)
      if (before && before.fingerprint !== server.fingerprint) restarted.add(server.name)
      this.#add(server)
    }
    this.#restart(restarted)
    this.firstLists.endLeft(gone)
    return added
  }

  /** From now on these names stand for other servers: running listings and former lists do not count for them. */
  #restart(names: ReadonlySet<string>): void {
    for (const name of names) {
      this.retries.cancel(name)
      this.#failures.needLogin.delete(name)
      this.#kept.forget(name)
    }
    this.pauses.forget(names)
    this.firstLists.restart(names)
    deleteAttemptsOf(names, this.#refreshing)
  }

  /** Whether a listing concerns the server that has this name now. */
  #concerns({ name, fingerprint }: ServerConfig, variants: Variants): boolean {
    return (
      !this.#closed &&
      this.#variants.get(name) === variants &&
      this.#servers.get(name)?.fingerprint === fingerprint
    )
  }

  /** Restores the stored lists of servers. */
  async load(servers: readonly ServerConfig[] = [...this.#servers.values()]): Promise<void> {
    await restoreLists(servers, {
      kept: this.#kept,
      // As they are now: what is loaded concerns these servers.
      variants: new Map(this.#variants),
      concerns: (server, variants) => this.#concerns(server, variants),
      firstLists: this.firstLists,
      logger: this.#options.logger,
    })
  }

  /** The snapshot of a server for clients of a kind, or else for the least capable clients. */
  snapshot(server: string, kind?: ClientKind): ServerSnapshot | undefined {
    return this.#variants.get(server)?.seenBy(kind === undefined ? undefined : this.#kindAt(server, kind))
  }

  /** All snapshots of a server. */
  shown(server: string): readonly ServerSnapshot[] {
    return this.#variants.get(server)?.shown ?? []
  }

  /** When a server was last listed for the variant of a link, in Unix milliseconds. 0: never. */
  listedAt(link: ListableLink & { readonly server: ServerConfig }): number {
    const { variant } = variantOver(link.server, link, undefined)
    const variants = this.#variants.get(link.server.name)
    return (variants?.isKnown(variant) && variants.seenBy(variant)?.fetchedAt) || 0
  }

  /** Whether the lists of a server for clients of a kind are known. */
  isKnown(server: string, kind: ClientKind): boolean {
    return this.#variants.get(server)?.isKnown(this.#kindAt(server, kind)) !== false
  }

  #kindAt(server: string, kind: ClientKind): ClientKind {
    return withoutRoots(kind, this.#servers.get(server)?.roots)
  }

  /** Whether a server runs tools as tasks of revision 2025-11-25. */
  runsTasks(server: string): boolean {
    return [...(this.#variants.get(server)?.all ?? [])].some(
      ([, { era, capabilities }]) => era === 'legacy' && runsTasks(capabilities),
    )
  }

  /** Why the last attempt to list a server failed. */
  failure(server: string): GatewayError | undefined {
    return this.#failures.get(server)
  }

  /** Whether a server has never been listed because it needs a login. */
  needsLogin(server: string): boolean {
    return this.#failures.needLogin.has(server) && this.#variants.get(server)?.base === undefined
  }

  /** Whether a server has not been listed in full, or could not be the last time. */
  lacks(server: string): boolean {
    const base = this.#variants.get(server)?.base
    return base === undefined || base.incomplete !== undefined || this.#failures.has(server)
  }

  /** Whether a listing with this key of a try is running. */
  isRefreshing(key: string): boolean {
    return this.#refreshing.has(key)
  }

  /**
   * Lists a server again: for a client, or else over this link, or over any link. Never rejects: a failure is recorded
   * and logged. Equal calls share one listing.
   */
  refresh(server: string, exchange?: Exchange, link?: ListableLink): Promise<void> {
    const key = attemptKey(server, exchange, link)
    const running = this.#refreshing.get(key)
    if (running) return running
    const refresh = this.#refresh(server, exchange, link).finally(() => {
      if (this.#refreshing.get(key) === refresh) this.#refreshing.delete(key)
    })
    this.#refreshing.set(key, refresh)
    return refresh
  }

  /** As `refresh`, but never shares a running listing, which may have missed the change. */
  #refreshAgain(server: string, exchange?: Exchange, link?: ListableLink): Promise<void> {
    const running = this.#refreshing.get(attemptKey(server, exchange, link)) ?? Promise.resolve()
    return running.then(() => this.refresh(server, exchange, link))
  }

  /** Describes the try that a listing of a server would be. `undefined`: the server cannot be listed. */
  tryOf(name: string, key: string, exchange: Exchange | undefined): Try | undefined {
    const server = this.#servers.get(name)
    if (!server || server.problem !== undefined || this.#closed) return undefined
    const variants = this.#variants.get(name)
    const shown = exchange && variants?.hasShown(this.#kindAt(name, kindOfClient(exchange)))
    return { server, key, first: !variants?.base, shown: shown === true }
  }

  /** Lists a server again after a short delay. For notifications, which come in bursts. */
  refreshSoon(server: string, link?: ListableLink): void {
    const key = attemptKey(server, undefined, link)
    if (this.#closed || this.#timers.has(key)) return
    const isShown = this.changes.begin(server)
    const timer = setTimeout(() => {
      this.#timers.delete(key)
      void this.#refreshAgain(server, undefined, link).then(isShown)
    }, DEBOUNCE_MS)
    timer.unref()
    this.#timers.set(key, timer)
  }

  /** Servers whose lists are older than `maxAgeMs`. */
  stale(maxAgeMs: number): string[] {
    const now = Date.now()
    const oldest = now - maxAgeMs
    return [...this.#variants].flatMap(([server, { base }]) =>
      base && (base.fetchedAt < oldest || base.fetchedAt > now) ? server : [],
    )
  }

  async close(): Promise<void> {
    this.#closed = true
    this.changes.close()
    this.afterCalls.close()
    this.firstLists.close()
    for (const timer of this.#timers.values()) clearTimeout(timer)
    this.#timers.clear()
    this.retries.close()
    await Promise.all(this.#refreshing.values())
  }

  /** Every error in this method counts as a failure of that server. */
  async #refresh(
    name: string,
    exchange: Exchange | undefined,
    over: ListableLink | undefined,
  ): Promise<void> {
    const attempt = this.tryOf(name, attemptKey(name, exchange, over), exchange)
    if (!attempt) return
    const { server } = attempt
    this.firstLists.begin(attempt)
    const variants = this.#variants.get(name) as Variants
    const previous = variants.base
    try {
      const { link, ...shown } = await this.#fetch(server, exchange, over, variants)
      if (!this.#concerns(server, variants)) return
      const kind = exchange && this.#kindAt(name, kindOfClient(exchange))
      const before = variants.listed(shown.variant)
      const changed = variants.set(shown.variant, shown.told, shown.snapshot, kind)
      if (exchange ? before && !sameLists(before, shown.snapshot) : changed) {
        const others = this.#options.links?.(name) ?? []
        const links = [link, ...others.filter(other => this.#isCurrent(name, other))]
        await listOthers(server, variants, links, shown.variant, this.#logger.child({ server: name }))
      }
      const views = this.#options.views()
      await (changed ? views.rebuild() : views.upToDate)
      this.firstLists.end(attempt, true)
      this.pauses.listed(attempt.key)
      this.#failures.listed(name)
      this.retries.cancel(name)
      if (!this.#concerns(server, variants)) return
      await this.#keep(server, variants, changed)
    } catch (error) {
      if (!this.#concerns(server, variants)) return
      const known = previous ? 'its last known lists stay' : 'it has no lists yet'
      const neededLogin = this.needsLogin(name)
      this.#failures.failed(name, listingErrorOf(name, error), known)
      // Clients see the tool by which they log in. The views themselves try again what fails.
      if (this.needsLogin(name) !== neededLogin)
        await this.#options
          .views()
          .rebuild()
          .catch(() => undefined)
      if (!previous) this.retries.later(name, this.#options.notBefore?.(name))
      this.firstLists.end(attempt, false)
      this.pauses.failed(attempt.key)
    }
  }

  async #fetch(
    server: ServerConfig,
    exchange: Exchange | undefined,
    over: ListableLink | undefined,
    variants: Variants,
  ): Promise<ShownTo & { readonly link: ListableLink }> {
    const { name } = server
    const logger = this.#logger.child({ server: name })
    return await retryOnNewLink(async () => {
      const fits = over?.usable && this.#isCurrent(name, over) && !differs(over)
      const link = fits ? over : await this.#options.link(name, exchange)
      const { variant, told } = variantOver(server, link, exchange)
      const snapshot = await listServer(server, link, told, variants.seenBy(variant), logger)
      if (!this.#isCurrent(name, link)) throw replaced(name)
      return { link, variant, told, snapshot }
    })
  }

  #isCurrent(server: string, link: ListableLink): boolean {
    return this.#options.isCurrent?.(server, link) !== false
  }

  async #keep(server: ServerConfig, variants: Variants, changed: boolean): Promise<void> {
    try {
      await this.#kept.saveAll(server, variants, changed)
    } catch (error) {
      this.#options.logger[levelAfter(error)](
        'The lists could not be stored; the next start has to fetch them again.',
        { server: server.name, cause: describeError(error) },
      )
    }
  }
}
