import { hostnameOf, hostOf, isSpecial, lettersOf, MAX_AUTHORITY_CHARS } from './uri-hosts.ts'
import { withoutEnd } from './without-end.ts'

/**
 * What servers make of a URI. Rules compare texts; servers parse: `FILE:/a/./b`, `file://localhost/a/%62` and `file:///a/b` are one file to most. Where rules
 * decide, they decide on each text that a server may arrive at by decoding and resolving, in any order and more than once (WHATWG URL, RFC 3986).
 */
export interface Readings {
  /** Texts that mean the same resource, the URI itself first. All of them have to be allowed, and none denied. */
  readonly same: readonly string[]
  /** What is left where a server passes over a part: fragment, query, parameters, user, port, host of a file, dots at ends. None of them may be denied. */
  readonly less: readonly string[]
  /** It has more readings than are followed. */
  readonly endless: boolean
}

/** Longest URI that is read. Clients' and servers' are bounded by it before anything looks at them. */
export const MAX_URI_CHARS = 8192

/** Decoded so often; more is no honest URI. */
const MAX_DECODINGS = 3
/** What has more readings, or more characters in all of them, is not followed further. */
const MAX_READINGS = 300
const MAX_READING_CHARS = 32 * MAX_URI_CHARS
/** Schemes whose segments `urlparse` of Python reads up to a `;`; with their colon, and a text without a scheme. */
const WITH_PARAMETERS: ReadonlySet<string> = new Set([
  '',
  'http:',
  'https:',
  'shttp:',
  'ws:',
  'wss:',
  'ftp:',
  'sftp:',
  'rtsp:',
  'rtsps:',
  'rtspu:',
  'imap:',
  'sip:',
  'sips:',
  'mms:',
  'tel:',
  'hdl:',
  'prospero:',
])

