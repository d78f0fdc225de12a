import type { IncomingMessage, ServerResponse } from 'node:http'
import { SERVER_ERROR, SESSION_NOT_FOUND } from '../../core/rpc-codes.ts'
import { describeError, GatewayError, type ErrorCode } from '../../core/errors.ts'
import { HttpError } from '../../core/http-error.ts'
import type { Logger } from '../../core/logger.ts'
import { failureObject } from '../../protocol/failures.ts'
import { errorText } from '../../protocol/message.ts'
import { TooManyValues } from '../../protocol/values.ts'
import { json, jsonText } from '../responses.ts'

export interface RefusalsOptions {
  /**
   * Called for refused callers: with wrong or missing credentials (401), or with credentials that allow nothing (403).
   */
  readonly onRefused?: (status: number, reason: string, address: string | undefined) => void
  readonly logger: Logger
}

/** Answers HTTP requests that fail. */
export class Refusals {
  readonly #options: RefusalsOptions

  constructor(options: RefusalsOptions) {
    this.#options = options
  }

  /** Wrong credentials are logged. Missing credentials are not, because clients begin without them. */
  #log(request: IncomingMessage, { status, message, code }: HttpError): void {
    const { authorization } = request.headers
    const wrong = code === 'forbidden' || (code !== undefined && authorization !== undefined)
    const fields = { status, reason: message, from: request.socket.remoteAddress }
    this.#options.logger[wrong ? 'info' : 'debug']('A request was refused.', fields)
    if (code !== undefined) this.#options.onRefused?.(status, message, fields.from)
  }

  /** @param asPage answers a browser that has asked for a page */
  answer(
    request: IncomingMessage,
    response: ServerResponse,
    caught: unknown,
    asPage?: (error: HttpError) => void,
  ): void {
    if (response.headersSent || response.destroyed) {
      response.destroy()
      return
    }
    if (caught instanceof HttpError) {
      this.#log(request, caught)
      const { code: kind } = caught
      if (kind !== undefined) {
        const body = errorText('null', failureObject(new GatewayError(kind, caught.message)))
        return jsonText(response, caught.status, body, caught.headers)
      }
      // The rest of an unused body is read and dropped, so that the client gets the answer.
      if (caught.headers.connection === 'close') request.resume()
      if (asPage) return asPage(caught)
      const ofSession = caught.status === 404 && request.headers['mcp-session-id'] !== undefined
      const code = ofSession ? SESSION_NOT_FOUND : SERVER_ERROR
      json(
        response,
        caught.status,
        {
          jsonrpc: '2.0',
          id: null,
          error: { code, message: caught.message, data: { code: codeOf(caught.status, ofSession) } },
        },
        caught.headers,
      )
      return
    }
    const error =
      caught instanceof URIError
        ? new GatewayError('invalid_request', 'The path is not valid.')
        : GatewayError.from(caught)
    if (error.code === 'internal')
      this.#options.logger.error('A request failed.', { cause: describeError(caught) })
    const id = caught instanceof TooManyValues ? caught.id : undefined
    jsonText(response, error.kind.http, errorText(id ?? 'null', failureObject(error)))
  }
}

/** The code of a refusal that has none of its own. */
function codeOf(status: number, ofSession: boolean): ErrorCode {
  if (ofSession) return 'session_lost'
  if (status === 413) return 'too_large'
  if (status === 403) return 'forbidden'
  return status === 429 || status === 503 ? 'overloaded' : 'invalid_request'
}
