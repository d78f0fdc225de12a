import type { ErrorCode } from './errors.ts'

/** A refusal with an HTTP status of its own, before a request is looked at. `message` is safe to show. */
export class HttpError extends Error {
  readonly status: number
  readonly headers: Readonly<Record<string, string>>
  /** What the JSON-RPC error in the body is made of; without it, a plain one. */
  readonly code: ErrorCode | undefined

  constructor(
    status: number,
    message: string,
    headers: Readonly<Record<string, string>> = {},
    code?: ErrorCode,
  ) {
    super(message)
    this.name = 'HttpRefusal'
    this.status = status
    this.headers = headers
    this.code = code
  }
}
