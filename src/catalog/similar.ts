import { editDistance } from '../core/edit-distance.ts'
import type { Listed } from './listed.ts'

/** More than these are of no help, and a name that is sent in must not be expensive. */
const MOST = 3
const MAX_COMPARED = 2000
const MAX_LENGTH = 128

const plain = (text: string): string => text.toLowerCase().replace(/[-_.]/g, '')

/** Exposed names of entries that a name was most likely meant for, nearest first: misspelt, with another prefix, or without one. */
export function similarNames(name: string, entries: readonly Listed[]): string[] {
  if (name.length > MAX_LENGTH) return []
  const whole = plain(name)
  const separator = name.indexOf('__')
  const bare = separator < 0 ? whole : plain(name.slice(separator + 2))
  const found: { readonly name: string; readonly distance: number }[] = []
  for (const { route } of entries.slice(0, MAX_COMPARED)) {
    const distance = Math.min(within(whole, plain(route.exposed)), within(bare, plain(route.own)))
    if (distance < Infinity) found.push({ name: route.exposed, distance })
  }
  found.sort((a, b) => a.distance - b.distance)
  const nearest = found[0]?.distance ?? 0
  return found
    .filter(({ distance }) => distance <= nearest + 1)
    .slice(0, MOST)
    .map(entry => entry.name)
}

function within(a: string, b: string): number {
  return a === '' || b === '' ? Infinity : editDistance(a, b, Math.max(1, Math.floor(a.length / 4)))
}
