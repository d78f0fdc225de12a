import { signsOf } from './signs.ts'

/** Objects and lists in one another: far more than any option needs, and few enough for what walks through a file. */
export const MAX_DEPTH = 64

/** Whether objects and lists are nested deeper than a file may have them. `text` is JSON, with or without comments, or anything else. */
export function isNestedTooDeep(text: string): boolean {
  let depth = 0
  for (const { sign } of signsOf(text))
    if (sign === '{' || sign === '[') {
      if (++depth > MAX_DEPTH) return true
    } else if (sign === '}' || sign === ']') depth--
  return false
}
