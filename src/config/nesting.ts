import { endOfComment, endOfText } from './skip.ts'

/** Objects and lists in one another: far more than any option needs, and few enough for what walks through a file. */
export const MAX_DEPTH = 64

/** Whether objects and lists are nested deeper than a file may have them. `text` is JSON, with or without comments, or anything else. */
export function isNestedTooDeep(text: string): boolean {
  let depth = 0
  for (let at = 0; at < text.length; at++) {
    switch (text[at]) {
      case '"':
        at = endOfText(text, at)
        break
      case '/':
        at = endOfComment(text, at)
        break
      case '{':
      case '[':
        if (++depth > MAX_DEPTH) return true
        break
      case '}':
      case ']':
        depth--
        break
    }
  }
  return false
}
