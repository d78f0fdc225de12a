import { createHash } from 'node:crypto'
import { GatewayError } from '../core/errors.ts'

/** Of the definitions on one page of a list, whatever their number. */
const MAX_PAGE_CHARS = 8 * 1024 * 1024
/** Of what becomes bytes at a time. */
const PART_CHARS = 64 * 1024

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

/** The definitions on one page of a list, as JSON. */
export class Definitions {
  /** How many there are. */
  count = 0
  #chars = 0
  /** The end of them. */
  #rest = ''
  readonly #parts: Buffer[] = []

  /** Takes one more, unless the page has no room left for it. One entry fits on every page. */
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

  /** All of them between what stands before and after them. */
  between(before: string, after: string): Buffer {
    return Buffer.concat([Buffer.from(before), ...this.#parts, Buffer.from(this.#rest + after)])
  }
}
