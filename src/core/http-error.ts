import type { ErrorCode } from './errors.ts'

/** A refusal with its own HTTP status, before a request is examined. `message` is safe to show. */
export class HttpError extends Error {
  readonly status: number
  readonly headers: Readonly<Record<string, string>>
  /** The code of the JSON-RPC error in the body; without it, the body is a plain error. */
  readonly code: ErrorCode | undefined

  constructor(
    status: number,
    message: string,
    headers: Readonly<Record<string, string>> = {},
    code?: ErrorCode,
  ) {
    super(message)
    this.name = 'HttpError'
    this.status = status
    this.headers = headers
    this.code = code
  }
}
