/**
 * The query of an address that a person has pasted: the whole address to which the browser was sent, its query, or
 * `code=…&state=…`. `undefined`: it is none of these.
 */
export function pastedQuery(text: string): URLSearchParams | undefined {
  const line = text.trim().replace(/^["'<]|["'>]$/g, '')
  const at = line.indexOf('?')
  const hash = line.indexOf('#')
  const end = hash > at ? hash : line.length
  const query = new URLSearchParams(at < 0 ? line : line.slice(at + 1, end))
  return query.has('state') && (query.has('code') || query.has('error')) ? query : undefined
}
