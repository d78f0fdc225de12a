import type { JsonObject } from '../core/exchange.ts'

/** A value that a person gives before a server can be added. */
export interface AskedValue {
  /** Name within the plan. */
  readonly key: string
  /** What it is called where it is kept: an environment variable, or a word. */
  readonly label: string
  readonly description: string
  readonly isRequired: boolean
  readonly isSecret: boolean
  readonly otherwise: string | undefined
  /** The only permitted values; empty: any. */
  readonly choices: readonly string[]
}

/** How a server that others have described becomes an entry of the configuration. */
export interface AddPlan {
  /** Name for the server. */
  readonly name: string
  readonly description: string
  /** What a person has to know before, each a sentence: what is left out, and why. */
  readonly notes: readonly string[]
  readonly asked: readonly AskedValue[]
  /** The entry. `valueOf` gives the text for a value that was asked for; `undefined`: it was left out. */
  entry(valueOf: (key: string) => string | undefined): JsonObject
}

/** A text that others have written, for a configuration file: variables in it are not expanded. */
export function literal(text: string): string {
  return text.replaceAll('${', () => '$${')
}

/**
 * Pieces of one text, each a literal or a variable of the gateway's own. Where two literals make a variable between
 * them, it is not expanded either.
 */
export function joinedText(pieces: readonly string[]): string {
  let text = ''
  for (const piece of pieces) text += text.endsWith('$') && piece.startsWith('{') ? `$${piece}` : piece
  return text
}
