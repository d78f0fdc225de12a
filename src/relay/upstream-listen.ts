import { describeError } from '../core/errors.ts'
import type { JsonObject } from '../core/exchange.ts'
import type { Logger } from '../core/logger.ts'
import type { Link } from '../upstream/link.ts'

const FIRST_RETRY_MS = 500
const LAST_RETRY_MS = 30_000

/**
 * The standing `subscriptions/listen` of one modern link (specification 2026-07-28): changed lists always, resources as long as somebody wants them.
 * Opened anew when the server ends it; what may have been missed meanwhile is taken for changed.
 */
export class UpstreamListen {
  readonly #link: Link
  readonly #logger: Logger
  readonly #missed: () => void
  #uris: readonly string[] = []
  #stop: (() => void) | undefined
  #timer: NodeJS.Timeout | undefined
  #failures = 0
  #closed = false

  /** `missed` is called when changes may have gone unheard. */
  constructor(link: Link, logger: Logger, missed: () => void) {
    this.#link = link
    this.#logger = logger
    this.#missed = missed
  }

  /** Listens for these resources, and for changed lists. */
  listen(uris: readonly string[]): void {
    this.#uris = uris
    clearTimeout(this.#timer)
    this.#open()
  }

  close(): void {
    this.#closed = true
    clearTimeout(this.#timer)
    this.#stop?.()
    this.#stop = undefined
  }

  #open(): void {
    if (this.#closed || !this.#link.usable) return
    const filter = this.#filter()
    const before = this.#stop
    this.#stop = undefined
    if (Object.keys(filter).length > 0)
      this.#stop = this.#link.stand(
        'subscriptions/listen',
        JSON.stringify({ notifications: filter }),
        error => {
          this.#stop = undefined
          if (this.#closed || !this.#link.usable) return
          const delay = Math.min(LAST_RETRY_MS, FIRST_RETRY_MS * 2 ** this.#failures++)
          this.#logger.debug('The listen stream ended; it is opened again.', {
            delayMs: delay,
            cause: error && describeError(error),
          })
          this.#timer = setTimeout(() => {
            this.#missed()
            this.#open()
          }, delay)
          this.#timer.unref()
        },
      )
    // The new stream is on its way before the old one goes, so that nothing is missed in between.
    before?.()
  }

  /** The stream carries something, so it works. */
  heard(): void {
    this.#failures = 0
  }

  #filter(): JsonObject {
    const { tools, prompts, resources } = this.#link.peer.capabilities as Record<
      string,
      JsonObject | undefined
    >
    const filter: JsonObject = {}
    if (tools?.listChanged === true) filter.toolsListChanged = true
    if (prompts?.listChanged === true) filter.promptsListChanged = true
    if (resources?.listChanged === true) filter.resourcesListChanged = true
    if (this.#uris.length > 0) filter.resourceSubscriptions = this.#uris
    return filter
  }
}
