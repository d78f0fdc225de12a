/** Hints for HTTP answers that are not MCP. */

export const NO_ENDPOINT =
  'There is no MCP endpoint at this address. Check the path of its "url", which often ends in /mcp.'

const OPEN_BRACE = 0x7b

/** Whether a body is a web page. Most bodies begin with a brace, which is detected at once. */
export function isWebPage(body: string): boolean {
  return body.charCodeAt(0) !== OPEN_BRACE && /^\s*<(?:!doctype html|html)\b/i.test(body.slice(0, 200))
}

/** A sentence about an answer with this status, other than one about credentials. */
export function statusHint(status: number, body: string): string {
  if (status < 400) return 'Use the address it redirects to as "url"; the log has it.'
  if (status >= 500) return 'Its own log may say why.'
  if (isWebPage(body)) return NO_ENDPOINT
  return status === 404 || status === 405 ? 'Check the path of its "url".' : 'Its own log may say why.'
}
