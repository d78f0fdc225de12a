import { editCells, editDistance } from '../core/edit-distance.ts'
import type { CatalogEntry } from './catalog-entry.ts'

/** Maximum number of suggested names. */
const MOST = 3
/** Maximum number of entries that a name is compared with. */
const MAX_COMPARED = 2000
/** Maximum length of the given name, and of names that it is compared with. */
const MAX_LENGTH = 128
/** A quarter of the name may differ, but at most this many characters. */
const MAX_EDITS = 4
/** Steps of one search, some milliseconds. Clients may send unknown names as often as they like. */
const MAX_CELLS = 200_000

/** An entry whose name may be similar. */
interface Pair {
  readonly at: number
  readonly sought: string
  readonly text: string
  readonly limit: number
  /** Lower bound of the edit distance, from the counts of characters alone. */
  readonly least: number
}

const plain = (text: string): string => text.toLowerCase().replace(/[-_.]/g, '')

/**
 * Exposed names of the entries that are nearest to an unknown name, nearest first: misspelt, with another prefix, or
 * without one. The search is bounded: pairs with the most characters in common are compared first.
 */
export function similarNames(name: string, entries: readonly CatalogEntry[]): string[] {
  if (name.length > MAX_LENGTH) return []
  const separator = name.indexOf('__')
  const whole = new WantedName(name)
  const bare = separator < 0 ? whole : new WantedName(name.slice(separator + 2))
  const pairs: Pair[] = []
  for (let at = 0; at < Math.min(entries.length, MAX_COMPARED); at++) {
    const { route } = entries[at] as CatalogEntry
    whole.compare(route.exposed, at, pairs)
    bare.compare(route.own, at, pairs)
  }
  pairs.sort((a, b) => a.least - b.least)
  return nearest(pairs).map(at => (entries[at] as CatalogEntry).route.exposed)
}

/** Indexes of the nearest entries. */
function nearest(pairs: readonly Pair[]): number[] {
  const found = new Map<number, number>()
  let nearest = Infinity
  let cells = 0
  for (const { at, sought, text, limit, least } of pairs) {
    const most = Math.min(limit, nearest + 1)
    if (least > most) continue
    cells += editCells(sought, text, most)
    if (cells > MAX_CELLS) break
    const distance = editDistance(sought, text, most)
    if (distance > most) continue
    found.set(at, Math.min(distance, found.get(at) ?? Infinity))
    nearest = Math.min(nearest, distance)
  }
  return [...found]
    .filter(([, distance]) => distance <= nearest + 1)
    .sort(([a, x], [b, y]) => x - y || a - b)
    .slice(0, MOST)
    .map(([at]) => at)
}

/** The unknown name. */
class WantedName {
  readonly #text: string
  readonly #limit: number
  /** Count of each character in it. Index 128 stands for all that are not ASCII. */
  readonly #counts = new Int32Array(129)

  constructor(name: string) {
    this.#text = plain(name)
    this.#limit = Math.max(1, Math.min(MAX_EDITS, Math.floor(this.#text.length / 4)))
    for (let at = 0; at < this.#text.length; at++) (this.#counts[this.#class(this.#text, at)] as number)++
  }

  /** Adds the entry if its name may be similar. */
  compare(name: string, at: number, pairs: Pair[]): void {
    if (this.#text === '' || name.length > 2 * MAX_LENGTH) return
    const text = plain(name)
    if (text === '' || Math.abs(text.length - this.#text.length) > this.#limit) return
    const least = this.#least(text)
    if (least <= this.#limit) pairs.push({ at, sought: this.#text, text, limit: this.#limit, least })
  }

  /** Number of characters of the longer name that the other does not have. */
  #least(text: string): number {
    const counts = this.#counts
    let common = 0
    for (let at = 0; at < text.length; at++) if ((counts[this.#class(text, at)] as number)-- > 0) common++
    for (let at = 0; at < text.length; at++) (counts[this.#class(text, at)] as number)++
    return Math.max(text.length, this.#text.length) - common
  }

  #class(text: string, at: number): number {
    return Math.min(text.charCodeAt(at), 128)
  }
}
