import type { Cancellation } from '../../core/cancellation.ts'
import { GatewayError } from '../../core/errors.ts'
import type { Exchange } from '../../core/exchange.ts'

type Ask = (call: Exchange) => Promise<string>

/**
 * Requests of a server that arrived while there was no call whose client could be asked. They wait for the next call,
 * which is sent to the server after the answer: a server that requests roots when it is greeted needs them for the
 * first call.
 */
export class Unasked {
  readonly #waiting = new Set<(call: Exchange) => Promise<void>>()

  get any(): boolean {
    return this.#waiting.size > 0
  }

  /** Resolves with the result of `ask` once there is a call. @throws GatewayError `cancelled`, or the error of `ask` */
  wait(ask: Ask, cancellation: Cancellation): Promise<string> {
    return new Promise((resolve, reject) => {
      const put = (call: Exchange): Promise<void> => ask(call).then(resolve, reject)
      this.#waiting.add(put)
      cancellation.onCancel(() => {
        if (this.#waiting.delete(put)) reject(new GatewayError('cancelled', 'The question was withdrawn.'))
      })
    })
  }

  /** Puts all waiting requests to a call. Resolves when all of them are answered or refused. Never rejects. */
  async put(call: Exchange): Promise<void> {
    const waiting = [...this.#waiting]
    this.#waiting.clear()
    await Promise.all(waiting.map(put => put(call)))
  }
}
