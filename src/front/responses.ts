import type { IncomingMessage, ServerResponse } from 'node:http'
import type { GatewayError } from '../core/errors.ts'
import { failureObject } from '../protocol/failures.ts'
import { errorText } from '../protocol/message.ts'

/** Complete answers that are no reply to a message. */

const NO_HEADERS: Readonly<Record<string, string>> = {}

/** Answers a notification or a response of the client. */
export function accepted(response: ServerResponse): void {
  response.writeHead(202, { 'content-length': 0 }).end()
}

export function json(
  response: ServerResponse,
  status: number,
  value: unknown,
  headers: Readonly<Record<string, string>> = NO_HEADERS,
): void {
  jsonText(response, status, JSON.stringify(value), headers)
}

export function jsonText(
  response: ServerResponse,
  status: number,
  text: string,
  headers: Readonly<Record<string, string>> = NO_HEADERS,
): void {
  response
    .writeHead(status, {
      ...headers,
      'content-type': 'application/json',
      'content-length': Buffer.byteLength(text),
    })
    .end(text)
}

/** Refuses a stream, whose error no response to a request could carry. */
export function refuseStream(response: ServerResponse, error: GatewayError): void {
  const seconds = Math.ceil((error.retryAfterMs ?? 1000) / 1000)
  jsonText(response, 429, errorText('null', failureObject(error)), { 'retry-after': String(seconds) })
}

/** Lets a page of an origin that has passed the guard read the answer. */
export function allowOrigin(request: IncomingMessage, response: ServerResponse): void {
  response.setHeader('access-control-allow-origin', request.headers.origin as string)
  response.setHeader('vary', 'origin')
  response.setHeader('access-control-expose-headers', 'mcp-session-id, www-authenticate')
}

export function preflight(response: ServerResponse): void {
  response.writeHead(204, {
    'access-control-allow-methods': 'GET, POST, DELETE',
    'access-control-allow-headers':
      'content-type, accept, authorization, last-event-id, mcp-session-id, mcp-protocol-version, mcp-method, mcp-name',
    'access-control-max-age': '600',
  })
  response.end()
}

/** Lets every page read the answer. Only for content that is the same for all callers. */
export function anyOrigin(response: ServerResponse): void {
  response.setHeader('access-control-allow-origin', '*')
}

/** Sends a document that every page may read, because it is the same for all callers. */
export function publicDocument(request: IncomingMessage, response: ServerResponse, text: string): void {
  anyOrigin(response)
  if (request.method === 'OPTIONS') {
    response
      .writeHead(204, {
        'access-control-allow-methods': 'GET',
        'access-control-allow-headers': 'mcp-protocol-version, accept, content-type',
        'access-control-max-age': '600',
      })
      .end()
  } else jsonText(response, 200, text, { 'cache-control': 'max-age=300' })
}
