import { decoded, hasVastHost, resolved, reworded, shortened } from './uri-forms.ts'

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
/** One reading only: nothing to decode, nothing to resolve, nothing that is passed over. Most URIs are like that. */
const PLAIN =
  /^(?:file:\/\/(?=\/)|(?!(?:file|https?|wss?|ftp):)[a-z][a-z0-9+.-]*:\/\/[a-z0-9_{}-]+(?:\.[a-z0-9_{}-]+)*)(?:\/[^/\\%*?#;|\s]*[^/\\%*?#;|\s.])*$/

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
  const less = new Set(found.texts)
  for (const text of [...same, ...less]) for (const other of reworded(text)) less.add(other)
  for (const text of same) less.delete(text)
  if (!found.endless && same.size === 1 && less.size === 0) return undefined
  return { same: [...same], less: [...less], endless: found.endless }
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
 * A pattern for URIs as URIs look that are decoded and resolved. Its wildcards stay what they are, and what would decode to one stays encoded. A `?` may be the
 * one before a query.
 */
export function resolvedPatterns(glob: string): string[] {
  let text = glob
  for (let round = 0; round <= MAX_DECODINGS; round++) text = decoded(text, true)
  return [...new Set([resolved(text, true, true), resolved(text, false, true)])]
}
