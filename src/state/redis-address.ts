const DEFAULT_PREFIX = 'mcp-manifold:'

/** Where a Redis is. */
export interface Address {
  /** As the client library takes it; may hold a password. */
  readonly url: string
  /** Without anything secret. */
  readonly name: string
  readonly prefix: string
}

/** @throws Error for an address that is none, without repeating it: it may hold a password */
export function toAddress(text: string): Address {
  const url = URL.canParse(text) ? new URL(text) : undefined
  if (!url || !/^rediss?:$/.test(url.protocol) || url.hostname === '')
    throw new Error('The address of the state store is no URL such as "redis://host:6379/0".')
  const prefix = url.searchParams.get('prefix') ?? DEFAULT_PREFIX
  url.search = ''
  const database = url.pathname === '/' ? '' : url.pathname
  return { url: url.href, name: `redis:${url.hostname}:${url.port || '6379'}${database}`, prefix }
}
