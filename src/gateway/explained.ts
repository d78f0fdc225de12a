import { causesOf } from '../core/errors.ts'
import { UNSEEN } from '../core/seen-text.ts'
import { redact } from '../observe/redact.ts'
import { SaidBeforeEnd } from '../upstream/transport/stdio/stderr-tail.ts'

/** Characters of what a program said. */
const MAX_SAID = 300

/** A failure and what the program said of it: one line, without known secrets. Only for the user that runs it. */
export function explained(error: Error): string {
  return withSaid(error.message, saidOf(error))
}

/** What a failed program said of its failure; `undefined` when that is not known. */
export function saidOf(error: Error): string | undefined {
  for (const cause of causesOf(error)) if (cause instanceof SaidBeforeEnd) return quoted(cause.line)
  return undefined
}

/** A failure with what `saidOf` found. */
export function withSaid(message: string, said: string | undefined): string {
  return said === undefined ? message : `${message} It said: ${said}`
}

/** What a program said, for people. */
export function quoted(line: string): string {
  return redact(line).slice(0, MAX_SAID).replace(UNSEEN, ' ')
}
