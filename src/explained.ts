import { UNSEEN } from './core/seen-text.ts'
import { redact } from './observe/redact.ts'
import { SaidBeforeEnd } from './upstream/last-words.ts'

/** Characters of what a program said. */
const MAX_SAID = 300

/** A failure with what the program said of it: one line, without secrets. */
export function explained(error: Error): string {
  for (
    let cause: unknown = error, depth = 0;
    cause instanceof Error && depth < 5;
    cause = cause.cause, depth++
  )
    if (cause instanceof SaidBeforeEnd) return `${error.message} It said: ${quoted(cause.line)}`
  return error.message
}

/** What a program said, for people. */
export function quoted(line: string): string {
  return redact(line).slice(0, MAX_SAID).replace(UNSEEN, ' ')
}
