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
  /** What will run, or where it is, on one line. */
  readonly shown: string
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

/** Variables by which a description could run something else than what is shown. */
const DANGEROUS =
  /^(?:PATH|HOME|SHELL|NODE_OPTIONS|NODE_PATH|PYTHONPATH|PYTHONSTARTUP|BASH_ENV|ENV|IFS|LD_.*|DYLD_.*)$/i

/** Whether a name is one of an environment variable that a description may set. */
export function isVariableName(name: string): boolean {
  return /^[A-Za-z_]\w{0,127}$/.test(name) && !DANGEROUS.test(name)
}
