import type { UrlEndpoint } from '../../../config/replica-types.ts'
import type { Logger } from '../../../core/logger.ts'
import type { UpstreamCredentials } from '../../../core/upstream-credentials.ts'
import type { Sockets } from './sockets.ts'

/** Options of a transport to a URL. */
export interface UrlTransportOptions {
  /** Configured name, for messages. */
  readonly server: string
  readonly endpoint: UrlEndpoint
  readonly maxMessageBytes: number
  readonly logger: Logger
  /** What is presented beside the configured headers. `undefined`: nothing. */
  readonly credentials?: UpstreamCredentials | undefined
  /** Default: the sockets of this process. */
  readonly sockets?: Sockets | undefined
}
