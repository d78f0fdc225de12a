/** A text without one character, however often it stands at its end. `/x+$/` takes time that grows with the square of a run before the end. */
export function withoutEnd(text: string, char: string): string {
  let end = text.length
  while (end > 0 && text[end - 1] === char) end--
  return text.slice(0, end)
}
