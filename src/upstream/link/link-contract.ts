import type { GatewayError } from '../../core/errors.ts'
import type { Json, JsonObject, ServerOutcome } from '../../core/exchange.ts'
import type { Caching } from '../../protocol/caching.ts'
import type { ParamsChange } from '../../protocol/params.ts'

/** What a link learns when it shakes hands. */
export interface Peer {
  readonly era: 'legacy' | 'modern'
  readonly protocolVersion: string
  readonly capabilities: JsonObject
  readonly instructions: string | undefined
  /** Raw JSON. */
  readonly serverInfo: string
  /** How long this may be kept, where the server says it. */
  readonly caching?: Caching | undefined
}

/** Where a call goes and what changes in it. */
export interface LinkCall {
  readonly method: string
  readonly change: ParamsChange
  readonly headers?: Readonly<Record<string, string>> | undefined
  /** What is left of the time of a call that is being made once more; `undefined`: all of it. */
  readonly timeoutMs?: number | undefined
  /** Hears the answer at once, before anything that the server says after it. `id` is that of the request. */
  readonly onAnswer?: (outcome: ServerOutcome, id: number) => void
  /** Asked when the time has passed: whether the server is still at it, so that the call gets the same time once more. Never rejects. */
  readonly worthWaiting?: () => Promise<boolean>
}

/** Hears of a standing request. */
export interface StandListener {
  /** The server has begun to serve it; with the parameters of its acknowledgement. */
  acknowledged(params: Json | undefined): void
  /** The server has ended it; called once, and not after it was ended from this side. */
  ended(error: GatewayError | undefined): void
}
