import type { CacheLookup } from '../cache/cache.ts'
import { GatewayError } from '../core/errors.ts'
import { CallState } from '../core/call-state.ts'
import { CallTrace } from '../core/call-trace.ts'
import { Cancellation } from '../core/cancellation.ts'
import type { CallRequest, Exchange } from '../core/exchange.ts'
import { Delegate } from '../core/derived-exchange.ts'

/** A call whose answer may be kept, and given to others who ask the same. */
export class CacheableExchange extends Delegate {
  readonly wanted: CacheLookup

  constructor(inner: Exchange, wanted: CacheLookup) {
    super(inner)
    this.wanted = wanted
  }
}

/**
 * Fetches anew what a client has been given already: nobody waits for it, hears of its progress, or can be asked. It is made in the name of that client, which pays
 * for it. Never a modern client's, whose questions would wait for it to come back.
 */
export class Revalidation extends CacheableExchange {
  override readonly modern = false
  readonly #cancellation = new Cancellation()
  readonly #trace = new CallTrace()
  readonly #state = new CallState()

  override get request(): CallRequest {
    return { ...this.inner.request, progressToken: undefined }
  }

  override get cancellation(): Cancellation {
    return this.#cancellation
  }

  override get trace(): CallTrace {
    return this.#trace
  }

  override get state(): CallState {
    return this.#state
  }

  override get canBeAsked(): Exchange['canBeAsked'] {
    return 'never'
  }

  override notify(): void {
    // Nobody has asked for it.
  }

  override ask(): Promise<string> {
    return Promise.reject(
      new GatewayError('cannot_ask', 'The call renews what is kept; there is nobody to ask.'),
    )
  }
}
