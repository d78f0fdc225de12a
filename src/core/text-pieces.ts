/** Characters of a piece. */
const PIECE = 64 * 1024

/** Where the piece of `text` that begins at `start` ends; never between the halves of one character. */
export function pieceEnd(text: string, start: number): number {
  const end = start + PIECE
  if (end >= text.length) return text.length
  return isHighSurrogate(text.charCodeAt(end - 1)) ? end - 1 : end
}

function isHighSurrogate(unit: number): boolean {
  return unit >= 0xd800 && unit < 0xdc00
}
