/** An equal text of its own. A slice of a long text keeps all of that text in memory. No lone surrogates: texts that came as UTF-8 have none. */
export function detached(slice: string): string {
  return Buffer.from(slice).toString()
}
