import { hasMoreValues, MAX_SERVER_VALUES } from '../../../protocol/values.ts'

/** Completes "sent". */
export const TOO_MANY_VALUES = `a message of more than ${MAX_SERVER_VALUES} values; no more are taken in one`

/** Whether a message of a server exceeds the maximum number of values. Such a text is not parsed. */
export function hasTooManyValues(text: string): boolean {
  return hasMoreValues(text, MAX_SERVER_VALUES)
}
