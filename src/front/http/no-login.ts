import type { IncomingMessage, ServerResponse } from 'node:http'
import { HttpError } from '../../core/http-error.ts'
import { anyOrigin, jsonText } from '../responses.ts'

/**
 * URLs at which clients look for a login without metadata: those of MCP 2025-03-26, RFC 8414, OpenID Connect Discovery
 * and RFC 9728.
 */
const ADDRESS =
  /^\/(?:register|authorize|token)$|\/\.well-known\/(?:oauth-[a-z-]+|openid-configuration)(?:\/|$)/

/**
 * Answers requests for unknown paths.
 * @param help what to do instead of a login, where there is none
 * @throws HttpError 404, unless a client looks for a login
 */
export function nothing(
  request: IncomingMessage,
  response: ServerResponse,
  path: string,
  help: string | undefined,
): void {
  if (help === undefined || !ADDRESS.test(path))
    throw new HttpError(404, 'There is nothing here; the MCP endpoint is /mcp.')
  noLogin(request, response, path, help)
}

/**
 * Reports that there is no login, in the form of an OAuth error (RFC 6749 section 5.2, RFC 7591 section 3.2.2), because
 * clients display that. Metadata stays 404: any other status ends a client's search at once.
 */
function noLogin(request: IncomingMessage, response: ServerResponse, path: string, help: string): void {
  anyOrigin(response)
  if (request.method === 'OPTIONS') {
    response
      .writeHead(204, {
        'access-control-allow-methods': 'GET, POST',
        'access-control-allow-headers': 'mcp-protocol-version, accept, content-type',
        'access-control-max-age': '600',
      })
      .end()
    return
  }
  const status = path.includes('/.well-known/') ? 404 : 400
  const body = JSON.stringify({ error: 'invalid_request', error_description: help })
  jsonText(response, status, body, { 'cache-control': 'no-store' })
}
