import type { Era } from '../../../protocol/revisions.ts'

/**
 * What transports of one kind can do. Everything outside a transport decides by these, and never by a kind. The contract suite
 * of transports holds each of them against what the transport does.
 */
export interface TransportTraits {
  /** `stream`: the response stream on which a message comes says which request it belongs to. `none`: nothing says so. */
  readonly attribution: 'stream' | 'none'
  /** One channel carries everything: messages arrive in the order in which they were sent. */
  readonly ordered: boolean
  /**
   * The server is a process that the gateway starts for each link. Such a process can crash, hang and outgrow its memory, costs
   * something while it waits, and can be replaced by another one.
   */
  readonly process: boolean
  /** Requests carry the headers of `Outgoing.headers`. */
  readonly headers: boolean
  /** The eras in which servers speak over it, the one that is probed first in front. */
  readonly eras: readonly Era[]
}
