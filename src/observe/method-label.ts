import { MODERN_METHODS } from '../protocol/revisions.ts'
const OTHER = 'other'

/** Methods of the legacy era alone. */
const LEGACY_METHODS: ReadonlySet<string> = new Set([
  'initialize',
  'ping',
  'logging/setLevel',
  'resources/subscribe',
  'resources/unsubscribe',
  'tasks/list',
  'tasks/result',
])

/** A method as the value of a label. Clients may send any other. */
export function methodLabel(method: string): string {
  return MODERN_METHODS.has(method) || LEGACY_METHODS.has(method) ? method : OTHER
}
