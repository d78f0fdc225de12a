import { domainToUnicode } from 'node:url'
import { withoutEnd } from './without-end.ts'

/** Longest user, host and port that are read as the URL standard does, whose time grows with the square of a host. */
export const MAX_AUTHORITY_CHARS = 500

/** The port that goes without saying, by scheme; WHATWG calls these schemes special. */
const SPECIAL: ReadonlySet<string> = new Set(['http', 'https', 'ws', 'wss', 'ftp'])

/** Whether the URL standard says what a scheme, with its colon, looks like. */
export function isSpecial(scheme: string): boolean {
  return SPECIAL.has(scheme.slice(0, -1))
}

/**
 * An authority as the URL standard has it: lower case, names and numbers of hosts in one form, no port that is empty or goes without saying. `glob`: wildcards
 * stay, and what would decode to one.
 */
export function hostOf(scheme: string, authority: string, glob: boolean): string {
  const lower = authority.toLowerCase()
  if (glob && /[*?%]/.test(authority)) return withoutUsualPort(scheme, lower)
  if (isSpecial(scheme) && authority.length <= MAX_AUTHORITY_CHARS)
    try {
      const { username, password, hostname, port } = new URL(`${scheme}//${authority}/`)
      const user = username === '' && password === '' ? '' : `${username}:${password}@`
      return user + withoutEnd(hostname, '.') + (port === '' ? '' : `:${port}`)
    } catch {
      // No host that any server could reach.
    }
  const port = portAt(lower)
  const number = lower.slice(port).replace(/^:0+(?=\d)/, ':')
  return withShortAddress(withoutEnd(lower.slice(0, port), '.')) + (number === ':' ? '' : number)
}

/** The numbers of an IPv6 address have one form. */
function withShortAddress(host: string): string {
  if (host.length > MAX_AUTHORITY_CHARS) return host
  return host.replace(/\[[\da-f:.]+\]$/, address => {
    try {
      return new URL(`http://${address}/`).hostname
    } catch {
      return address
    }
  })
}

/** Of a pattern: a port that goes without saying, unless a wildcard before it stands for other ports, too. */
function withoutUsualPort(scheme: string, host: string): string {
  if (host.endsWith(':')) return host.slice(0, -1)
  const port = portAt(host)
  const isUsual = USUAL_PORTS[scheme] === host.slice(port) && !/[*?]$/.test(host.slice(0, port))
  return isUsual ? host.slice(0, port) : host
}

const USUAL_PORTS: Readonly<Record<string, string>> = {
  'http:': ':80',
  'ws:': ':80',
  'https:': ':443',
  'wss:': ':443',
  'ftp:': ':21',
}

/** Where the port of an authority begins, with its colon; its end where there is none. */
function portAt(authority: string): number {
  let at = authority.length
  while (at > 0 && isDigit(authority.charCodeAt(at - 1))) at--
  return authority[at - 1] === ':' ? at - 1 : authority.length
}

function isDigit(code: number): boolean {
  return code >= 48 && code <= 57
}

/** A host with the letters that its ASCII form stands for. */
export function lettersOf(scheme: string, authority: string): string {
  if (!isSpecial(scheme) || !/xn--/.test(authority) || authority.length > MAX_AUTHORITY_CHARS)
    return authority
  const user = authority.lastIndexOf('@') + 1
  const port = portAt(authority)
  const letters = domainToUnicode(authority.slice(user, port))
  return letters === '' ? authority : authority.slice(0, user) + letters + authority.slice(port)
}

/** A host without its port and without brackets that it does not need, as Python and Go find it: the port begins at the first colon. */
export function hostnameOf(host: string): string {
  const open = host.indexOf('[')
  if (open < 0) return host.split(':', 1)[0] as string
  const inside = host.slice(open + 1).split(']', 1)[0] as string
  return inside.includes(':') ? `[${inside}]` : inside
}
