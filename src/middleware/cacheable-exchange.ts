import type { CacheLookup } from '../cache/cache.ts'
import { GatewayError } from '../core/errors.ts'
import { Cancellation } from '../core/cancellation.ts'
import { CallRecord, type CallRequest, type Exchange, type InputRequest } from '../core/exchange.ts'
import { Delegate } from '../core/derived-exchange.ts'

/** A call whose answer may be kept, and given to others who ask the same. */
export class CacheableExchange extends Delegate {
  readonly wanted: CacheLookup

  constructor(inner: Exchange, wanted: CacheLookup) {
    super(inner)
    this.wanted = wanted
  }

  /** Whatever comes of it is no answer to the same question of another. */
  override ask(request: InputRequest): Promise<string> {
    this.record.asked = true
    return super.ask(request)
  }
}

/**
 * Fetches anew what a client has been given already: nobody waits for it, hears of its progress, or can be asked. It is made in the name of that client, which pays
 * for it. Never a modern client's, whose questions would wait for it to come back.
 */
export class Revalidation extends CacheableExchange {
  override readonly modern = false
  readonly #cancellation = new Cancellation()
  readonly #record = new CallRecord()

  override get request(): CallRequest {
    return { ...this.inner.request, progressToken: undefined }
  }

  override get cancellation(): Cancellation {
    return this.#cancellation
  }

  override get record(): CallRecord {
    return this.#record
  }

  override get canBeAsked(): Exchange['canBeAsked'] {
    return 'never'
  }

  override notify(): void {
    // Nobody has asked for it.
  }

  override ask(): Promise<string> {
    this.#record.asked = true
    return Promise.reject(
      new GatewayError('cannot_ask', 'The call renews what is kept; there is nobody to ask.'),
    )
  }
}
