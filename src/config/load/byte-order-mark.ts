const MARK = '\uFEFF'

/** The byte order mark of a text, which may be empty. */
export function byteOrderMark(text: string): string {
  return text.startsWith(MARK) ? MARK : ''
}

/** A text without its byte order mark. */
export function unmarked(text: string): string {
  return text.slice(byteOrderMark(text).length)
}
