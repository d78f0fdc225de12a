import { signsOf } from './signs.ts'

/** Maximum nesting of objects and lists: far more than any option needs, and few enough for recursive code. */
export const MAX_DEPTH = 64

/**
 * Whether objects and lists are nested deeper than `MAX_DEPTH`. `text` is JSON, with or without comments, or any other
 * text.
 */
export function isNestedTooDeep(text: string): boolean {
  let depth = 0
  for (const { sign } of signsOf(text))
    if (sign === '{' || sign === '[') {
      if (++depth > MAX_DEPTH) return true
    } else if (sign === '}' || sign === ']') depth--
  return false
}
