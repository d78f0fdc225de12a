import { Positions } from './positions.ts'
import type { Path, Problem } from '../problem.ts'
import { signsOf, type Sign } from './signs.ts'

/** An object or a list that is not closed yet. */
interface Open {
  /** The keys so far; `undefined` for a list. */
  readonly keys: Map<string, Duplicate | undefined> | undefined
  /** The current key or index of the scan. */
  at: string | number
}

interface Duplicate {
  readonly path: Path
  times: number
  /** Offset of its last occurrence. */
  last: number
}

/**
 * Finds keys that occur more than once in one object, of which a parser silently keeps the last. It runs at each start,
 * even for a file known to be valid, because that knowledge covers only the values.
 * @param text parsable JSON, with or without comments
 */
export function duplicateKeys(text: string): Problem[] {
  const found = scan(text)
  if (found.length === 0) return []
  const positions = new Positions(text)
  return found.map(({ path, times, last }): Problem => {
    const { line, column } = positions.at(last)
    const often = times === 2 ? 'twice, the second time' : `${times} times, the last time`
    return {
      path,
      about: 'key',
      cause: `is there ${often} at line ${line}, column ${column}`,
      fix: times === 2 ? 'Remove one of the two.' : 'Remove all but one.',
    }
  })
}

function scan(text: string): Duplicate[] {
  const found: Duplicate[] = []
  const open: Open[] = []
  let lastText: Sign | undefined
  for (const at of signsOf(text)) {
    const inner = open.at(-1)
    switch (at.sign) {
      case '"':
        lastText = at
        break
      case ':': {
        if (!inner?.keys || !lastText) break
        const { begin, end } = lastText
        const key = JSON.parse(text.slice(begin, end)) as string
        inner.at = key
        if (!inner.keys.has(key)) {
          inner.keys.set(key, undefined)
          break
        }
        const known = inner.keys.get(key)
        if (known) {
          known.times++
          known.last = begin
        } else {
          const duplicate = { path: open.map(part => part.at), times: 2, last: begin }
          inner.keys.set(key, duplicate)
          found.push(duplicate)
        }
        break
      }
      case ',':
        if (inner && typeof inner.at === 'number') inner.at++
        break
      case '{':
        open.push({ keys: new Map(), at: '' })
        break
      case '[':
        open.push({ keys: undefined, at: 0 })
        break
      case '}':
      case ']':
        open.pop()
        break
    }
  }
  return found
}
