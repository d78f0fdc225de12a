import type { IncomingMessage, ServerResponse } from 'node:http'
import { anyOrigin, jsonText } from './answers.ts'

/** Where clients look for a login that no metadata names: the addresses of MCP 2025-03-26, RFC 8414, OpenID Connect Discovery and RFC 9728. */
const ADDRESS =
  /^\/(?:register|authorize|token)$|\/\.well-known\/(?:oauth-[a-z-]+|openid-configuration)(?:\/|$)/

export function isLoginAddress(path: string): boolean {
  return ADDRESS.test(path)
}

/**
 * Says that there is no login, in the form of OAuth (RFC 6749 section 5.2, RFC 7591 section 3.2.2), because that is what clients show of it. Metadata stays 404:
 * any other status ends a client's search at once.
 * @param help a sentence with what to do instead
 */
export function noLogin(
  request: IncomingMessage,
  response: ServerResponse,
  path: string,
  help: string,
): void {
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
