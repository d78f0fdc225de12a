/**
 * What of a client can make a server show it other lists: its era, and which of the capabilities that are passed on it has. Two clients of one kind are shown the
 * same. A letter for the era, then one for each capability: 32 kinds there are.
 */
export type ClientKind = string

const LETTERS = [
  ['e', '"elicitation":'],
  ['r', '"roots":'],
  ['s', '"sampling":'],
  ['u', '"io.modelcontextprotocol/ui":'],
] as const

const known = new Map<string, string>()
/** Clients may declare details without end; of so many texts the letters are remembered. */
const MAX_KNOWN = 1000

/** `capabilities` is raw JSON as `forwardableCapabilities` and `declaredTo` give it. */
export function kindOf(modern: boolean, capabilities: string): ClientKind {
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
