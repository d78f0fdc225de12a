import { everyKey, placesOf, type Key } from '../options/keys.ts'
import { valueAt, type Path } from '../problem.ts'

let pending: Key[] | undefined

/** Paths in `value` (a whole file, valid or not) of options without effect in this version. */
export function findPending(value: unknown): Path[] {
  pending ??= everyKey().filter(({ option }) => option.pending)
  return pending.flatMap(({ path, option }) =>
    placesOf(value, path).filter(place => {
      const at = valueAt(value, place)
      return at !== undefined && !option.pending?.harmless?.(at)
    }),
  )
}
