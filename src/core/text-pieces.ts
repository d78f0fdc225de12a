/** Characters per piece. */
const PIECE = 64 * 1024

/** End of the piece of `text` that begins at `start`; never within a surrogate pair. */
export function pieceEnd(text: string, start: number): number {
  const end = start + PIECE
  if (end >= text.length) return text.length
  return isHighSurrogate(text.charCodeAt(end - 1)) ? end - 1 : end
}

function isHighSurrogate(unit: number): boolean {
  return unit >= 0xd800 && unit < 0xdc00
}
