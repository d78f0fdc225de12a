import type { ListenConfig } from '../config/types.ts'
import { endpointOf } from '../core/endpoint.ts'
import { GatewayError } from '../core/errors.ts'
import type { Logger } from '../core/logger.ts'
import type { Principal } from '../core/principal.ts'
import type { ListKind } from '../core/route.ts'
import { Shares, type Holding } from '../core/shares.ts'
import type { Subscriber } from '../core/subscriber.ts'
import type { ClientStream, ClientStreams } from './client-streams.ts'

/** A listen stream that is open, or is about to be. It is also the subscriber for what its client listens to. */
export interface ListenStream extends Holding, Subscriber {
  /** Called when lists of its view have changed. */
  listsChanged(kinds: readonly ListKind[]): void
  /** Ends it with a result. */
  end(): void
  /** Set once the client has received the acknowledgement. */
  open?: ClientStream
}

/**
 * The listen streams of modern clients, over all fronts. Each holds a connection for as long as its client wants. When
 * there are too many, the oldest stream of the principal with the most is ended for a principal that has fewer.
 */
export class ListenStreams {
  limits: ListenConfig
  readonly #logger: Logger
  readonly #streams: ClientStreams
  readonly #open = new Set<ListenStream>()
  readonly #shares = new Shares()

  constructor(limits: ListenConfig, logger: Logger, streams: ClientStreams) {
    this.#streams = streams
    this.limits = limits
    this.#logger = logger
  }

  /**
   * @throws GatewayError `overloaded` when there is no room for another stream of the principal, and none can be made
   */
  checkRoom(principal: string): void {
    if (this.#open.size < this.limits.maxStreams) return
    this.#shares.opened(principal)
    const leaving = this.#leaving(principal)
    this.#shares.closed(principal)
    if (!leaving) throw this.#full()
  }

  /** The open streams. */
  get all(): Iterable<ListenStream> {
    return this.#open
  }

  has(stream: ListenStream): boolean {
    return this.#open.has(stream)
  }

  /** Counts a stream that is about to be admitted. */
  opened(stream: ListenStream): void {
    this.#open.add(stream)
    this.#shares.opened(stream.holder)
  }

  /** Makes the room that an admitted stream needs. @throws GatewayError `overloaded` */
  admitted({ holder }: ListenStream): void {
    if (this.#open.size <= this.limits.maxStreams) return
    const leaving = this.#leaving(holder)
    if (!leaving) throw this.#full()
    this.#logger.warn('A listen stream was ended to make room for one of another client.', {
      client: leaving.holder,
      streams: this.#shares.heldBy(leaving.holder),
    })
    leaving.end()
  }

  /** Records that the client has received the acknowledgement. */
  acknowledged(stream: ListenStream, principal: Principal, view: string): void {
    stream.open = { principal, endpoint: endpointOf(view), session: undefined, since: performance.now() }
    this.#streams.opened(stream.open)
  }

  closed(stream: ListenStream): void {
    if (!this.#open.delete(stream)) return
    this.#shares.closed(stream.holder)
    if (stream.open) this.#streams.closed(stream.open)
  }

  #leaving(principal: string): ListenStream | undefined {
    return this.#shares.toGiveWay(principal, this.#open)
  }

  #full(): GatewayError {
    return new GatewayError(
      'overloaded',
      `${this.#open.size} clients are listening already, which is the most there may be. Try again later, or raise "gateway.listen.maxStreams".`,
    )
  }
}
