import type { GatewayError } from '../../core/errors.ts'
import type { Json, JsonObject, ServerOutcome } from '../../core/exchange.ts'
import type { Caching } from '../../protocol/caching.ts'
import type { ParamsChange } from '../../protocol/params.ts'

/** Results of the handshake. */
export interface Peer {
  readonly era: 'legacy' | 'modern'
  readonly protocolVersion: string
  readonly capabilities: JsonObject
  readonly instructions: string | undefined
  /** Raw JSON. */
  readonly serverInfo: string
  /** Time to live and scope of these, where the server gives them. */
  readonly caching?: Caching | undefined
}

/** Parameters of a call on a link. */
export interface LinkCall {
  readonly method: string
  readonly change: ParamsChange
  readonly headers?: Readonly<Record<string, string>> | undefined
  /** Remaining time of a call that is retried. `undefined`: the full time. */
  readonly timeoutMs?: number | undefined
  /** Called with the answer synchronously, before any later message of the server. `id` is that of the request. */
  readonly onAnswer?: (outcome: ServerOutcome, id: number) => void
  /**
   * Called when the time is over: whether the server is still working, so that the call gets the same time again. Never
   * rejects.
   */
  readonly worthWaiting?: () => Promise<boolean>
}

/** Listener of a standing request. */
export interface StandListener {
  /** The server has acknowledged it, with these parameters. */
  acknowledged(params: Json | undefined): void
  /** The server has ended it. Called once, and not after it was ended by the gateway. */
  ended(error: GatewayError | undefined): void
}
