import { randomInt } from 'node:crypto'

/** The largest prime below 2^26: products of two smaller numbers are exact. */
const MODULUS = 67_108_859
/** Random, so that servers and clients cannot choose names with equal hashes. */
const BASE = randomInt(65_537, MODULUS)
/** Greater than each relevant length, so that names of different lengths have different keys. */
const LENGTHS = 16_384

/**
 * Finds the items whose names are part of the path of a URI, in one pass over its characters: the hash of a prefix is
 * computed from that of the prefix before it, and only prefixes that end at a slash are looked up.
 */
export class PathIndex<T> {
  readonly #byKey = new Map<number, T[]>()

  add(name: string, item: T): void {
    const key = keyOf(name)
    const those = this.#byKey.get(key)
    if (those) those.push(item)
    else this.#byKey.set(key, [item])
  }

  delete(name: string, item: T): void {
    const key = keyOf(name)
    const left = this.#byKey.get(key)?.filter(other => other !== item) ?? []
    if (left.length > 0) this.#byKey.set(key, left)
    else this.#byKey.delete(key)
  }

  /**
   * Items whose name `isPartOf` the URI. They may include a name with the same hash, because names are not compared.
   */
  near(uri: string): T[] {
    const found: T[] = []
    let hash = 0
    for (let length = 0; length <= uri.length; length++) {
      const those = endsPart(uri, length) && this.#byKey.get(hash * LENGTHS + (length % LENGTHS))
      if (those) found.push(...those)
      if (length < uri.length) hash = next(hash, uri.charCodeAt(length))
    }
    return found
  }
}

/** Whether a name is this URI, or a part of its path. */
export function isPartOf(name: string, uri: string): boolean {
  return uri.startsWith(name) && endsPart(uri, name.length)
}

function endsPart(uri: string, length: number): boolean {
  return length === uri.length || uri[length] === '/' || uri[length - 1] === '/'
}

function next(hash: number, code: number): number {
  return (hash * BASE + code + 1) % MODULUS
}

function keyOf(name: string): number {
  let hash = 0
  for (let at = 0; at < name.length; at++) hash = next(hash, name.charCodeAt(at))
  return hash * LENGTHS + (name.length % LENGTHS)
}
