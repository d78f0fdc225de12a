import { createHash } from 'node:crypto'
import { GatewayError } from '../core/errors.ts'

/** Maximum characters of the definitions on one page of a list. */
const MAX_PAGE_CHARS = 8 * 1024 * 1024
/** Characters that are encoded at a time. */
const PART_CHARS = 64 * 1024

/** Cursor of the page that begins at `offset`. `signature`: signature of the current list. */
export function cursorAt(offset: number, signature: string): string {
  const digest = createHash('sha256').update(`${offset} ${signature}`).digest('base64url').slice(0, 16)
  return Buffer.from(`${offset}.${digest}`).toString('base64url')
}

/**
 * The offset in a cursor.
 * @throws GatewayError `invalid_params` for a cursor that does not belong to the current list
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

/** The definitions on one page of a list, as JSON. */
export class Definitions {
  /** Number of definitions. */
  count = 0
  #chars = 0
  /** The text that is not encoded yet. */
  #rest = ''
  readonly #parts: Buffer[] = []

  /** Adds a definition. `false`: the page has no room left. The first definition always fits. */
  add(text: string): boolean {
    this.#chars += text.length
    if (this.#chars > MAX_PAGE_CHARS && this.count > 0) return false
    this.#rest += this.count++ === 0 ? text : `,${text}`
    if (this.#rest.length > PART_CHARS) {
      this.#parts.push(Buffer.from(this.#rest))
      this.#rest = ''
    }
    return true
  }

  /** Encodes all definitions between the texts `before` and `after`. */
  between(before: string, after: string): Buffer {
    return Buffer.concat([Buffer.from(before), ...this.#parts, Buffer.from(this.#rest + after)])
  }
}
