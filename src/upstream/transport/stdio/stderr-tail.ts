/** Enough to hold the message above a stack trace. */
const KEPT_LINES = 30

const TELLING =
  /error|exception|fatal|panic|cannot|can't|unable|failed|not found|not in this registry|denied|refused|usage/i
/** npm begins each line alike, also those that say nothing of what was wrong. */
const NPM = /^npm (?:error|ERR!|warn|notice)\s*/
const NPM_TRAILER =
  /^(?:A complete log of this run|Lifecycle script|code |errno |syscall |path |command |signal |\/|$)/
/** Stack frames, and what Node prints around an error. */
const TRAILER =
  /^\s*(?:at .*|Node\.js v[\d.]+|(?:code|errno|syscall|path|spawnargs|requireStack|throw)\b.*|[{}[\]^~,;]*)$/

/** The cause of a failure that is known by what the program said of it. The line may hold anything: it is for operators, redacted. */
export class SaidBeforeEnd extends Error {
  readonly line: string

  constructor(line: string, options?: ErrorOptions) {
    super(`its last words: ${line}`, options)
    this.name = 'SaidBeforeEnd'
    this.line = line
  }
}

/** Remembers what a program printed last, to tell why it died. */
export class StderrTail {
  readonly #lines: string[] = []

  add(line: string): void {
    this.#lines.push(line)
    if (this.#lines.length > KEPT_LINES) this.#lines.shift()
  }

  /** The line that says most: the last one that sounds like an error, else simply the last. */
  get telling(): string | undefined {
    const plain = this.#lines.filter(line => {
      const said = line.replace(NPM, '')
      return said === line ? !TRAILER.test(line) : !NPM_TRAILER.test(said)
    })
    return plain.findLast(line => TELLING.test(line.replace(NPM, ''))) ?? plain.at(-1) ?? this.#lines.at(-1)
  }
}
