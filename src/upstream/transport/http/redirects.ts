const REDIRECTS = [301, 302, 303, 307, 308]
/** Longer chains are loops. */
export const MAX_REDIRECTS = 5

/**
 * Target of a redirection, if it may be followed: credentials are sent only to the origin they were configured for.
 * `http` on its default port may redirect to `https` on its own. Only 307 and 308 keep the method and the body of a
 * POST.
 */
export function redirectTarget(
  method: 'GET' | 'POST',
  from: URL,
  status: number,
  location: string | string[] | undefined,
): URL | undefined {
  if (!REDIRECTS.includes(status) || typeof location !== 'string') return undefined
  if (method === 'POST' && status !== 307 && status !== 308) return undefined
  if (!URL.canParse(location, from.href)) return undefined
  const to = new URL(location, from)
  if (!staysWithin(from, to)) return undefined
  const otherUser =
    (to.username !== '' || to.password !== '') &&
    (to.username !== from.username || to.password !== from.password)
  return otherUser ? undefined : to
}

function staysWithin(from: URL, to: URL): boolean {
  if (from.hostname !== to.hostname) return false
  if (from.protocol === to.protocol && from.port === to.port) return true
  return from.protocol === 'http:' && from.port === '' && to.protocol === 'https:' && to.port === ''
}
