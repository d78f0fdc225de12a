import { isLoopback } from '../core/loopback.ts'
import { withoutEnd } from '../core/without-end.ts'

/** Where a registry is asked, and how it is called in texts. */
export interface RegistryAddress {
  /** Without user and password. */
  readonly shown: string
  /** Address of a resource, without user and password. */
  url(path: string): URL
  readonly headers: Readonly<Record<string, string>>
}

/** The address that was given; a text that says what is wrong with it, and does not quote it. */
export function registryAddress(base: string): RegistryAddress | string {
  if (!URL.canParse(base)) return 'this is no address'
  const url = new URL(base)
  if (url.protocol !== 'https:' && url.protocol !== 'http:') return 'this is no address of HTTP'
  const { username, password } = url
  url.username = ''
  url.password = ''
  url.search = ''
  url.hash = ''
  const shown = withoutEnd(url.href, '/')
  if (!hasTls(url)) return `${shown} has no TLS, and what it answers decides what runs: only https:// is used`
  const user = `${plain(username)}:${plain(password)}`
  return {
    shown,
    url: path => new URL(shown + path),
    headers: {
      accept: 'application/json',
      ...(user !== ':' && { authorization: `Basic ${Buffer.from(user).toString('base64')}` }),
    },
  }
}

/** Whether what goes to an address is protected on its way: without TLS, only to this machine. */
export function hasTls({ protocol, hostname }: URL): boolean {
  return protocol === 'https:' || (protocol === 'http:' && isLoopback(hostname))
}

/** A part of an address without its escapes. */
function plain(part: string): string {
  try {
    return decodeURIComponent(part)
  } catch {
    return part
  }
}
