/**
 * The properties of a client on which a server's lists may depend: its era and its relayed capabilities. Clients of one
 * kind see the same lists. One letter for the era, then one for each capability: 32 kinds in all.
 */
export type ClientKind = string

const LETTERS = [
  ['e', '"elicitation":'],
  ['r', '"roots":'],
  ['s', '"sampling":'],
  ['u', '"io.modelcontextprotocol/ui":'],
] as const

const known = new Map<string, string>()
/** Clients may declare unbounded details; the letters of this many texts are cached. */
const MAX_KNOWN = 1000

/** `capabilities` is raw JSON from `forwardableCapabilities` or `declaredTo`. */
export function clientKindOf(modern: boolean, capabilities: string): ClientKind {
  if (capabilities === '' || capabilities === '{}') return modern ? 'm' : 'l'
  let letters = known.get(capabilities)
  if (letters === undefined) {
    letters = LETTERS.flatMap(([letter, member]) => (capabilities.includes(member) ? letter : [])).join('')
    if (known.size >= MAX_KNOWN) known.clear()
    known.set(capabilities, letters)
  }
  return (modern ? 'm' : 'l') + letters
}

/** The same capabilities in the other era. */
export function inOtherEra(kind: ClientKind): ClientKind {
  return (kind.startsWith('m') ? 'l' : 'm') + kind.slice(1)
}
