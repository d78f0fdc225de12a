import { isJsonObject } from '../../core/json-object.ts'
import type { Path } from '../problem.ts'

/** A value that differs between two configurations; `undefined` when absent. */
export interface ValueDifference {
  readonly path: Path
  readonly before: unknown
  readonly after: unknown
}

/** Whether two plain values are equal. The order of keys and keys with the value `undefined` are ignored. */
export function isSame(a: unknown, b: unknown): boolean {
  if (a === b) return true
  if (typeof a !== 'object' || typeof b !== 'object' || a === null || b === null) return false
  if (Array.isArray(a) || Array.isArray(b)) {
    if (!Array.isArray(a) || !Array.isArray(b) || a.length !== b.length) return false
    return a.every((item, at) => isSame(item, b[at]))
  }
  const [left, right] = [a as Record<string, unknown>, b as Record<string, unknown>]
  for (const key of Object.keys(left)) if (!isSame(left[key], own(right, key))) return false
  for (const key of Object.keys(right))
    if (!Object.hasOwn(left, key) && right[key] !== undefined) return false
  return true
}

/** A member, and not what every object inherits: names of servers and tools may be `constructor`. */
function own(object: Readonly<Record<string, unknown>>, key: string): unknown {
  return Object.hasOwn(object, key) ? object[key] : undefined
}

/**
 * The innermost members that differ. A list is one value, unless its items have names (`glob`, `match`), which then act
 * as keys.
 * @param skip members of `before` and `after` themselves that are left out
 */
export function different(before: unknown, after: unknown, skip?: ReadonlySet<string>): ValueDifference[] {
  const found: ValueDifference[] = []
  const visit = (a: unknown, b: unknown, path: Path): void => {
    if (isSame(a, b)) return
    const [left, right] = [membersOf(a), membersOf(b)]
    if (!left || !right) {
      found.push({ path, before: a, after: b })
      return
    }
    for (const key of new Set([...Object.keys(left), ...Object.keys(right)]))
      if (path.length > 0 || !skip?.has(key)) visit(own(left, key), own(right, key), [...path, key])
  }
  visit(before, after, [])
  return found
}

function membersOf(value: unknown): Record<string, unknown> | undefined {
  if (isJsonObject(value)) return value
  if (!Array.isArray(value) || value.length === 0) return undefined
  const members: Record<string, unknown> = {}
  for (const item of value as unknown[]) {
    const name = isJsonObject(item) ? (item['glob'] ?? item['match']) : undefined
    if (typeof name !== 'string' || Object.hasOwn(members, name)) return undefined
    members[name] = item
  }
  return members
}
