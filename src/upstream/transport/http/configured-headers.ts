import type { UrlEndpoint } from '../../../config/replica-types.ts'
import type { Logger } from '../../../core/logger.ts'

/** Headers that determine how a message is read. A second value would make it unreadable. */
export const RESERVED =
  /^(?:accept|content-type|content-length|transfer-encoding|connection|mcp-.*|last-event-id)$/i

/**
 * The headers of every request to an endpoint, as a flat list: its credentials and the configured ones. Names in lower
 * case.
 */
export function configuredHeaders({ url, headers }: UrlEndpoint, logger: Logger): readonly string[] {
  const { username, password } = new URL(url)
  const list: string[] = []
  if (username !== '') {
    const credentials = `${decodeURIComponent(username)}:${decodeURIComponent(password)}`
    list.push('authorization', `Basic ${Buffer.from(credentials).toString('base64')}`)
  }
  for (const [name, value] of Object.entries(headers)) {
    if (!RESERVED.test(name)) list.push(name.toLowerCase(), value)
    else logger.warn("A configured header is the protocol's own and is left out.", { header: name })
  }
  return list
}
