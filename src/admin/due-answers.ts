import type { IncomingMessage, ServerResponse } from 'node:http'
import { within } from '../core/timeout.ts'

/** Maximum wait for answers at the end of a gateway. */
const ANSWER_TIMEOUT_MS = 5000

/** The requests of a listener that are not answered yet. */
export class DueAnswers {
  readonly #due = new Map<IncomingMessage, Promise<void>>()

  add(request: IncomingMessage, response: ServerResponse): void {
    const sent = new Promise<void>(resolve => {
      response.once('close', () => {
        this.#due.delete(request)
        resolve()
      })
    })
    this.#due.set(request, sent)
  }

  /** Resolves when every request that has arrived as a whole is answered, at the latest after five seconds. */
  async sent(): Promise<void> {
    const whole = [...this.#due].filter(([{ complete }]) => complete)
    if (whole.length > 0) await within(Promise.all(whole.map(([, sent]) => sent)), ANSWER_TIMEOUT_MS)
  }
}