/** One reading only: nothing to decode, nothing to resolve, nothing that is passed over. Most URIs are like that. */
const PLAIN =
  /^(?:file:\/\/(?=\/)|(?!(?:file|https?|wss?|ftp):)[a-z][a-z0-9+.-]*:\/\/[a-z0-9_{}-]+(?:\.[a-z0-9_{}-]+)*)(?:\/[^/\\%?#;|\s]*[^/\\%?#;|\s.])*$/

/** The last one is asked for again and again while one request is decided. */
let last: { readonly uri: string; readonly readings: Readings | undefined } = { uri: '', readings: undefined }

/** `undefined`: nothing but the URI itself. */
export function readingsOf(uri: string): Readings | undefined {
  if (uri.length > MAX_URI_CHARS) return { same: [uri], less: [], endless: true }
  if (PLAIN.test(uri)) return undefined
  if (last.uri !== uri) last = { uri, readings: read(uri) }
  return last.readings
}

function read(uri: string): Readings | undefined {
  const found = new Found()
  found.follow([uri], text => [resolved(text, false), resolved(text, true)])
  const same = new Set([uri])
  for (const text of found.texts) for (const whole of [false, true]) same.add(resolved(text, whole))
  // What is decoded and not resolved counts for rules that deny: one may be about dots.
  found.follow([], text => [resolved(text, false), ...shortened(text)])
  const less = found.texts.filter(text => !same.has(text))
  if (!found.endless && same.size === 1 && less.length === 0) return undefined
  return { same: [...same], less, endless: found.endless }
}

/** Texts that come of others. */
class Found {
  readonly #decodings = new Map<string, number>()
  #charsLeft = MAX_READING_CHARS
  endless = false

  get texts(): string[] {
    return [...this.#decodings.keys()]
  }

  /** Adds what comes of texts by `steps` and by decoding, and what comes of that. */
  follow(texts: readonly string[], steps: (text: string) => readonly string[]): void {
    for (const text of texts) this.#add(text, 0)
    // A map goes on to what is added meanwhile.
    for (const [text, before] of this.#decodings) {
      // What has too many is refused, whatever the others are.
      if (this.endless) return
      for (const next of steps(text)) this.#add(next, before)
      this.#add(decoded(text), before + 1)
    }
  }

  #add(text: string, decodings: number): void {
    if (this.#decodings.has(text)) return
    this.#charsLeft -= text.length
    const { size } = this.#decodings
    if (decodings > MAX_DECODINGS || size >= MAX_READINGS || this.#charsLeft < 0 || hasVastHost(text))
      this.endless = true
    else this.#decodings.set(text, decodings)
  }
}

/** Every text by which a resource may be meant. */
export function textsOf(uri: string): readonly string[] {
  const readings = readingsOf(uri)
  return readings ? [...readings.same, ...readings.less] : [uri]
}

/** Why nothing is asked of servers by this URI; `undefined` for one that is fine. */
export function uriProblem(uri: string): string | undefined {
  if (uri.length > MAX_URI_CHARS) return `has ${uri.length} characters; at most ${MAX_URI_CHARS} are accepted`
  if (CONTROL.test(uri)) return 'holds a control character'
  if (uri.trim() !== uri) return 'begins or ends with white space'
  const readings = readingsOf(uri)
  if (readings?.endless) return 'is percent-encoded over and over, or can be read in too many ways'
  return readings?.same.some(text => text.includes('\0')) ? 'holds an encoded NUL' : undefined
}

// eslint-disable-next-line no-control-regex -- these are what must not be there
const CONTROL = /[\u0000-\u001f\u007f-\u009f]/

/**
 * A pattern for URIs as URIs look that are decoded and resolved. Its wildcards stay what they are, and what would decode to one stays encoded.
 */
export function resolvedPattern(glob: string): string {
  let text = glob
  for (let round = 0; round <= MAX_DECODINGS; round++) text = decoded(text, true)
  return resolved(text, true, true)
}

/** Bytes of one character, if they are UTF-8, or one byte. */
const BYTES =
  /%[cd][\da-f]%[89ab][\da-f]|%e[\da-f](?:%[89ab][\da-f]){2}|%f[0-7](?:%[89ab][\da-f]){3}|%[\da-f]{2}/gi

/** One level of percent-encoding less. Bytes that are no UTF-8 stay, in upper case. */
function decoded(text: string, glob = false): string {
  if (!text.includes('%')) return text
  return text.replace(BYTES, bytes => {
    if (glob && /^%(?:2a|3f)$/i.test(bytes)) return bytes
    try {
      return decodeURIComponent(bytes)
    } catch {
      return bytes.toUpperCase()
    }
  })
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
  if (!special && slashes < 2) return { scheme, authority: undefined, path: rest, tail }
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

function resolved(text: string, whole: boolean, glob = false): string {
  const parts = partsOf(text, whole)
  const { scheme, authority } = parts
  const host = authority === undefined ? undefined : hostOf(scheme, authority, glob)
  return textOf({
    ...parts,
    authority: scheme === 'file:' && host === 'localhost' ? '' : host,
    path: pathOf(parts.path),
  })
}

function hasVastHost(text: string): boolean {
  if (text.length <= MAX_AUTHORITY_CHARS) return false
  const { scheme, authority = '' } = partsOf(text, false)
  return isSpecial(scheme) && authority.length > MAX_AUTHORITY_CHARS
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

/** The text without one of its parts, for each that servers pass over. */
function shortened(text: string): string[] {
  const list = withoutParts(partsOf(text, false))
  if (text.includes('\\')) list.push(...withoutParts(partsOf(text, false, true)))
  if (/^file:/i.test(text)) list.push(text.replace(FILE_HOST, 'file://'))
  // Python takes these off a URL before it opens it.
  const wrapped = /^<(.*)>$/.exec(text)?.[1] ?? /^url:(.*)$/i.exec(text)?.[1]
  if (wrapped !== undefined) list.push(wrapped)
  return list
}

function withoutParts(parts: Parts): string[] {
  const { scheme, authority, path, tail } = parts
  const list: string[] = []
  const change = (changes: Partial<Parts>): unknown => list.push(textOf({ ...parts, ...changes }))
  const hash = tail.indexOf('#')
  if (hash >= 0) change({ tail: tail.slice(0, hash) })
  if (tail.startsWith('?')) change({ tail: hash < 0 ? '' : tail.slice(hash) })
  if (scheme !== '' && path.startsWith('/')) {
    // An authority that is empty says no more than none.
    if (authority === undefined) change({ authority: '' })
    else if (authority === '' && scheme !== 'file:' && !path.startsWith('//'))
      change({ authority: undefined })
  }
  // The URL standard has a path there.
  if (path === '' && (isSpecial(scheme) || (scheme === 'file:' && authority === ''))) change({ path: '/' })
  if (authority !== undefined) {
    const letters = lettersOf(scheme, authority)
    if (letters !== authority) change({ authority: letters })
    const user = authority.lastIndexOf('@') + 1
    if (user > 0) change({ authority: authority.slice(user) })
    const name = hostnameOf(authority.slice(user))
    if (user + name.length < authority.length) change({ authority: authority.slice(0, user) + name })
  }
  if (WITH_PARAMETERS.has(scheme) && path.includes(';')) {
    // Python cuts the last segment, Java each of them.
    const last = path.indexOf(';', path.lastIndexOf('/') + 1)
    if (last >= 0) change({ path: path.slice(0, last) })
    change({ path: path.replaceAll(/;[^/]*/g, '') })
  }
  if (ENDS.test(path)) change({ path: path.replaceAll(ENDS_ALL, '') })
  if (path.endsWith('/')) change({ path: withoutEnd(path, '/') })
  return list
}
