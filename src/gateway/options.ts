import type { Logger } from '../core/logger.ts'
import type { Store } from '../state/store.ts'

export interface RunningGatewayOptions {
  readonly logger: Logger
  /** Not closed with the gateway. */
  readonly store: Store
}

/** The client that stdio is served for. */
export interface StdioClient {
  /** Name of a profile or a server; everything when left out. */
  readonly endpoint?: string | undefined
  /** Name of the configured client that is served; the local user when left out. */
  readonly client?: string | undefined
  /** Called when the client is served, before anything is read. */
  readonly onOpen?: () => void
}
