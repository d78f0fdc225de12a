import { Cancellation } from '../core/cancellation.ts'
import { GatewayError } from '../core/errors.ts'
import { errorText, resultText } from '../protocol/message.ts'

/** Questions of one server that may be open at once. */
export const MAX_QUESTIONS = 64

/** What a server has asked over one link and not been told yet. Ids are the server's own, as raw text. */
export class Questions {
  readonly #open = new Map<string, Cancellation>()

  get size(): number {
    return this.#open.size
  }

  /**
   * Has a question answered with the raw JSON that `find` resolves with.
   * @returns the response as a whole message; `undefined` when the question was withdrawn in the meantime. Never rejects
   */
  async answer(
    id: string,
    find: (cancellation: Cancellation) => Promise<string>,
    refused: (error: GatewayError) => void,
  ): Promise<string | undefined> {
    if (this.#open.size >= MAX_QUESTIONS || this.#open.has(id)) {
      const error = new GatewayError('cannot_ask', 'Too many questions are open, or two under one id.')
      refused(error)
      return refusal(id, error)
    }
    const cancellation = new Cancellation()
    this.#open.set(id, cancellation)
    try {
      const result = await find(cancellation)
      return cancellation.reason === undefined ? resultText(id, result) : undefined
    } catch (caught) {
      if (cancellation.reason !== undefined) return undefined
      const error = GatewayError.from(caught)
      refused(error)
      return refusal(id, error)
    } finally {
      this.#open.delete(id)
    }
  }

  withdraw(id: string): void {
    this.#open.get(id)?.cancel('the server withdrew the question')
  }

  close(): void {
    for (const cancellation of this.#open.values()) cancellation.cancel('the link was lost')
  }
}

function refusal(id: string, error: GatewayError): string {
  return errorText(id, JSON.stringify({ code: error.kind.rpc, message: error.message }))
}
