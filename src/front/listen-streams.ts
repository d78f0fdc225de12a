import type { ListenConfig } from '../config/types.ts'
import { GatewayError } from '../core/errors.ts'

/** The listen streams of modern clients that are open, over all fronts. Each holds a connection for as long as its client wants. */
export class ListenStreams {
  readonly limits: ListenConfig
  #open = 0

  constructor(limits: ListenConfig) {
    this.limits = limits
  }

  /** @throws GatewayError `overloaded` when there is no room for another one */
  checkRoom(): void {
    if (this.#open < this.limits.maxStreams) return
    throw new GatewayError(
      'overloaded',
      `${this.#open} clients are listening already, which is the most there may be. Try again later, or raise "gateway.listen.maxStreams".`,
    )
  }

  opened(): void {
    this.#open++
  }

  closed(): void {
    this.#open--
  }
}
