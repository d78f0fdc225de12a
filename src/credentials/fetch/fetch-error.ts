/** Why a document of an authorization server was not fetched. */
export type FetchFailure =
  /** The URL is refused before anything is sent. */
  | 'url'
  /** The host leads to an address that the server may not lead to. */
  | 'address'
  /** The answer is a redirect that is not followed. */
  | 'redirect'
  /** The time is over, or the answer is too large or of a form that is not read. */
  | 'timeout'
  | 'too_large'
  | 'form'
  /** No such name, no connection, no valid certificate, or the connection broke off. */
  | 'unreachable'

/**
 * A fetch that failed. `message` names the host, the cause and the fix, without paths, parameters, headers and content.
 * `cause` is for the log.
 */
export class FetchError extends Error {
  readonly failure: FetchFailure
  readonly host: string

  constructor(failure: FetchFailure, host: string, message: string, cause?: unknown) {
    super(message, cause === undefined ? undefined : { cause })
    this.name = 'FetchError'
    this.failure = failure
    this.host = host
  }
}
