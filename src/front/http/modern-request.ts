import type { Call } from '../call.ts'
import type { EndpointAccess } from './endpoint-access.ts'
import type { HttpReply } from './http-reply.ts'

/** A modern request in flight. */
export interface ModernRequestInFlight {
  readonly reply: HttpReply
  readonly access: EndpointAccess
  /** `undefined`: it opens a listen stream, which is ended by itself. */
  readonly call: Call | undefined
}
