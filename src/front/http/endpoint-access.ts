import type { Credential } from '../authenticator.ts'

/**
 * An endpoint as accessible to one caller. A front decides it again before it opens a session or a stream, in the same
 * turn, when `epoch` is not that of the configuration in effect: a reload does not see what is not open yet.
 */
export interface EndpointAccess {
  /** `''`: all servers. */
  readonly endpoint: string
  /** The view that the caller has of it. */
  readonly view: string
  readonly credential: Credential
  /** Epoch of the configuration that decided this. */
  readonly epoch: number
}
