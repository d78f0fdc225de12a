import type { Era } from '../../../protocol/revisions.ts'

/**
 * Capabilities of a kind of transport. All code outside a transport decides by these, and never by the kind. The
 * contract suite of transports compares them with the behaviour of each transport.
 */
export interface TransportTraits {
  /**
   * `stream`: a message belongs to the request on whose response stream it arrives. `none`: nothing indicates the
   * request.
   */
  readonly attribution: 'stream' | 'none'
  /** Whether a single channel carries everything, so that messages arrive in the order in which they were sent. */
  readonly ordered: boolean
  /**
   * Whether the server is a process that the gateway starts for each link. Such a process can crash, hang and exceed
   * its memory limit, uses resources while idle, and can be replaced by another one.
   */
  readonly process: boolean
  /** Whether requests carry the headers of `Outgoing.headers`. */
  readonly headers: boolean
  /** The eras that servers support over it, the one to probe first in front. */
  readonly eras: readonly Era[]
}
