import { ITEM_KINDS, type ItemKind } from '../core/route.ts'
import { resolvedPatterns } from '../core/uri-readings.ts'

/**
 * Patterns of rules, profiles and limits: `server/name`, prefixed with `tool:`, `prompt:` or `resource:` for one kind
 * only. `*` matches any characters, including `/`, and `?` matches one (a UTF-16 unit); no other character is special.
 * The server part ends at the first `/`. Names are the server's own, and URIs for resources. Matching is
 * case-sensitive.
 */
export interface Pattern {
  readonly text: string
  /** `undefined`: every kind. */
  readonly kind: ItemKind | undefined
  readonly server: (server: string) => boolean
  readonly name: (name: string) => boolean
  /** The same for a URI, which may also match once both are decoded and resolved. */
  readonly uri: (uri: string) => boolean
  /** Whether the name part is `*`. */
  readonly anyName: boolean
}

/** Form of the names that clients see: the server's prefix, two underscores and the name. */
export interface Prefixed {
  readonly name: string
  readonly prefix: string | false
}

/**
 * Translates a name as clients see it to the server's own name; `undefined` for any other text. The longest matching
 * prefix wins.
 */
export function ownForm(text: string, servers: readonly Prefixed[]): Own | undefined {
  let own: Own | undefined
  let longest = 0
  for (const { name, prefix } of servers)
    if (
      prefix !== false &&
      prefix.length > longest &&
      text.startsWith('__', prefix.length) &&
      text.startsWith(prefix)
    ) {
      own = { server: name, name: text.slice(prefix.length + 2) }
      longest = prefix.length
    }
  return own
}

interface Own {
  readonly server: string
  readonly name: string
}

/**
 * The error in the text of a pattern, `undefined` when it is valid. `servers`: names of the configured servers, since a
 * colon may be part of a name. `prefixed`: the same servers, to recognize names as clients see them.
 */
export function patternProblem(
  text: string,
  servers: readonly string[] = [],
  prefixed: readonly Prefixed[] = [],
): { readonly cause: string; readonly fix: string } | undefined {
  const slash = text.indexOf('/')
  if (slash < 0) {
    const kind = ITEM_KINDS.find(known => text.startsWith(`${known}:`))
    const [before, rest] = kind ? [`${kind}:`, text.slice(kind.length + 1)] : ['', text]
    const own = ownForm(rest, prefixed)
    const fix = own
      ? `Write "${before}${own.server}/${own.name}": patterns have the names that the server itself uses.`
      : rest === '*' || rest === ''
        ? `Write "${before}*/*" for everything.`
        : `Write "${before}${rest}/*" for a server, or "${before}*/${rest}" for a name of any server.`
    return { cause: 'names no server: a pattern has the form "server/name"', fix }
  }
  const colon = text.slice(0, slash).indexOf(':')
  const ofName = servers.some(server => server.startsWith(text.slice(0, colon + 1)))
  if (colon >= 0 && !ofName && !ITEM_KINDS.some(kind => text.startsWith(`${kind}:`))) {
    const fix =
      'Before a colon stands "tool", "prompt" or "resource"; for a colon in the name of a server write "?".'
    return { cause: `has the unknown kind "${text.slice(0, colon)}"`, fix }
  }
  return undefined
}

/**
 * Compiles a pattern without a `patternProblem`, for servers whose names contain no `/` and do not begin with a kind.
 */
export function compilePattern(text: string): Pattern {
  const kind = kindOf(text)
  const rest = kind === undefined ? text : text.slice(kind.length + 1)
  return compiled(text, kind, rest, rest.indexOf('/'))
}

/**
 * Compiles a pattern for these servers: one result for each way to split the text that leads to a server. There is one
 * way, unless a name contains a `/` (`io.github.owner/server`) or begins with a kind (`tool:x`).
 */
