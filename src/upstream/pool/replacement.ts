import type { ServerConfig } from '../../config/types.ts'
import { describeError, GatewayError } from '../../core/errors.ts'
import type { Logger } from '../../core/logger.ts'
import type { Connected } from '../link/connect.ts'
import { RestartBackoff } from '../balance/restart-backoff.ts'
import type { Link } from '../link/link.ts'
import { readableBytes } from '../transport/stdio/memory-watch.ts'

export interface ProcessReplacementOptions {
  readonly server: ServerConfig
  readonly logger: Logger
  readonly open: () => Promise<Connected>
  /** Replaces `before` by a new link. `false`: there is no room for it any more. */
  readonly take: (opened: Connected, before: Link) => boolean
}

/** Replaces a process that uses too much memory with a new one, without interruption. */
export class ProcessReplacement {
  readonly #options: ProcessReplacementOptions
  /** Detects a process that exceeds the limit as soon as it runs: further replacements would not help. */
  readonly #loop: RestartBackoff
  #running: Promise<void> | undefined
  #notBefore = 0
  /** The last link above the limit, and how long it had been open when that was first noticed. */
  #above: { readonly link: Link; readonly openMs: number } | undefined

  constructor(options: ProcessReplacementOptions) {
    this.#options = options
    this.#loop = new RestartBackoff(() => options.server.restartLimit)
  }

  /**
   * Whether a process with this memory use should be replaced now, which is logged. `openMs` is how long it has been
   * running.
   */
  due(link: Link, bytes: number, openMs: number, now: number): boolean {
    if (this.#above?.link !== link) this.#above = { link, openMs }
    if (this.#running || now < this.#notBefore) return false
    const { logger, server } = this.#options
    logger.warn('The server exceeds "memoryLimit"; its process is replaced.', {
      used: readableBytes(bytes),
      allowed: readableBytes(server.memoryLimitBytes),
    })
    this.#notBefore = now + this.#loop.ended(this.#above.openMs)
    return true
  }

  begin(before: Link, now: () => number): void {
    this.#running = this.#replace(before, now).finally(() => (this.#running = undefined))
  }

  /** Resolves when no replacement is being opened. */
  async settled(): Promise<void> {
    await this.#running
  }

  async #replace(before: Link, now: () => number): Promise<void> {
    let opened: Connected
    try {
      opened = await this.#options.open()
    } catch (error) {
      this.#notBefore = now() + this.#loop.startFailed()
      if (!(error instanceof GatewayError && error.code === 'shutting_down'))
        this.#options.logger.warn('The new process could not be started; the old one stays in use.', {
          cause: describeError(error),
        })
      return
    }
    if (!this.#options.take(opened, before)) await opened.link.close()
  }
}
