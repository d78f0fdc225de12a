import type { StdioEndpoint } from '../../../config/replica-types.ts'
import type { Logger } from '../../../core/logger.ts'
import type { MemoryWatch } from './memory-watch.ts'
import type { OrphanReaper } from './orphan-reaper.ts'
import type { PrintedByOne } from './printed.ts'

export interface StdioTransportOptions {
  /** Configured name, for messages. */
  readonly server: string
  readonly endpoint: StdioEndpoint
  /**
   * Largest message of the server. A longer line is skipped without being held. If its two ends identify it as the
   * response to a request, that request fails with `too_large`; otherwise the request ends with its deadline.
   */
  readonly maxMessageBytes: number
  readonly logger: Logger
  /** Logs the output of the program. Default: as for a first process. */
  readonly printed?: PrintedByOne | undefined
  /**
   * The current memory limit of the program and its children, which a reload may change. Half as much again ends them.
   * `undefined`: no limit.
   */
  readonly memoryBytes?: (() => number) | undefined
  /** Default: the one of this process. */
  readonly memory?: MemoryWatch
  /** Ends the server's processes if this process is killed. Default: the one of this process. */
  readonly reaper?: OrphanReaper
  /** Default 2000. */
  readonly exitGraceMs?: number
}
