import { monotonicNow } from '../../core/clock.ts'
import type { Deadline, Deadlines } from '../../core/deadlines.ts'
import { describeError, GatewayError } from '../../core/errors.ts'
import type { Logger } from '../../core/logger.ts'
import type { Link } from '../link/link.ts'

/** How long calls in flight on a replaced link may continue. */
const LONGEST_MS = 60_000
const LOOK_MS = 500

/** Links of one slot that get no new calls: some have calls in flight, some are being closed. */
export class RetiringLinks {
  readonly #deadlines: Deadlines
  readonly #logger: Logger
  readonly #onClose: (link: Link) => void
  readonly #links = new Set<Link>()
  /** The links that are being closed. */
  readonly #closing = new Set<Link>()

  /** `onClose` is called once for each link, when its closing begins. */
  constructor(deadlines: Deadlines, logger: Logger, onClose: (link: Link) => void) {
    this.#deadlines = deadlines
    this.#logger = logger
    this.#onClose = onClose
  }

  /**
   * Closes a link. A lost link is closed after its calls in flight have been answered, unless there is a reason to end
   * them.
   */
  leave(link: Link, reason?: GatewayError): void {
    this.#links.add(link)
    if (reason || link.usable || link.inFlight === 0) void this.#close(link, reason)
    else this.#watch(link, Infinity, () => void this.#close(link))
  }

  /** Lets a replaced link finish its calls in flight, for at most a minute. `ended` is called when it is closed. */
  retire(link: Link, ended: (reason: GatewayError) => void): void {
    this.#links.add(link)
    this.#watch(link, monotonicNow() + LONGEST_MS, () => {
      // A link that was lost in the meantime has already reported it.
      const { usable, server } = link
      const reason = replaced(server.name)
      void this.#close(link, reason)
      if (usable) ended(reason)
    })
  }

  /** Resolves when every link is closed. */
  async close(reason?: GatewayError): Promise<void> {
    await Promise.all([...this.#links].map(link => this.#close(link, reason)))
  }

  #watch(link: Link, until: number, end: () => void): void {
    this.#deadlines.set(new RetiringLink(link, this.#deadlines, until, end), LOOK_MS)
  }

  async #close(link: Link, reason?: GatewayError): Promise<void> {
    if (!this.#closing.has(link)) {
      this.#closing.add(link)
      this.#onClose(link)
    }
    try {
      await link.close(reason)
    } catch (error) {
      this.#logger.warn('The link did not close cleanly.', { cause: describeError(error) })
    }
    this.#links.delete(link)
    this.#closing.delete(link)
  }
}

/** Checks periodically whether calls are in flight on a link. */
class RetiringLink implements Deadline {
  heapIndex: number | undefined
  due: number | undefined
  readonly #link: Link
  readonly #deadlines: Deadlines
  readonly #until: number
  readonly #end: () => void

  constructor(link: Link, deadlines: Deadlines, until: number, end: () => void) {
    this.#link = link
    this.#deadlines = deadlines
    this.#until = until
    this.#end = end
  }

  expire(): void {
    const { inFlight, tasks, usable } = this.#link
    // A lost link cannot deliver the result of a task.
    const busy = inFlight > 0 || (usable && tasks.size > 0)
    if (busy && monotonicNow() < this.#until) this.#deadlines.set(this, LOOK_MS)
    else this.#end()
  }
}

function replaced(server: string): GatewayError {
  return new GatewayError(
    'upstream_closed',
    `Server "${server}" exceeded "memoryLimit", and its process was replaced; it was ended ${LONGEST_MS / 1000} s later, with this call. Try again, or raise "memoryLimit" of this server.`,
    { server, delivery: 'unknown' },
  )
}
