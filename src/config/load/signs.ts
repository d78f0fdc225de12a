/** A structural character of JSON, or a string with its quotes. */
export interface Sign {
  /** The character, or the quote that begins the string. */
  readonly sign: string
  readonly begin: number
  /** Offset after its last character. */
  readonly end: number
}

/**
 * The structural characters and strings of JSON, with or without comments, in order; everything else is skipped. `text`
 * may be any text.
 */
export function* signsOf(text: string): Generator<Sign, void, undefined> {
  for (let at = 0; at < text.length; at++) {
    const sign = text.charAt(at)
    if (sign === '/') {
      at = endOfComment(text, at)
      continue
    }
    const begin = at
    if (sign === '"') at = endOfText(text, at)
    else if (!'{}[]:,'.includes(sign)) continue
    yield { sign, begin, end: at + 1 }
  }
}

/** Offset of the quote that ends the string which begins at `begin`. */
function endOfText(text: string, begin: number): number {
  for (let at = begin + 1; at < text.length; at++) {
    if (text[at] === '\\') at++
    else if (text[at] === '"') return at
  }
  return text.length
}

/** Offset of the last character of the comment which begins at `begin`; `begin` when there is none. */
function endOfComment(text: string, begin: number): number {
  const isLine = text[begin + 1] === '/'
  if (!isLine && text[begin + 1] !== '*') return begin
  const end = text.indexOf(isLine ? '\n' : '*/', begin + 2)
  return end < 0 ? text.length : isLine ? end : end + 1
}
