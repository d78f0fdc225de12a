/**
 * An error that has already been logged, such as an unavailable store. Errors that follow from it are logged at
 * `debug`.
 */
export class AlreadySaid extends Error {}

/** Log level of a record about a consequence of `error`. */
export function levelAfter(error: unknown): 'warn' | 'debug' {
  return error instanceof AlreadySaid ? 'debug' : 'warn'
}
