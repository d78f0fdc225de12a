/** Characters that wait for the answer to `initialize`. */
const MAX_CHARS = 1024 * 1024

/** What is to be said to a client before its `initialize` is answered. It waits, because some clients take the first message for that answer. */
export class Early {
  readonly #texts = new Set<string>()
  #chars = 0

  /** Takes a message; the same one waits once. `false`: there is no room for it. */
  add(text: string): boolean {
    if (this.#texts.has(text)) return true
    if (this.#chars + text.length > MAX_CHARS) return false
    this.#chars += text.length
    this.#texts.add(text)
    return true
  }

  /** In the order in which they came. */
  get texts(): Iterable<string> {
    return this.#texts
  }
}
