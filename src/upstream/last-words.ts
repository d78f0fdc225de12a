/** Enough to hold the message above a stack trace. */
const KEPT_LINES = 30

const TELLING = /error|exception|fatal|panic|cannot|can't|unable|failed|not found|denied|refused|usage/i
/** Stack frames, and what Node prints around an error. */
const TRAILER =
  /^\s*(?:at .*|Node\.js v[\d.]+|(?:code|errno|syscall|path|spawnargs|requireStack|throw)\b.*|[{}[\]^~,;]*)$/

/** Remembers what a program printed last, to tell why it died. */
export class LastWords {
  readonly #lines: string[] = []

  add(line: string): void {
    this.#lines.push(line)
    if (this.#lines.length > KEPT_LINES) this.#lines.shift()
  }

  /** The line that says most: the last one that sounds like an error, else simply the last. */
  get telling(): string | undefined {
    const plain = this.#lines.filter(line => !TRAILER.test(line))
    return plain.findLast(line => TELLING.test(line)) ?? plain.at(-1) ?? this.#lines.at(-1)
  }
}
