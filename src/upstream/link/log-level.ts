import { describeError } from '../../core/errors.ts'
import { MCP_LOG_LEVELS, type McpLogLevel } from '../../core/exchange.ts'
import type { Logger } from '../../core/logger.ts'

/** The link. */
interface Asks {
  readonly server: { readonly listTimeoutMs: number }
  readonly logger: Logger
  readonly usable: boolean
  request(method: string, params: string, timeoutMs: number): Promise<unknown>
}

/** Log level of a legacy server on one link: the most verbose level that any receiver wants. */
export class LinkLogLevel {
  readonly #link: Asks
  #level: McpLogLevel | undefined

  constructor(link: Asks) {
    this.#link = link
  }

  /** Makes the server log at least as verbosely as `level`. */
  want(level: McpLogLevel): void {
    if (this.#level !== undefined && MCP_LOG_LEVELS.indexOf(this.#level) <= MCP_LOG_LEVELS.indexOf(level))
      return
    this.#level = level
    const { server, logger } = this.#link
    this.#link
      .request('logging/setLevel', `{"level":"${level}"}`, server.listTimeoutMs)
      .catch((error: unknown) => {
        // The next request for a level sends it again. A new link gets the level when it is opened.
        if (this.#level === level) this.#level = undefined
        if (this.#link.usable)
          logger.warn('The server rejected the log level.', { level, cause: describeError(error) })
      })
  }
}
