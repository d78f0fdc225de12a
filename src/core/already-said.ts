/** An error for which the log has a line already, such as that of a store which is away: what follows from it is no news. */
export class AlreadySaid extends Error {}

/** The level of a record about what follows from an error. */
export function levelAfter(error: unknown): 'warn' | 'debug' {
  return error instanceof AlreadySaid ? 'debug' : 'warn'
}
