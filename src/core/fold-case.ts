/**
 * A text as readers see it that ignore case: equal for two texts that differ in nothing else. The classes are at least those of Unicode simple case folding,
 * which `encoding/json` of Go uses (U+017F is `s`, U+212A is `k`). Upper and lower case add the dotted and the dotless `i` of Java and .NET. A lone
 * surrogate counts as U+FFFD, which it becomes in UTF-8.
 */
export function foldCase(text: string): string {
  if (isAscii(text)) return text.toLowerCase()
  // Some letters meet in lower case alone (U+212A), others in upper case alone (U+03C2), so that one of the two is not enough.
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

/** Names that some readers take for others of the same object. */
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

  /** The known name that `name` is a variant of; `undefined` for a known one and for one that is like none of them. */
  variantOf(name: string): string | undefined {
    return this.#exact.has(name) ? undefined : this.#folded.get(foldCase(name))
  }

  /** Whether it is known, or a variant of what is. */
  resembles(name: string): boolean {
    return this.#exact.has(name) || this.#folded.has(foldCase(name))
  }
}

/** Two of the keys that differ in case only; `undefined` when there are none. */
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
