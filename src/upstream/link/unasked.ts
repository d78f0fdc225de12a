import type { Cancellation } from '../../core/cancellation.ts'
import { GatewayError } from '../../core/errors.ts'
import type { Exchange } from '../../core/exchange.ts'

type Ask = (call: Exchange) => Promise<string>

/**
 * What a server asked its client while no call could be asked. It waits for the next call, which goes to the server once the answer is there: a server that asks for
 * roots when it is greeted needs them for the first call.
 */
export class Unasked {
  readonly #waiting = new Set<(call: Exchange) => Promise<void>>()

  get any(): boolean {
    return this.#waiting.size > 0
  }

  /** Resolves with what `ask` does once there is a call. @throws GatewayError `cancelled`, or what `ask` throws */
  wait(ask: Ask, cancellation: Cancellation): Promise<string> {
    return new Promise((resolve, reject) => {
      const put = (call: Exchange): Promise<void> => ask(call).then(resolve, reject)
      this.#waiting.add(put)
      cancellation.onCancel(() => {
        if (this.#waiting.delete(put)) reject(new GatewayError('cancelled', 'The question was withdrawn.'))
      })
    })
  }

  /** Puts everything to a call. Resolves when all of it is answered or refused; never rejects. */
  async put(call: Exchange): Promise<void> {
    const waiting = [...this.#waiting]
    this.#waiting.clear()
    await Promise.all(waiting.map(put => put(call)))
  }
}
