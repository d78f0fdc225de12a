import { GatewayError } from '../core/errors.ts'
import { skipSpace } from './json-text.ts'

/**
 * Counts the values in a JSON text, whose number the text size does not bound usefully: `JSON.parse` takes about 300 ns
 * and 80 bytes for each `{}`, and 1 µs for each member with a new name. Texts from outside are counted before they are
 * parsed.
 */

/** Maximum in a message of a server: half a second of parsing when all names differ. */
export const MAX_SERVER_VALUES = 500_000
/** Maximum in a message of a client: a tenth of a second. */
export const MAX_CLIENT_VALUES = 100_000
/** Average memory of a parsed value, in bytes. */
export const VALUE_BYTES = 64

/** Shorter texts cannot contain enough values to matter. */
const UNCOUNTED_CHARS = 64 * 1024

const QUOTE = 34
const COMMA = 44
const OPEN_BRACKET = 91
const BACKSLASH = 92
const CLOSE_BRACKET = 93
const OPEN_BRACE = 123
const CLOSE_BRACE = 125

/**
 * Number of values that `JSON.parse` would create, nested ones included. Counting stops at `max + 1`. The text need not
 * be valid JSON. Costs one step for each character outside of strings.
 */
export function countValues(text: string, max = Infinity): number {
  let count = 1
  for (let at = 0; at < text.length && count <= max;) {
    const code = text.charCodeAt(at)
    if (code === QUOTE) {
      at = afterString(text, at)
      continue
    }
    at++
    if (code === COMMA) count++
    else if (code === OPEN_BRACE || code === OPEN_BRACKET) {
      const next = text.charCodeAt(skipSpace(text, at))
      if (next !== CLOSE_BRACE && next !== CLOSE_BRACKET) count++
    }
  }
  return count
}

/** Whether a text contains more than `max` values. Short texts are not counted. */
export function hasMoreValues(text: string, max: number): boolean {
  return text.length > UNCOUNTED_CHARS && countValues(text, max) > max
}

/** Index after the string that starts at `at`, or the end of the text. */
function afterString(text: string, at: number): number {
  const end = text.indexOf('"', at + 1)
  if (end < 0) return text.length
  if (text.charCodeAt(end - 1) !== BACKSLASH) return end + 1
  // A new search for each of many escaped quotes would cost more than one step per character.
  for (let next = at + 1; next < text.length; next++) {
    const code = text.charCodeAt(next)
    if (code === BACKSLASH) next++
    else if (code === QUOTE) return next + 1
  }
  return text.length
}

/** A client message that contains too many values. */
export class TooManyValues extends GatewayError {
  /** Raw text of the request's id, when it is found at either end of the message. */
  readonly id: string | undefined

  constructor(text: string) {
    super(
      'too_large',
      `The message holds more than ${MAX_CLIENT_VALUES} values; no more are taken in one. Fix: send less at once, or send data as text.`,
    )
    this.id = endsRequestId(text)
  }
}

/** Length of the part at either end in which the id is searched. */
const END_CHARS = 512
const ID = String.raw`"id"\s*:\s*(-?\d{1,15}|"[^"\\]{0,200}")`
const PLAIN = String.raw`"(?:jsonrpc|method)"\s*:\s*"[^"\\]*"`
const REQUEST_HEAD = new RegExp(String.raw`^\s*\{\s*(?:${PLAIN}\s*,\s*)*${ID}\s*,`)
/** A single closing brace shows that it is a member of the message itself. */
const REQUEST_TAIL = new RegExp(String.raw`,\s*${ID}\s*(?:,\s*${PLAIN}\s*)*\}\s*$`)

function endsRequestId(text: string): string | undefined {
  const match = REQUEST_HEAD.exec(text.slice(0, END_CHARS)) ?? REQUEST_TAIL.exec(text.slice(-END_CHARS))
  return /^\s*\{/.test(text) ? match?.[1] : undefined
}
