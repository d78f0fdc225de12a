/** Offset of the quote that ends the text in quotes which begins at `begin`. */
export function endOfText(text: string, begin: number): number {
  for (let at = begin + 1; at < text.length; at++) {
    if (text[at] === '\\') at++
    else if (text[at] === '"') return at
  }
  return text.length
}

/** Offset of the last character of the comment which begins at `begin`; `begin` where none does. */
export function endOfComment(text: string, begin: number): number {
  const isLine = text[begin + 1] === '/'
  if (!isLine && text[begin + 1] !== '*') return begin
  const end = text.indexOf(isLine ? '\n' : '*/', begin + 2)
  return end < 0 ? text.length : isLine ? end : end + 1
}
