import { createHash } from 'node:crypto'
import { GatewayError } from '../core/errors.ts'

/** Of the definitions on one page of a list, whatever their number. */
const MAX_PAGE_CHARS = 8 * 1024 * 1024

/** Where the page of a list begins at which a client continues. `signature`: of the list as it is now. */
export function cursorAt(offset: number, signature: string): string {
  const digest = createHash('sha256').update(`${offset} ${signature}`).digest('base64url').slice(0, 16)
  return Buffer.from(`${offset}.${digest}`).toString('base64url')
}

/**
 * The offset in a cursor.
 * @throws GatewayError `invalid_params` for a cursor that is not of this list as it is now
 */
export function offsetOf(cursor: unknown, count: number, signature: string): number {
  const offset =
    typeof cursor === 'string' ? Number.parseInt(Buffer.from(cursor, 'base64url').toString(), 10) : Number.NaN
  if (
    !Number.isSafeInteger(offset) ||
    offset <= 0 ||
    offset >= count ||
    cursorAt(offset, signature) !== cursor
  )
    throw new GatewayError(
      'invalid_params',
      'The cursor is not of this list, or the list has changed since. Start again without a cursor.',
    )
  return offset
}

/** Those of the texts that are on a page which begins with them: all, or fewer by size; no others are asked for. One entry fits on every page. */
export function fitting(texts: Iterable<string>): readonly string[] {
  const those: string[] = []
  let chars = 0
  for (const text of texts) {
    chars += text.length
    if (chars > MAX_PAGE_CHARS && those.length > 0) break
    those.push(text)
  }
  return those
}
