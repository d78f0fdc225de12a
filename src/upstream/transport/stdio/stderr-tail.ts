/** Enough for the message above a stack trace. */
const KEPT_LINES = 30

const TELLING =
  /error|exception|fatal|panic|cannot|can't|unable|failed|not found|not in this registry|denied|refused|usage/i
/** npm begins each line with the same prefix, even lines that do not describe the error. */
const NPM = /^npm (?:error|ERR!|warn|notice)\s*/
const NPM_TRAILER =
  /^(?:A complete log of this run|Lifecycle script|code |errno |syscall |path |command |signal |\/|$)/
/** Stack frames, and the lines that Node.js prints around an error. */
const TRAILER =
  /^\s*(?:at .*|Node\.js v[\d.]+|(?:code|errno|syscall|path|spawnargs|requireStack|throw)\b.*|[{}[\]^~,;]*)$/

/**
 * The cause of a failure, taken from the program's output. The line may contain anything: it is for operators, and
 * redacted.
 */
export class SaidBeforeEnd extends Error {
  readonly line: string

  constructor(line: string, options?: ErrorOptions) {
    super(`its last words: ${line}`, options)
    this.name = 'SaidBeforeEnd'
    this.line = line
  }
}

/** Keeps the last output of a program, to explain its end. */
export class StderrTail {
  readonly #lines: string[] = []

  add(line: string): void {
    this.#lines.push(line)
    if (this.#lines.length > KEPT_LINES) this.#lines.shift()
  }

  /** The most informative line: the last one that looks like an error, or else the last one. */
  get telling(): string | undefined {
    const plain = this.#lines.filter(line => {
      const said = line.replace(NPM, '')
      return said === line ? !TRAILER.test(line) : !NPM_TRAILER.test(said)
    })
    return plain.findLast(line => TELLING.test(line.replace(NPM, ''))) ?? plain.at(-1) ?? this.#lines.at(-1)
  }
}
