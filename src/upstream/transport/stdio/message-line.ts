const QUOTE = 0x22
const OPENING_BRACKET = 0x5b
const CLOSING_BRACKET = 0x5d
const OPENING_BRACE = 0x7b
const CLOSING_BRACE = 0x7d

/**
 * Whether a line of a server's standard output begins like an object or an array of objects. `[info] …` and `{ level:
 * 30 }` do not.
 */
export function beginsMessage(bytes: Buffer, start: number, end: number): boolean {
  const first = bytes[start]
  if (first !== OPENING_BRACE && first !== OPENING_BRACKET) return false
  let at = start + 1
  while (at < end && isSpace(bytes[at])) at++
  const second = bytes[at]
  return first === OPENING_BRACE
    ? second === QUOTE || second === CLOSING_BRACE
    : second === OPENING_BRACE || second === CLOSING_BRACKET
}

/** White space that may surround a message. */
export function isSpace(byte: number | undefined): boolean {
  return byte === 0x20 || byte === 0x09 || byte === 0x0d
}
