import type { Config, ServerConfig } from '../config/types.ts'
import { retryOnNewLink } from '../core/retry-on-new-link.ts'
import { monotonicNow } from '../core/clock.ts'
import { describeError, GatewayError } from '../core/errors.ts'
import type { Exchange } from '../core/exchange.ts'
import { levelAfter } from '../core/already-said.ts'
import type { Logger } from '../core/logger.ts'
import { onceLogger } from '../core/once-logger.ts'
import { within } from '../core/within.ts'
import { runsTasks } from '../protocol/capabilities.ts'
import type { Store } from '../state/store.ts'
import type { ClientKind } from '../protocol/client-kind.ts'
import { AfterCalls } from './after-calls.ts'
import { failureOf, keyOf, kindOfClient } from './attempt.ts'
import { Changes, WAIT_MS } from './changes.ts'
import { FailurePauses } from './failure-pauses.ts'
import { Failures } from './failures.ts'
import { FirstLists, firstOf, type Try } from './first-lists.ts'
import { freshUntil } from './freshness.ts'
import { introduced } from './introduced.ts'
import { StoredSnapshots } from './stored-snapshots.ts'
import {
  listOthers,
  listServer,
  variantOver,
  withoutRoots,
  type ListableLink,
  type ShownTo,
} from './list-server.ts'
import { recall } from './restore.ts'
import { Retries } from './retries.ts'
import { sameLists, type ServerSnapshot } from './snapshot.ts'
import { ListBudget } from './list-budget.ts'
import { Variants } from './variants.ts'
import type { View } from './view.ts'
import { kindIn } from './view-names.ts'
import { Views, type ViewsOptions } from './views.ts'

export interface CatalogOptions extends Pick<ViewsOptions, 'policy' | 'watched' | 'onChange'> {
  readonly config: Config
  readonly store: Store
  readonly logger: Logger
  /** Raw JSON of the gateway's `serverInfo`. */
  readonly serverInfo: string
  /** A link to the server, started when there is none: the one that `exchange` will use, else any. */
  readonly link: (server: string, exchange: Exchange | undefined) => ListableLink | Promise<ListableLink>
  /** Until when links to the server cannot be started, by `monotonicNow`. */
  readonly notBefore?: (server: string) => number | undefined
  /** Every open link to the server. */
  readonly links?: (server: string) => readonly ListableLink[]
}

/** Several `list_changed` in a row are one change. */
const DEBOUNCE_MS = 100

/** A list whose time to live is shorter is fetched no more often; one of a server that fails, even less. */
const RENEW_EVERY_MS = 5000
const RENEW_FAILED_EVERY_MS = 60_000

/**
 * The merged catalogue: the last known lists of every server, the views made of them, and their renewal. A server that fails keeps what
 * was last known of it.
 */
export class Catalog {
  readonly #options: CatalogOptions
  /** For what every listing finds again. */
  readonly #logger: Logger
  readonly #servers = new Map<string, ServerConfig>()
  /** Of every server of the configuration. */
  readonly #variants = new Map<string, Variants>()
  readonly #failures: Failures
  readonly #refreshing = new Map<string, Promise<void>>()
  readonly #timers = new Map<string, NodeJS.Timeout>()
  /** When servers that have never been listed are tried again. */
  readonly retries = new Retries(server => void this.refresh(server))
  /** When lists were last renewed because their time to live was over. */
  readonly #renewed = new Map<string, number>()
  /** Servers that fail again and again are not tried with each list that is asked for. */
  readonly #pauses = new FailurePauses()
  readonly #kept: StoredSnapshots
  readonly #firstLists: FirstLists
  readonly #changes = new Changes()
  /** Hears of calls; what they may have changed is listed for their clients. */
  readonly afterCalls: AfterCalls
  readonly #views: Views
  #closed = false

