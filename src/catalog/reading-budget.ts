import { textsOf, readingsOf } from '../core/uri-readings.ts'

/**
 * Characters of everything that the URIs of one list may mean. Each view of a client with rules goes through all of it: that
 * takes about a second at most.
 */
export const MAX_READING_CHARS_OF_LIST = 16 * 1024 * 1024

/** What the URIs of one list of a server may mean, within a bound for the list. */
export class ReadingBudget {
  #left = MAX_READING_CHARS_OF_LIST

  /** The bound that is exceeded, in words; the rest of the list is not looked at then. */
  get exceeded(): string | undefined {
    return this.#left < 0
      ? `more than ${MAX_READING_CHARS_OF_LIST} characters in all that its URIs can be read as`
      : undefined
  }

  /** Counts a URI. @returns what is wrong with one that clients cannot name: such a request is refused */
  take(uri: string): string | undefined {
    for (const text of textsOf(uri)) this.#left -= text.length
    return readingsOf(uri)?.endless
      ? 'it is percent-encoded over and over, or can be read in too many ways'
      : undefined
  }
}
