/** Messages for a client that does not read: of those with the same topic the newest, in the order in which the newest came. */
export class Latest {
  readonly #messages = new Map<string, string>()
  readonly #send: (text: string) => void

  constructor(send: (text: string) => void) {
    this.#send = send
  }

  put(topic: string, text: string): void {
    // Where it stands now, not where it stood first.
    this.#messages.delete(topic)
    this.#messages.set(topic, text)
  }

  /** Sends what is kept. */
  flush(): void {
    if (this.#messages.size === 0) return
    const messages = [...this.#messages.values()]
    this.#messages.clear()
    for (const text of messages) this.#send(text)
  }
}
