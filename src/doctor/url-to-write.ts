import { redact } from '../observe/redact.ts'

/**
 * The address to write in place of one in the file, with its variables as they are written. `undefined`: it cannot be
 * told, or a part of it may be secret.
 * @param written the address in the file
 */
export function urlToWrite(
  written: string | undefined,
  change: (written: string) => string,
): string | undefined {
  if (written === undefined || !/^https?:\/\//i.test(written)) return undefined
  const text = change(written)
  // A query often holds a key, and so may what stands in place of a variable that is not set.
  const isOpen = !/[?#]|:-|^[^/]*\/\/[^/]*@/.test(text) && redact(text) === text
  return isOpen && text !== written ? text : undefined
}

/** Its own path replaced by the usual one. */
export function atUsualPath(written: string): string {
  return written.replace(/^([^/]*\/\/[^/?#]*).*$/s, '$1/mcp')
}
