import { UNSEEN } from '../core/seen-text.ts'
import { redact } from '../observe/redact.ts'
import type { LogFields, Logger } from '../core/logger.ts'

/** Lines of each kind that are kept. */
const MOST = 200
const LONGEST = 300
/** Of the gateway, in place of lines that a program printed before. */
const SAME = /^It printed the same (?:line|\d+ lines) as before\.$/

/** A log that keeps what tells about one server, without known secrets. */
export class HeardLog implements Logger {
  /** Standard error of its program. */
  readonly said: string[] = []
  /** Lines of its standard output that are no messages. */
  readonly noise: string[] = []
  /** Warnings about its lists, with their fields. */
  readonly aboutLists: { readonly message: string; readonly fields: LogFields }[] = []

  error(message: string, fields: LogFields = {}): void {
    this.warn(message, fields)
  }

  warn(message: string, fields: LogFields = {}): void {
    if (typeof fields['line'] === 'string') keep(this.noise, fields['line'])
    else if (fields['list'] !== undefined && this.aboutLists.length < MOST)
      this.aboutLists.push({ message, fields })
  }

  info(message: string, fields: LogFields = {}): void {
    if (fields['source'] === 'stderr') keep(this.said, message)
  }

  debug(message: string, fields: LogFields = {}): void {
    this.info(message, fields)
  }

  child(): Logger {
    return this
  }

  /** The last lines of its standard error. */
  tail(count: number): readonly string[] {
    return this.said.slice(-count)
  }
}

function keep(lines: string[], line: string): void {
  const shown = redact(line).slice(0, LONGEST).replace(UNSEEN, ' ')
  // A program that fails is started once more, in the other era, and fails in the same way.
  if (lines.includes(shown) || SAME.test(shown)) return
  lines.push(shown)
  if (lines.length > MOST) lines.shift()
}
