/** Characters of a piece. */
const PIECE = 64 * 1024

/**
 * A large text as bytes, piece by piece as it is written: as one buffer it would lie beside the text until all of it is sent, and the allocator keeps
 * what many of these have taken.
 */
export async function* pieces(text: string): AsyncGenerator<Buffer> {
  for (let start = 0; start < text.length;) {
    let end = start + PIECE
    // Not between the halves of one character.
    if (end < text.length && isHighSurrogate(text.charCodeAt(end - 1))) end--
    yield Buffer.from(text.slice(start, end))
    start = end
  }
}

function isHighSurrogate(unit: number): boolean {
  return unit >= 0xd800 && unit < 0xdc00
}
