import { domainToUnicode } from 'node:url'
import { withoutEnd } from './without-end.ts'

/** The forms of one URI, or of a pattern for URIs: decoded, resolved, without one of its parts, in other words. */

/** Longest user, host and port that are read as the URL standard does, whose time grows with the square of a host. */
const MAX_AUTHORITY_CHARS = 500

/** The port that goes without saying, by scheme; WHATWG calls these schemes special. */
const DEFAULT_PORTS: ReadonlyMap<string, string> = new Map([
  ['http:', ':80'],
  ['https:', ':443'],
  ['ws:', ':80'],
  ['wss:', ':443'],
  ['ftp:', ':21'],
])

/** A byte, or the bytes of one character in UTF-8. */
const ENCODED =
  /%(?:[0-7][\da-f]|c[2-9a-f]%[89ab][\da-f]|d[\da-f]%[89ab][\da-f]|(?:e0%[ab]|e[1-9a-cef]%[89ab]|ed%[89])[\da-f]%[89ab][\da-f]|(?:f0%[9ab]|f[1-3]%[89ab]|f4%8)[\da-f](?:%[89ab][\da-f]){2}|[\da-f]{2})/gi

/** One level of percent-encoding less. Bytes that are no UTF-8 stay, with digits in upper case; in a pattern (`glob`) what would be a wildcard too. */
export function decoded(text: string, glob = false): string {
  if (!text.includes('%')) return text
  return text.replace(ENCODED, bytes => {
    const isByte = bytes.length === 3 && (bytes.charAt(1) > '7' || (glob && /2a|3f/i.test(bytes)))
    return isByte ? bytes.toUpperCase() : decodeURIComponent(bytes)
  })
}

/** A text as a pattern has it that means its wildcards as characters. */
function withoutWildcards(text: string): string {
  return text.replaceAll('*', '%2A').replaceAll('?', '%3F')
}

interface Parts {
  /** In lower case, with its colon; `''` for a text without one. */
  readonly scheme: string
  /** `undefined` where there is none; `''` may be one. */
  readonly authority: string | undefined
  readonly path: string
  /** Query and fragment. */
  readonly tail: string
}

/**
 * `whole`: what looks like a query or a fragment is part of the path, as to servers that do no more than cut off the scheme. `asWritten`: a backslash is no slash,
 * so that a user or a port may hold one, as to Python.
 */
