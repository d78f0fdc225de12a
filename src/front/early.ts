/** Maximum characters that wait for the answer to `initialize`. */
const MAX_CHARS = 1024 * 1024

/**
 * Messages to a client before the answer to its `initialize`. They wait, because some clients take the first message
 * for that answer.
 */
export class Early {
  readonly #texts = new Set<string>()
  #chars = 0

  /** Adds a message, unless the same one waits already. `false`: there is no room for it. */
  add(text: string): boolean {
    if (this.#texts.has(text)) return true
    if (this.#chars + text.length > MAX_CHARS) return false
    this.#chars += text.length
    this.#texts.add(text)
    return true
  }

  /** The messages, in order of arrival. */
  get texts(): Iterable<string> {
    return this.#texts
  }
}
