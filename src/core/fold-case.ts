/**
 * The case-insensitive form of a text: equal for texts that differ only in case. The classes include those of Unicode
 * simple case folding, which `encoding/json` of Go uses (U+017F is `s`, U+212A is `k`), and the dotted and dotless `i`
 * that Java and .NET fold. A lone surrogate counts as U+FFFD, as in UTF-8.
 */
export function foldCase(text: string): string {
  if (isAscii(text)) return text.toLowerCase()
  // Both conversions are needed: some letters are equal only in lower case (U+212A), others only in upper case
  // (U+03C2).
  return wellFormed(text).replaceAll('\u0130', 'i').toLowerCase().toUpperCase().toLowerCase()
}

function isAscii(text: string): boolean {
  for (let at = 0; at < text.length; at++) if (text.charCodeAt(at) > 127) return false
  return true
}

const LONE_SURROGATE = /[\ud800-\udbff](?![\udc00-\udfff])|(?<![\ud800-\udbff])[\udc00-\udfff]/g

function wellFormed(text: string): string {
  return text.replace(LONE_SURROGATE, '\ufffd')
}

/** A set of names that case-insensitive parsers may confuse with other names of the same object. */
export class KnownNames {
  readonly #exact: ReadonlySet<string>
  readonly #folded: ReadonlyMap<string, string>

  constructor(names: Iterable<string>) {
    this.#exact = new Set(names)
    this.#folded = new Map([...this.#exact].map(name => [foldCase(name), name]))
  }

  has(name: string): boolean {
    return this.#exact.has(name)
  }

  /** The known name that `name` is a variant of; `undefined` when `name` itself is known or resembles none. */
  variantOf(name: string): string | undefined {
    return this.#exact.has(name) ? undefined : this.#folded.get(foldCase(name))
  }

  /** Whether the name is known, or a variant of a known name. */
  resembles(name: string): boolean {
    return this.#exact.has(name) || this.#folded.has(foldCase(name))
  }
}

/** Two keys that differ only in case; `undefined` when there are none. */
export function likePair(keys: readonly string[]): readonly [string, string] | undefined {
  if (keys.length < 2) return undefined
  const seen = new Map<string, string>()
  for (const key of keys) {
    const folded = foldCase(key)
    const other = seen.get(folded)
    if (other !== undefined && other !== key) return [other, key]
    seen.set(folded, key)
  }
  return undefined
}
