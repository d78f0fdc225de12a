/**
 * An error that has already been logged, such as an unavailable store. Errors that follow from it are logged at
 * `debug`.
 */
export class AlreadySaid extends Error {}

/** The level of a record about what follows from an error. */
export function levelAfter(error: unknown): 'warn' | 'debug' {
  return error instanceof AlreadySaid ? 'debug' : 'warn'
}
