import type { CacheLookup } from '../cache/cache.ts'
import { GatewayError } from '../core/errors.ts'
import { CallState } from '../core/call-state.ts'
import { CallTrace } from '../core/call-trace.ts'
import { Cancellation } from '../core/cancellation.ts'
import type { CallRequest, Exchange } from '../core/exchange.ts'
import { Delegate } from '../core/derived-exchange.ts'

/** A call whose answer may be cached, and shared with clients that send the same call. */
export class CacheableExchange extends Delegate {
  readonly lookup: CacheLookup

  constructor(inner: Exchange, wanted: CacheLookup) {
    super(inner)
    this.lookup = wanted
  }
}

/**
 * Fetches a served result again in the background: no client waits for it, gets its progress, or can be asked. It is
 * made in the name of the client that got the stale result, whose quotas it counts for. Never for a modern client,
 * because questions would wait for its retry.
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
    // No client has requested it.
  }

  override ask(): Promise<string> {
    return Promise.reject(
      new GatewayError(
        'cannot_ask',
        'The call refreshes a stored result; it has no client that could be asked.',
      ),
    )
  }
}
