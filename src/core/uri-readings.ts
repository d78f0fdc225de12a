import { decoded, hasVastHost, resolved, reworded, shortened } from './uri-forms.ts'

/**
 * The interpretations of a URI by servers. Rules compare texts, but servers parse: for most of them `FILE:/a/./b`,
 * `file://localhost/a/%62` and `file:///a/b` are the same file. So rules are applied to each text that a server may
 * derive by decoding and resolving, in any order and repeatedly (WHATWG URL, RFC 3986).
 */
export interface Readings {
  /** Texts that mean the same resource, the URI itself first. All must be allowed, and none denied. */
  readonly same: readonly string[]
  /**
   * Texts that remain when a server ignores a part: fragment, query, parameters, user, port, host of a file, trailing
   * dots. None may be denied.
   */
  readonly less: readonly string[]
  /** Whether there are more readings than are followed. */
  readonly endless: boolean
}

/** Maximum length of a URI. It applies to clients and servers before a URI is examined. */
export const MAX_URI_CHARS = 8192

/** Maximum levels of decoding; no legitimate URI has more. */
const MAX_DECODINGS = 3
/** Maximum number of readings that are followed; `MAX_READING_CHARS` bounds their total length. */
const MAX_READINGS = 300
const MAX_READING_CHARS = 32 * MAX_URI_CHARS
/** A URI with one reading: nothing to decode, resolve or ignore. Most URIs match. */
const PLAIN =
  /^(?:file:\/\/(?=\/)|(?!(?:file|https?|wss?|ftp):)[a-z][a-z0-9+.-]*:\/\/[a-z0-9_{}-]+(?:\.[a-z0-9_{}-]+)*)(?:\/[^/\\%*?#;|\s]*[^/\\%*?#;|\s.])*$/

/** The last result is cached, because one request is decided in several steps. */
let last: { readonly uri: string; readonly readings: Readings | undefined } = { uri: '', readings: undefined }

/** `undefined` when the URI has no reading but itself. */
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
  // Decoded but unresolved texts count for deny rules, which may match dots.
  found.follow([], text => [resolved(text, false), ...shortened(text)])
  const less = new Set(found.texts)
  for (const text of [...same, ...less]) for (const other of reworded(text)) less.add(other)
  for (const text of same) less.delete(text)
  if (!found.endless && same.size === 1 && less.size === 0) return undefined
  return { same: [...same], less: [...less], endless: found.endless }
}

/** The texts derived from others. */
class Found {
  readonly #decodings = new Map<string, number>()
  #charsLeft = MAX_READING_CHARS
  endless = false

  get texts(): string[] {
    return [...this.#decodings.keys()]
  }

  /** Adds the texts derived by `steps` and by decoding, recursively. */
  follow(texts: readonly string[], steps: (text: string) => readonly string[]): void {
    for (const text of texts) this.#add(text, 0)
    // The iteration of a map includes entries added during it.
    for (const [text, before] of this.#decodings) {
      // A URI with too many readings is refused, so the rest need not be computed.
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

/** Every text that may denote the same resource. */
export function textsOf(uri: string): readonly string[] {
  const readings = readingsOf(uri)
  return readings ? [...readings.same, ...readings.less] : [uri]
}

/** Why requests with this URI are refused; `undefined` when it is acceptable. */
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
 * URI patterns in the decoded and resolved form of URIs. Wildcards stay, and encoded wildcards stay encoded. A `?` may
 * also be the delimiter of a query.
 */
export function resolvedPatterns(glob: string): string[] {
  let text = glob
  for (let round = 0; round <= MAX_DECODINGS; round++) text = decoded(text, true)
  return [...new Set([resolved(text, true, true), resolved(text, false, true)])]
}
