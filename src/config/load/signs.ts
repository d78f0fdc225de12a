/** A sign that structures JSON, or a text with its quotes. */
export interface Sign {
  /** The sign, or the quote that begins the text. */
  readonly sign: string
  readonly begin: number
  /** Behind its last character. */
  readonly end: number
}

/** The signs and texts of JSON, with or without comments, in their order; what is neither is passed over. `text` may be anything else. */
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

/** Offset of the quote that ends the text in quotes which begins at `begin`. */
function endOfText(text: string, begin: number): number {
  for (let at = begin + 1; at < text.length; at++) {
    if (text[at] === '\\') at++
    else if (text[at] === '"') return at
  }
  return text.length
}

/** Offset of the last character of the comment which begins at `begin`; `begin` where none does. */
function endOfComment(text: string, begin: number): number {
  const isLine = text[begin + 1] === '/'
  if (!isLine && text[begin + 1] !== '*') return begin
  const end = text.indexOf(isLine ? '\n' : '*/', begin + 2)
  return end < 0 ? text.length : isLine ? end : end + 1
}