function partsOf(text: string, whole: boolean, asWritten = false): Parts {
  const scheme = /^[a-z][a-z\d+.-]*:/i.exec(text)?.[0].toLowerCase() ?? ''
  let rest = text.slice(scheme.length)
  const end = whole ? -1 : rest.search(/[?#]/)
  const tail = end < 0 ? '' : rest.slice(end)
  if (end >= 0) rest = rest.slice(0, end)
  if (!asWritten) rest = rest.replaceAll('\\', '/')
  if (scheme === '') return { scheme, authority: undefined, path: rest, tail }
  let slashes = 0
  while (rest.charAt(slashes) === '/') slashes++
  const special = isSpecial(scheme)
  if (scheme === 'file:' && slashes !== 2)
    return { scheme, authority: '', path: `/${rest.slice(slashes)}`, tail }
  // A path from the root has an empty authority, written or not: `x:/a` is `x:///a`.
  if (!special && slashes < 2) return { scheme, authority: slashes === 1 ? '' : undefined, path: rest, tail }
  rest = rest.slice(special ? slashes : 2)
  const slash = rest.indexOf('/')
  const authority = slash < 0 ? rest : rest.slice(0, slash)
  const path = slash < 0 ? '' : rest.slice(slash)
  // The drive of a Windows path.
  if (scheme === 'file:' && /^[a-z][:|]$/i.test(authority))
    return { scheme, authority: '', path: `/${authority}${path}`, tail }
  return { scheme, authority, path, tail }
}

function textOf({ scheme, authority, path, tail }: Parts): string {
  return scheme + (authority === undefined ? '' : `//${authority}`) + path + tail
}

export function resolved(text: string, whole: boolean, glob = false): string {
  const parts = partsOf(text, whole)
  const { scheme, authority } = parts
  const host = authority === undefined ? undefined : hostOf(scheme, authority, glob)
  const rooted = parts.path === '' && isStandard(scheme) && !(glob ? /\*$/ : /[?#]/).test(authority ?? '')
  return textOf({
    ...parts,
    authority: scheme === 'file:' && host === 'localhost' ? '' : host,
    path: rooted ? '/' : pathOf(parts.path),
  })
}

/** Schemes whose hosts and paths the URL standard knows. */
function isStandard(scheme: string): boolean {
  return scheme === 'file:' || isSpecial(scheme)
}

function isSpecial(scheme: string): boolean {
  return DEFAULT_PORTS.has(scheme)
}

export function hasVastHost(text: string): boolean {
  if (text.length <= MAX_AUTHORITY_CHARS) return false
  const { scheme, authority = '' } = partsOf(text, false)
  return isSpecial(scheme) && authority.length > MAX_AUTHORITY_CHARS
}

/**
 * An authority as the URL standard has it: lower case, names and numbers of hosts in one form, no port that is empty or goes without saying. `glob`: wildcards
 * stay, and what would decode to one.
 */
function hostOf(scheme: string, authority: string, glob: boolean): string {
  if (glob && /[*?%]/.test(authority)) return genericHost(authority, scheme)
  if (isStandard(scheme) && authority.length <= MAX_AUTHORITY_CHARS && !/[?#]/.test(authority))
    try {
      const { username, password, hostname, port } = new URL(`${scheme}//${authority}/`)
      const user = username === '' && password === '' ? '' : `${username}:${password}@`
      return user + withoutEnd(hostname, '.') + (port === '' ? '' : `:${port}`)
    } catch {
      // No host that any server could reach.
    }
  return genericHost(authority)
}

/**
 * An authority in the normal form of RFC 3986. `special`: a scheme whose port goes without saying and whose labels of hosts are written in ASCII, for what the
 * URL standard does not parse as a whole.
 */
function genericHost(authority: string, special = ''): string {
  const lower = authority.toLowerCase()
  const start = lower.lastIndexOf('@') + 1
  const end = portAt(lower)
  const port = lower.slice(end).replace(/^:0*(?=\d)/, ':')
  let name = withoutEnd(lower.slice(start, Math.max(start, end)), '.')
  if (/^\[[\da-f:.]{2,45}\]$/.test(name)) name = addressOf(name)
  else if (isStandard(special)) name = name.split(DOTS_OF_NAMES).map(asciiOf).join('.')
  return lower.slice(0, start) + name + (port === ':' || port === DEFAULT_PORTS.get(special) ? '' : port)
}

/** What the URL standard takes for the dot between labels. */
const DOTS_OF_NAMES = /[.\u3002\uff0e\uff61]/

/** A label of a host in ASCII, unless it holds wildcards. */
function asciiOf(label: string): string {
  // eslint-disable-next-line no-control-regex -- ASCII is what is meant
  if (/^[\u0000-\u007f]*$|[*?%]/.test(label) || label.length > MAX_AUTHORITY_CHARS) return label
  try {
    // A number at the end of a host would be an address.
    return new URL(`http://${label}.x/`).hostname.slice(0, -2)
  } catch {
    return label
  }
}

/** An address of IPv6 in its shortest form. */
function addressOf(address: string): string {
  try {
    return new URL(`http://${address}/`).hostname
  } catch {
    return address
  }
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

const DOT = /^(?:\.|%2e)$/i
const DOTS = /^(?:\.|%2e){2}$/i

/** Without empty segments and segments of dots. */
function pathOf(path: string): string {
  const kept: string[] = []
  let directory = false
  for (const segment of path.split('/')) {
    directory = segment === '' || DOT.test(segment)
    if (directory) continue
    if (DOTS.test(segment)) {
      kept.pop()
      directory = true
    } else kept.push(kept.length === 0 ? segment.replace(/^([a-z])\|$/i, '$1:') : segment)
  }
  const lead = path.startsWith('/') ? '/' : ''
  return kept.length === 0 ? lead : `${lead}${kept.join('/')}${directory ? '/' : ''}`
}

/** Not every server takes a backslash for a slash, so that it may end up in the host. */
const FILE_HOST = /^file:\/\/[^/?#]+(?=\/)/i

/** Dots and spaces at the end of a name, which Windows passes over. */
const ENDS = /(?<=[^/. ])[. ]+(?=\/|$)/
const ENDS_ALL = new RegExp(ENDS, 'g')

/** Around a URI in prose (appendix C of RFC 3986), and passed over by `urlopen` of Python. */
const WRAPPED = /^(?:<(.*)>|url:(.*))$/is

/** The text without one of its parts, for each that servers pass over. */
export function shortened(text: string): string[] {
  const list = withoutParts(partsOf(text, false))
  if (text.includes('\\')) list.push(...withoutParts(partsOf(text, false, true)))
  if (/^file:/i.test(text)) list.push(text.replace(FILE_HOST, 'file://'))
  const wrapped = WRAPPED.exec(text)
  if (wrapped) list.push((wrapped[1] ?? wrapped[2]) as string)
  return list
}

function withoutParts(parts: Parts): string[] {
  const { authority, path, tail } = parts
  const list: string[] = []
  const change = (changes: Partial<Parts>): unknown => list.push(textOf({ ...parts, ...changes }))
  const hash = tail.indexOf('#')
  if (hash >= 0) change({ tail: tail.slice(0, hash) })
  if (tail.startsWith('?')) change({ tail: hash < 0 ? '' : tail.slice(hash) })
  if (authority !== undefined) {
    const user = authority.lastIndexOf('@') + 1
    if (user > 0) change({ authority: authority.slice(user) })
    const name = hostnameOf(authority.slice(user))
    if (user + name.length < authority.length) change({ authority: authority.slice(0, user) + name })
  }
  if (path.includes(';')) {
    // Python cuts the last segment, Java each of them.
    const last = path.indexOf(';', path.lastIndexOf('/') + 1)
    if (last >= 0) change({ path: path.slice(0, last) })
    change({ path: path.replaceAll(/;[^/]*/g, '') })
  }
  if (ENDS.test(path)) change({ path: path.replaceAll(ENDS_ALL, '') })
  if (path.endsWith('/')) change({ path: withoutEnd(path, '/') })
  return list
}

/** A host without its port and without brackets that it does not need, as Python and Go find it: the port begins at the first colon. */
function hostnameOf(host: string): string {
  const open = host.indexOf('[')
  if (open < 0) return host.split(':', 1)[0] as string
  const inside = host.slice(open + 1).split(']', 1)[0] as string
  return inside.includes(':') ? `[${inside}]` : inside
}

/** The text in other words, none of which says more or less: what patterns and conditions may have instead of the form of `resolved`. */
export function reworded(text: string): string[] {
  const parts = partsOf(text, false)
  const { scheme, authority, path } = parts
  const list = [withoutWildcards(text)]
  const change = (changes: Partial<Parts>): unknown => list.push(textOf({ ...parts, ...changes }))
  if (authority === '' && scheme !== 'file:' && /^\/(?!\/)/.test(path)) change({ authority: undefined })
  if (authority === undefined || authority === '') return list
  const host = genericHost(authority)
  change({ authority: host })
  if (!isStandard(scheme)) return list
  const at = host.lastIndexOf('@') + 1
  if (host.includes('xn--') && host.length <= MAX_AUTHORITY_CHARS) {
    const end = portAt(host)
    change({ authority: host.slice(0, at) + domainToUnicode(host.slice(at, end)) + host.slice(end) })
  }
  const port = DEFAULT_PORTS.get(scheme)
  if (port !== undefined && portAt(host) === host.length) change({ authority: host + port })
  return list
}
