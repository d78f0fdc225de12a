import { isUtf8 } from 'node:buffer'

const REPLACEMENT = '\uFFFD'

/**
 * The text of a file in UTF-8. Other bytes would be replaced without a word, also in a secret.
 * @throws Error with the location of the first byte that is not UTF-8
 */
export function utf8Of(bytes: Buffer): string {
  const text = bytes.toString('utf8')
  if (!text.includes(REPLACEMENT) || isUtf8(bytes)) return text
  const before = text.slice(0, firstReplaced(text, bytes))
  const line = before.split('\n').length
  const column = before.length - before.lastIndexOf('\n')
  throw Object.assign(new Error(`it is not UTF-8 (line ${line}, column ${column})`), { code: CODE })
}

/** The code of the system for bytes that are no text. */
const CODE = 'EILSEQ'

/** The fix for a file that is not UTF-8; for one that was not read for another reason, `otherwise`. */
export function fixOf(error: unknown, otherwise: string): string {
  return (error as NodeJS.ErrnoException).code === CODE ? 'Save it as UTF-8.' : otherwise
}

/** Index of the first replacement character that is not in the bytes. */
function firstReplaced(text: string, bytes: Buffer): number {
  let offset = 0
  for (
    let from = 0, at = text.indexOf(REPLACEMENT);
    at >= 0;
    from = at + 1, at = text.indexOf(REPLACEMENT, from)
  ) {
    offset += Buffer.byteLength(text.slice(from, at))
    if (bytes.toString('latin1', offset, offset + 3) !== '\xEF\xBF\xBD') return at
    offset += 3
  }
  return 0
}