  constructor(options: CatalogOptions) {
    this.#options = options
    const budget = new ListBudget()
    this.#failures = new Failures(options.logger)
    this.#logger = onceLogger(options.logger)
    for (const server of options.config.servers) {
      this.#servers.set(server.name, server)
      this.#variants.set(server.name, new Variants(server.name, budget))
      if (server.problem !== undefined)
        this.#failures.set(server.name, new GatewayError('config', server.problem, { server: server.name }))
    }
    this.#kept = new StoredSnapshots(options.store)
    this.#firstLists = new FirstLists({
      timeoutMs: options.config.gateway.catalog.firstListTimeoutMs,
      isListed: server => this.#variants.get(server)?.base !== undefined,
      kept: this.#kept,
      logger: options.logger,
    })
    this.afterCalls = new AfterCalls({
      snapshot: server => this.snapshot(server),
      list: (server, exchange) => this.#refreshAgain(server, exchange),
    })
    this.#views = new Views({
      ...options,
      snapshot: (server, kind) => this.snapshot(server, kind),
      variants: server => this.#variants.get(server)?.shown ?? [],
    })
  }

  /** Reads what earlier runs have stored. */
  async load(): Promise<void> {
    await recall(this.#options.config.servers, {
      kept: this.#kept,
      variants: this.#variants,
      firstLists: this.#firstLists,
      logger: this.#options.logger,
    })
    await this.#views.rebuild()
  }

  /** What callers see of the endpoints. */
  get views(): Views {
    return this.#views
  }

  /** A view by its name. */
  view(name: string): View | undefined {
    return this.#views.view(name)
  }

  /** What is known of a server: as it shows itself to clients of a kind, else as it does to the least capable. */
  snapshot(server: string, kind?: ClientKind): ServerSnapshot | undefined {
    return this.#variants.get(server)?.seenBy(kind === undefined ? undefined : this.#kindAt(server, kind))
  }

  /** When a server was last listed as it shows itself over a link, in Unix milliseconds; 0: never. */
  listedAt(link: ListableLink & { readonly server: ServerConfig }): number {
    const { variant } = variantOver(link.server, link, undefined)
    const variants = this.#variants.get(link.server.name)
    return (variants?.isKnown(variant) && variants.seenBy(variant)?.fetchedAt) || 0
  }

  /** Servers of which it is not known what those who have this view would be shown. */
  unlisted(view: View, name: string): readonly string[] {
    const kind = kindIn(name)
    if (kind === undefined) return view.missing
    return [...view.servers].filter(
      server => this.#variants.get(server)?.isKnown(this.#kindAt(server, kind)) === false,
    )
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

  /**
   * Waits until what servers of the view have told of is shown, until those that this client has just called are listed, and until those that have never been listed for a client of this kind have been or have failed to.
   * All are bounded, and the last ends once the view is enough. Every try is waited for once, together with all others who wait; a server that was silent the last time is listed behind.
   */
  async complete(
    name: string,
    exchange?: Exchange,
    isEnough: (view: View | undefined) => boolean = () => false,
  ): Promise<View | undefined> {
    let view = await this.#views.made(name)
    const changed = view && this.#changes.shown(view.servers)
    const called = view && exchange && this.afterCalls.listed(exchange, view.servers)
    const begun = monotonicNow()
    if (changed || called) {
      await Promise.all([changed, called])
      view = await this.#views.made(name)
    }
    const waits = (view ? this.unlisted(view, name) : []).flatMap(server => {
      const key = keyOf(server, exchange, undefined)
      const attempt = this.#tryOf(server, key, exchange)
      if (!this.#pauses.isPaused(key)) void this.refresh(server, exchange)
      return (attempt && this.#refreshing.has(key) && this.#firstLists.wait(attempt)) || []
    })
    if (waits.length > 0 && !isEnough(view)) {
      const listed = firstOf(waits, async () => isEnough(await this.#views.made(name)))
      // A client that has waited for a change waits no longer than for that in all.
      await (changed || called ? within(listed, Math.max(0, begun + WAIT_MS - monotonicNow())) : listed)
    }
    return await this.#views.made(name)
  }

  /** Until enough is known for a greeting, as far as it will be soon; `undefined`: nothing is to be waited for. */
  introduced(exchange: Exchange): Promise<unknown> | undefined {
    return introduced(this, exchange, server =>
      this.#firstLists.greetingMs(this.#tryOf(server, keyOf(server, exchange, undefined), exchange)),
    )
  }

  /** Lists a server anew: for a client, else as it shows itself over this link, or over any. Never rejects; a failure is kept and logged. Equal calls share it. */
  refresh(server: string, exchange?: Exchange, link?: ListableLink): Promise<void> {
    const key = keyOf(server, exchange, link)
    const running = this.#refreshing.get(key)
    if (running) return running
    const refresh = this.#refresh(server, exchange, link).finally(() => this.#refreshing.delete(key))
    this.#refreshing.set(key, refresh)
    return refresh
  }

  /** The same, and never by a listing that is running already, which may have missed what has changed. */
  #refreshAgain(server: string, exchange?: Exchange, link?: ListableLink): Promise<void> {
    const running = this.#refreshing.get(keyOf(server, exchange, link)) ?? Promise.resolve()
    return running.then(() => this.refresh(server, exchange, link))
  }

  #tryOf(name: string, key: string, exchange: Exchange | undefined): Try | undefined {
    const server = this.#servers.get(name)
    if (!server || server.problem !== undefined || this.#closed) return undefined
    const variants = this.#variants.get(name)
    const shown = exchange && variants?.hasShown(this.#kindAt(name, kindOfClient(exchange)))
    return { server, key, first: !variants?.base, shown: shown === true }
  }

  /** Lists a server anew soon; for notifications, which come in bursts. */
  refreshSoon(server: string, link?: ListableLink): void {
    const key = keyOf(server, undefined, link)
    if (this.#closed || this.#timers.has(key)) return
    const isShown = this.#changes.begin(server)
    const timer = setTimeout(() => {
      this.#timers.delete(key)
      void this.#refreshAgain(server, undefined, link).then(isShown)
    }, DEBOUNCE_MS)
    timer.unref()
    this.#timers.set(key, timer)
  }

  /** Somebody asks for lists of a view: those that their servers take for old are fetched anew, in the background. */
  renew(view: View, name: string, exchange: Exchange): void {
    const now = Date.now()
    for (const server of view.servers) {
      const snapshot = this.snapshot(server, kindIn(name))
      // Lists from the future are of an unknown age: the clock was set back.
      if (!snapshot || (snapshot.fetchedAt <= now && freshUntil(snapshot) > now)) continue
      const pauseMs = this.#failures.has(server) ? RENEW_FAILED_EVERY_MS : RENEW_EVERY_MS
      const key = keyOf(server, exchange, undefined)
      const steady = monotonicNow()
      if (steady - (this.#renewed.get(key) ?? 0) < pauseMs) continue
      this.#renewed.set(key, steady)
      void this.refresh(server, exchange)
    }
  }

  /** Servers whose lists are older than configured. */
  stale(): string[] {
    const now = Date.now()
    const oldest = now - this.#options.config.gateway.catalog.refreshAfterMs
    return [...this.#variants].flatMap(([server, { base }]) =>
      base && (base.fetchedAt < oldest || base.fetchedAt > now) ? server : [],
    )
  }

  async close(): Promise<void> {
    this.#closed = true
    this.#views.close()
    this.#changes.close()
    this.afterCalls.close()
    this.#firstLists.close()
    for (const timer of this.#timers.values()) clearTimeout(timer)
    this.#timers.clear()
    this.retries.close()
    await Promise.all(this.#refreshing.values())
  }

  /** Whatever fails in here is that server's failure. */
  async #refresh(
    name: string,
    exchange: Exchange | undefined,
    over: ListableLink | undefined,
  ): Promise<void> {
    const attempt = this.#tryOf(name, keyOf(name, exchange, over), exchange)
    if (!attempt) return
    const { server } = attempt
    this.#firstLists.begin(attempt)
    const variants = this.#variants.get(name) as Variants
    const previous = variants.base
    try {
      const { link, ...shown } = await this.#fetch(server, exchange, over, variants)
      if (this.#closed) return
      const kind = exchange && this.#kindAt(name, kindOfClient(exchange))
      const before = variants.listed(shown.variant)
      const changed = variants.set(shown.variant, shown.told, shown.snapshot, kind)
      if (exchange ? before && !sameLists(before, shown.snapshot) : changed) {
        const links = [link, ...(this.#options.links?.(name) ?? [])]
        await listOthers(server, variants, links, shown.variant, this.#logger.child({ server: name }))
      }
      await (changed ? this.#views.rebuild() : this.#views.upToDate)
      this.#firstLists.end(attempt, true)
      this.#pauses.listed(attempt.key)
      this.#failures.listed(name)
      this.retries.cancel(name)
      await this.#keep(server, variants, changed)
    } catch (error) {
      if (this.#closed) return
      const known = previous ? 'its last known lists stay' : 'it has no lists yet'
      this.#failures.failed(name, failureOf(name, error), known)
      if (!previous) this.retries.later(name, this.#options.notBefore?.(name))
      this.#firstLists.end(attempt, false)
      this.#pauses.failed(attempt.key)
    }
  }

  async #fetch(
    server: ServerConfig,
    exchange: Exchange | undefined,
    over: ListableLink | undefined,
    variants: Variants,
  ): Promise<ShownTo & { readonly link: ListableLink }> {
    const logger = this.#logger.child({ server: server.name })
    return await retryOnNewLink(async () => {
      const link = over?.usable ? over : await this.#options.link(server.name, exchange)
      const { variant, told } = variantOver(server, link, exchange)
      const snapshot = await listServer(server, link, told, variants.seenBy(variant), logger)
      return { link, variant, told, snapshot }
    })
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
