/** Messages for a client that does not read: for each topic the newest, in order of arrival. */
export class Latest {
  readonly #messages = new Map<string, string>()
  readonly #send: (text: string) => void

  constructor(send: (text: string) => void) {
    this.#send = send
  }

  put(topic: string, text: string): void {
    // Deleted first, so that the topic moves to the end of the order.
    this.#messages.delete(topic)
    this.#messages.set(topic, text)
  }

  /** Sends the kept messages. */
  flush(): void {
    if (this.#messages.size === 0) return
    const messages = [...this.#messages.values()]
    this.#messages.clear()
    for (const text of messages) this.#send(text)
  }
}
