import type { ServerConfig } from '../../config/types.ts'
import type { LoginAbout } from './pages.ts'

/** What people read about a login. `url` is the address of the authorization server. */
export function loginAbout({ name, replicas }: ServerConfig, owner: string, url: string): LoginAbout {
  const endpoint = replicas[0]?.endpoint
  const at =
    endpoint !== undefined && 'url' in endpoint && endpoint.url !== undefined ? hostOf(endpoint.url) : ''
  return { server: name, at, loginAt: hostOf(url), usedBy: usedBy(owner) }
}

/** The calls that use the credentials of an owner, in words. */
export function usedBy(owner: string): string {
  if (owner === 'gateway') return 'every client of this gateway that may use the server'
  if (owner === 'local') return 'the local user of this gateway'
  if (owner === 'anonymous') return 'callers of this gateway without credentials'
  if (owner.startsWith('client:')) return `only client "${owner.slice('client:'.length)}" of this gateway`
  const user = /^user:(\S+) (.*)$/s.exec(owner)
  return user ? `only user ${user[2]} of ${user[1]}` : `only ${owner}`
}

function hostOf(url: string | URL): string {
  try {
    return new URL(url).host
  } catch {
    return ''
  }
}
