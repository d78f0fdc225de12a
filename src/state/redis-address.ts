const DEFAULT_PREFIX = 'mcp-manifold:'

/** The address of a Redis server. */
export interface Address {
  /** In the form that the client library takes; may contain a password. */
  readonly url: string
  /** Without secrets. */
  readonly name: string
  readonly prefix: string
}

/** @throws Error for an invalid address, without quoting it: it may contain a password */
export function toAddress(text: string): Address {
  const url = URL.canParse(text) ? new URL(text) : undefined
  if (!url || !/^rediss?:$/.test(url.protocol) || url.hostname === '')
    throw new Error('The address of the state store is no URL such as "redis://host:6379/0".')
  const prefix = url.searchParams.get('prefix') ?? DEFAULT_PREFIX
  url.search = ''
  const database = url.pathname === '/' ? '' : url.pathname
  return { url: url.href, name: `redis:${url.hostname}:${url.port || '6379'}${database}`, prefix }
}
