/** An error whose message is all that is to say of it: no page explains it. */
export class ToldError extends Error {
  readonly exitCode: number = 1
}
