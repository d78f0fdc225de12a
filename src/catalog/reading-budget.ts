import { textsOf, readingsOf } from '../core/uri-readings.ts'

/**
 * Maximum characters of all equivalents of the URIs of one list. Each view of a client with rules goes through all of
 * them, which takes about a second at most.
 */
const MAX_READING_CHARS_OF_LIST = 16 * 1024 * 1024

/** Bounds the equivalents of the URIs in one list of a server. */
export class ReadingBudget {
  #left = MAX_READING_CHARS_OF_LIST

  /** Describes the exceeded bound. The rest of the list is not examined then. */
  get exceeded(): string | undefined {
    return this.#left < 0
      ? `more than ${MAX_READING_CHARS_OF_LIST} characters in all that its URIs can be read as`
      : undefined
  }

  /** Counts a URI. @returns what is wrong with a URI that clients cannot use, because a request for it is refused */
  take(uri: string): string | undefined {
    for (const text of textsOf(uri)) this.#left -= text.length
    return readingsOf(uri)?.endless
      ? 'it is percent-encoded over and over, or can be read in too many ways'
      : undefined
  }
}
