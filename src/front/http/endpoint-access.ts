import type { Credential } from '../authenticator.ts'

/** An endpoint as accessible to one caller. */
export interface EndpointAccess {
  /** `''`: all servers. */
  readonly endpoint: string
  /** The view that the caller has of it. */
  readonly view: string
  readonly credential: Credential
  /** Epoch of the configuration that decided this. */
  readonly epoch: number
}