export function compilePatterns(text: string, servers: readonly string[]): Pattern[] {
  const patterns = [compilePattern(text)]
  const odd = servers.filter(isOdd)
  if (odd.length === 0) return patterns
  const kind = kindOf(text)
  for (const of of new Set([kind, undefined])) {
    const rest = of === undefined ? text : text.slice(of.length + 1)
    for (let slash = rest.indexOf('/'); slash >= 0; slash = rest.indexOf('/', slash + 1)) {
      const pattern = compiled(text, of, rest, slash)
      const isFirst = of === kind && slash === rest.indexOf('/')
      if (!isFirst && odd.some(pattern.server)) patterns.push(pattern)
    }
  }
  return patterns
}

function isOdd(server: string): boolean {
  return server.includes('/') || kindOf(server) !== undefined
}

/**
 * The servers that patterns cannot distinguish from another one, each with that other: its name begins with the name
 * and a slash, or with a kind and the name.
 */
export function confusedNames(servers: readonly string[]): Map<string, string> {
  const known = new Set(servers)
  const confused = new Map<string, string>()
  for (const server of servers) {
    const kind = kindOf(server)
    let other = kind === undefined ? undefined : server.slice(kind.length + 1)
    let slash = server.indexOf('/')
    // A name is short, so it has few beginnings.
    while (!(other !== undefined && known.has(other)) && slash >= 0) {
      other = server.slice(0, slash)
      slash = server.indexOf('/', slash + 1)
    }
    if (other !== undefined && known.has(other)) confused.set(server, other)
  }
  return confused
}

function kindOf(text: string): ItemKind | undefined {
  return ITEM_KINDS.find(known => text.startsWith(`${known}:`))
}

function compiled(text: string, kind: ItemKind | undefined, rest: string, slash: number): Pattern {
  const name = rest.slice(slash + 1)
  return {
    text,
    kind,
    server: wildcard(rest.slice(0, slash)),
    name: wildcard(name),
    uri: uriTest(name),
    anyName: /^\*+$/.test(name),
  }
}

/**
 * Whether a pattern matches a thing of a server. `loosely`: also when a URI matches only once the pattern is decoded
 * and resolved, as `readingsOf` does with URIs.
 */
export function matches(
  pattern: Pattern,
  kind: ItemKind,
  server: string,
  name: string,
  loosely = false,
): boolean {
  if ((pattern.kind !== undefined && pattern.kind !== kind) || !pattern.server(server)) return false
  return loosely && kind === 'resource' ? pattern.uri(name) : pattern.name(name)
}

function uriTest(glob: string): (uri: string) => boolean {
  const written = wildcard(glob)
  const texts = resolvedPatterns(glob).filter(text => text !== glob)
  if (texts.length === 0) return written
  const resolved = texts.map(wildcard)
  return uri => written(uri) || resolved.some(test => test(uri))
}

/**
 * A matcher for whole texts. Each part between the stars is searched from the end of the previous match, so that,
 * unlike a regular expression, it never backtracks.
 */
export function wildcard(glob: string): (text: string) => boolean {
  if (/^\*+$/.test(glob)) return () => true
  if (!/[*?]/.test(glob)) return text => text === glob
  const parts = glob.split(/\*+/)
  const first = parts[0] as string
  if (parts.length === 1) return text => text.length === first.length && fits(text, first, 0)
  const last = parts.at(-1) as string
  const middle = parts.slice(1, -1)
  const least = first.length + last.length
  return text => {
    if (text.length < least || !fits(text, first, 0)) return false
    const end = text.length - last.length
    if (!fits(text, last, end)) return false
    let at = first.length
    for (const part of middle) {
      const found = firstFit(text, part, at, end)
      if (found < 0) return false
      at = found + part.length
    }
    return true
  }
}

/** First index from `from` at which `part` matches and ends by `end`; -1 for none. */
function firstFit(text: string, part: string, from: number, end: number): number {
  if (!part.includes('?')) {
    const found = text.indexOf(part, from)
    return found >= 0 && found + part.length <= end ? found : -1
  }
  for (let at = from; at + part.length <= end; at++) if (fits(text, part, at)) return at
  return -1
}

function fits(text: string, part: string, at: number): boolean {
  if (!part.includes('?')) return text.startsWith(part, at)
  for (let index = 0; index < part.length; index++)
    if (part[index] !== '?' && part[index] !== text[at + index]) return false
  return true
}
