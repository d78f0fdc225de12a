import type { Config } from '../config/types.ts'
import { monotonicNow } from '../core/clock.ts'
import type { GatewayError } from '../core/errors.ts'
import type { Exchange } from '../core/exchange.ts'
import type { Logger } from '../core/logger.ts'
import { within } from '../core/timeout.ts'
import { attemptKey } from './attempt.ts'
import { WAIT_MS } from './changes.ts'
import { firstOf } from './first-lists.ts'
import { freshUntil } from './freshness.ts'
import { whenIntroduced } from './introduced.ts'
import type { ServerLists } from './server-lists.ts'
import type { ServerSnapshot } from './snapshot.ts'
import type { View } from './view.ts'
import { kindIn } from './view-names.ts'
import { Views, type ViewsOptions } from './views.ts'

export interface CatalogOptions extends Pick<ViewsOptions, 'policy' | 'watched' | 'onChange'> {
  readonly config: Config
  readonly lists: ServerLists
  readonly logger: Logger
  /** Raw JSON of the gateway's `serverInfo`. */
  readonly serverInfo: string
}

/**
 * Minimum interval between two renewals of a list, whatever its time to live. A failing server is listed even less
 * often.
 */
const RENEW_EVERY_MS = 5000
const RENEW_FAILED_EVERY_MS = 60_000

/**
 * The merged catalogue of one configuration: the views made of the lists of its servers, and the renewal of lists that
 * a client's request needs.
 */
export class Catalog {
  readonly lists: ServerLists
  readonly views: Views
  /** Server → time at which its lists were last renewed because their time to live had passed. */
  readonly #renewed = new Map<string, number>()

  constructor(options: CatalogOptions) {
    this.lists = options.lists
    this.views = new Views({
      ...options,
      snapshot: (server, kind) => this.lists.snapshot(server, kind),
      variants: server => this.lists.shown(server),
      needsLogin: server => this.lists.needsLogin(server),
    })
  }

  /** A view by its name. */
  view(name: string): View | undefined {
    return this.views.view(name)
  }

  /** Whether clients of a view may use a tool of a server, as far as no arguments decide it. */
  permits(view: string, server: string, tool: string): boolean {
    return this.view(view)?.permits(server, tool) ?? false
  }

  /** The last snapshot of a server. */
  snapshot(server: string): ServerSnapshot | undefined {
    return this.lists.snapshot(server)
  }

  /** Why the last attempt to list a server failed. */
  failure(server: string): GatewayError | undefined {
    return this.lists.failure(server)
  }

  /** Servers of the view whose lists are not yet known for the clients of this view. */
  unlisted(view: View, name: string): readonly string[] {
    const kind = kindIn(name)
    if (kind === undefined) return view.missing
    return [...view.servers].filter(server => !this.lists.isKnown(server, kind))
  }

  /**
   * Waits until three things are done: changes that servers of the view have reported are shown, servers that this
   * client has just called are listed, and servers that have never been listed for a client of this kind have been
   * listed or have failed. All waits are bounded, and the last one ends once the view is enough. All waiting requests
   * share one wait for each try. A server that did not answer the last time is listed in the background.
   */
  async complete(
    name: string,
    exchange?: Exchange,
    isEnough: (view: View | undefined) => boolean = () => false,
  ): Promise<View | undefined> {
    let view = await this.views.made(name)
    const changed = view && this.lists.changes.shown(view.servers)
    const called = view && exchange && this.lists.afterCalls.listed(exchange, view.servers)
    const begun = monotonicNow()
    if (changed || called) {
      await Promise.all([changed, called])
      view = await this.views.made(name)
    }
    const waits = (view ? this.unlisted(view, name) : []).flatMap(server => {
      const key = attemptKey(server, exchange, undefined)
      const attempt = this.lists.tryOf(server, key, exchange)
      if (!this.lists.pauses.isPaused(key)) void this.lists.refresh(server, exchange)
      return (attempt && this.lists.isRefreshing(key) && this.lists.firstLists.wait(attempt)) || []
    })
    if (waits.length > 0 && !isEnough(view)) {
      const listed = firstOf(waits, async () => isEnough(await this.views.made(name)))
      // A client that has waited for a change waits no longer in total than for that change.
      await (changed || called ? within(listed, Math.max(0, begun + WAIT_MS - monotonicNow())) : listed)
    }
    return await this.views.made(name)
  }

  /**
   * Resolves when enough is known to answer a greeting, or when that takes too long. `undefined`: there is nothing to
   * wait for.
   */
  introduced(exchange: Exchange): Promise<unknown> | undefined {
    return whenIntroduced(this, exchange, server =>
      this.lists.firstLists.greetingMs(
        this.lists.tryOf(server, attemptKey(server, exchange, undefined), exchange),
      ),
    )
  }

  /**
   * Fetches stale lists again in the background when a client lists a view. Stale means that the time to live given by
   * the server has passed.
   */
  renew(view: View, name: string, exchange: Exchange): void {
    const now = Date.now()
    for (const server of view.servers) {
      const snapshot = this.lists.snapshot(server, kindIn(name))
      // A `fetchedAt` in the future means that the clock was set back, so the age of the list is unknown.
      if (!snapshot || (snapshot.fetchedAt <= now && freshUntil(snapshot) > now)) continue
      const pauseMs = this.lists.failure(server) ? RENEW_FAILED_EVERY_MS : RENEW_EVERY_MS
      const key = attemptKey(server, exchange, undefined)
      const steady = monotonicNow()
      if (steady - (this.#renewed.get(key) ?? 0) < pauseMs) continue
      this.#renewed.set(key, steady)
      void this.lists.refresh(server, exchange)
    }
  }

  /** Stops the replacement of its views. Requests that already use them are served until they end. */
  close(): void {
    this.views.close()
  }
}
