import { domainToUnicode } from 'node:url'
import { withoutEnd } from './without-end.ts'

/** Forms of a URI, or of a URI pattern: decoded, resolved, shortened by a part, or reworded. */

/** Maximum length of an authority that is parsed by the URL standard, whose time grows with the square of the host. */
const MAX_AUTHORITY_CHARS = 500

/** Default ports of the schemes that WHATWG calls special. */
const DEFAULT_PORTS: ReadonlyMap<string, string> = new Map([
  ['http:', ':80'],
  ['https:', ':443'],
  ['ws:', ':80'],
  ['wss:', ':443'],
  ['ftp:', ':21'],
])

/** A percent-encoded byte, or the bytes of one UTF-8 character. */
const ENCODED =
  /%(?:[0-7][\da-f]|c[2-9a-f]%[89ab][\da-f]|d[\da-f]%[89ab][\da-f]|(?:e0%[ab]|e[1-9a-cef]%[89ab]|ed%[89])[\da-f]%[89ab][\da-f]|(?:f0%[9ab]|f[1-3]%[89ab]|f4%8)[\da-f](?:%[89ab][\da-f]){2}|[\da-f]{2})/gi

/**
 * Removes one level of percent-encoding. Bytes that are not UTF-8 stay encoded, with upper-case digits; in a pattern
 * (`glob`), encoded wildcards stay as well.
 */
export function decoded(text: string, glob = false): string {
  if (!text.includes('%')) return text
  return text.replace(ENCODED, bytes => {
    const isByte = bytes.length === 3 && (bytes.charAt(1) > '7' || (glob && /2a|3f/i.test(bytes)))
    return isByte ? bytes.toUpperCase() : decodeURIComponent(bytes)
  })
}

/** Escapes the wildcards of a text, so that a pattern matches them as characters. */
function withoutWildcards(text: string): string {
  return text.replaceAll('*', '%2A').replaceAll('?', '%3F')
}

interface Parts {
  /** In lower case, with its colon; `''` when absent. */
  readonly scheme: string
  /** `undefined` when absent; it may be `''`. */
  readonly authority: string | undefined
  readonly path: string
  /** Query and fragment. */
  readonly tail: string
}

/**
 * `whole`: query and fragment are parts of the path, as in servers that only remove the scheme. `asWritten`: a
 * backslash is no slash, so that a user or a port may contain one, as in Python.
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
  // The drive letter of a Windows path.
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

/** Schemes whose hosts and paths the URL standard defines. */
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
 * An authority in the form of the URL standard: lower case, one form of host names and numbers, no empty or default
 * port. `glob`: wildcards and encoded wildcards stay.
 */
function hostOf(scheme: string, authority: string, glob: boolean): string {
  if (glob && /[*?%]/.test(authority)) return genericHost(authority, scheme)
  if (isStandard(scheme) && authority.length <= MAX_AUTHORITY_CHARS && !/[?#]/.test(authority))
    try {
      const { username, password, hostname, port } = new URL(`${scheme}//${authority}/`)
      const user = username === '' && password === '' ? '' : `${username}:${password}@`
      return user + withoutEnd(hostname, '.') + (port === '' ? '' : `:${port}`)
    } catch {
      // A host that no server could reach.
    }
  return genericHost(authority)
}

/**
 * An authority in the normal form of RFC 3986. `special`: a scheme with a default port and ASCII labels, for
 * authorities that the URL standard cannot parse as a whole.
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

/** Characters that the URL standard treats as the dot between labels. */
const DOTS_OF_NAMES = /[.\u3002\uff0e\uff61]/

/** A host label in ASCII, unless it contains wildcards. */
function asciiOf(label: string): string {
  // eslint-disable-next-line no-control-regex -- ASCII is what is meant
  if (/^[\u0000-\u007f]*$|[*?%]/.test(label) || label.length > MAX_AUTHORITY_CHARS) return label
  try {
    // A host that ends in a number would be parsed as an address, hence the suffix.
    return new URL(`http://${label}.x/`).hostname.slice(0, -2)
  } catch {
    return label
  }
}

/** An IPv6 address in its shortest form. */
function addressOf(address: string): string {
  try {
    return new URL(`http://${address}/`).hostname
  } catch {
    return address
  }
}

/** Index of the port of an authority, with its colon; the length when there is none. */
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

/** Removes empty and dot segments. */
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

/** Not every server treats a backslash as a slash, so that it may end up in the host. */
const FILE_HOST = /^file:\/\/[^/?#]+(?=\/)/i

/** Trailing dots and spaces of a name, which Windows ignores. */
const ENDS = /(?<=[^/. ])[. ]+(?=\/|$)/
const ENDS_ALL = new RegExp(ENDS, 'g')

/** Delimiters of a URI in prose (RFC 3986, appendix C), which Python's `urlopen` ignores. */
const WRAPPED = /^(?:<(.*)>|url:(.*))$/is

/** The text without each of the parts that some servers ignore. */
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
    // Python removes the parameters of the last segment, Java those of each.
    const last = path.indexOf(';', path.lastIndexOf('/') + 1)
    if (last >= 0) change({ path: path.slice(0, last) })
    change({ path: path.replaceAll(/;[^/]*/g, '') })
  }
  if (ENDS.test(path)) change({ path: path.replaceAll(ENDS_ALL, '') })
  if (path.endsWith('/')) change({ path: withoutEnd(path, '/') })
  return list
}

/** A host without its port and without unneeded brackets, as in Python and Go: the port begins at the first colon. */
function hostnameOf(host: string): string {
  const open = host.indexOf('[')
  if (open < 0) return host.split(':', 1)[0] as string
  const inside = host.slice(open + 1).split(']', 1)[0] as string
  return inside.includes(':') ? `[${inside}]` : inside
}

/** Equivalent spellings of the text, which patterns and conditions may use instead of the form of `resolved`. */
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
