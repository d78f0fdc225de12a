import type { Subscriber } from '../core/subscriber.ts'
import { sharedNotification } from '../protocol/message.ts'

const UPDATED = 'notifications/resources/updated'

/** One update of a resource on its way to its subscribers. Subscribers with the same URI share one text. */
export class Updates {
  readonly #paramsOf: (uri: string) => string
  readonly #made = new Map<string, { readonly params: string; readonly message: string }>()

  /** `paramsOf` takes the URI as JSON. */
  constructor(paramsOf: (uri: string) => string) {
    this.#paramsOf = paramsOf
  }

  tell(subscriber: Subscriber, uri: string): void {
    let made = this.#made.get(uri)
    if (!made) {
      const params = this.#paramsOf(JSON.stringify(uri))
      this.#made.set(uri, (made = { params, message: sharedNotification(UPDATED, params) }))
    }
    subscriber.notify(UPDATED, made.params, made.message)
  }
}
