import { requestText } from '../../../protocol/message.ts'
import type { Outgoing } from './transport.ts'

/**
 * A request to a server. A request that may have to be sent again holds its parameters alone, which are parts of the
 * message of the client: a whole text beside them would be a second copy of a large message.
 */
export class OutgoingRequest implements Outgoing {
  readonly id: number
  readonly method: string
  readonly headers: Outgoing['headers']
  readonly #params: string | undefined

  /** `params`: raw JSON. */
  constructor(id: number, method: string, params: string | undefined, headers: Outgoing['headers']) {
    this.id = id
    this.method = method
    this.headers = headers
    this.#params = params
  }

  get text(): string {
    return requestText(this.id, this.method, this.#params)
  }
}
