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
   * Largest message of the server. A longer line is skipped without being held; when it is the response to a request, which its two ends tell,
   * that request fails with `too_large`, else it is left to its deadline.
   */
  readonly maxMessageBytes: number
  readonly logger: Logger
  /** Leads to the log what the program prints; default: as that of a first process. */
  readonly printed?: PrintedByOne | undefined
  /** What the program and its children may use; half as much again ends them. `undefined`: as much as there is. */
  readonly memoryBytes?: number | undefined
  /** Default: the one of this process. */
  readonly memory?: MemoryWatch
  /** Ends the server's processes should this one be killed; default: the one of this process. */
  readonly reaper?: OrphanReaper
  /** Default 2000. */
  readonly exitGraceMs?: number
}
