/**
 * An equal text with its own memory. A slice of a long text keeps all of that text in memory. The text must hold no
 * lone surrogates; text decoded from UTF-8 has none.
 */
export function detached(slice: string): string {
  return Buffer.from(slice).toString()
}
