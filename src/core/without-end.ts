/**
 * Removes all trailing occurrences of a character. The expression `/x+$/` takes time quadratic in the length of a run
 * before the end.
 */
export function withoutEnd(text: string, char: string): string {
  let end = text.length
  while (end > 0 && text[end - 1] === char) end--
  return text.slice(0, end)
}
