import { inTurns } from '../../core/slices.ts'
import type { Config } from '../types.ts'

/**
 * `next`, with the objects of `running` wherever both have equal values, at any depth. What compares the two afterwards
 * compares references (`===`). It works in slices, so that a configuration of any size leaves time for requests.
 */
export async function withSharedParts(running: Config, next: Config): Promise<Config> {
  if (running === next) return next
  return {
    ...next,
    servers: await sharedEntries(running.servers, next.servers),
    clients: await sharedEntries(running.clients, next.clients),
    roles: await sharedEntries(running.roles, next.roles),
    profiles: await sharedEntries(running.profiles, next.profiles),
    gateway: shared(running.gateway, {
      ...next.gateway,
      rules: await sharedItems(running.gateway.rules, next.gateway.rules),
    }),
  }
}

/** Entries are compared with the entry of the same name. */
async function sharedEntries<T extends { readonly name: string }>(
  before: readonly T[],
  after: readonly T[],
): Promise<readonly T[]> {
  const old = new Map(before.map(entry => [entry.name, entry]))
  const entries = await inTurns(after, entry => shared(old.get(entry.name), entry))
  return isEach(entries, before) ? before : entries
}

/** Items are compared with the item at the same place. */
async function sharedItems<T>(before: readonly T[], after: readonly T[]): Promise<readonly T[]> {
  let at = 0
  const items = await inTurns(after, item => shared(before[at++], item))
  return isEach(items, before) ? before : items
}

/** `after`, or `before` where they are equal, and the same for all of their members. */
function shared<T>(before: unknown, after: T): T {
  if (before === after || typeof before !== 'object' || typeof after !== 'object') return after
  if (before === null || after === null || Array.isArray(before) !== Array.isArray(after)) return after
  if (Array.isArray(before)) {
    const old: readonly unknown[] = before
    const items = (after as readonly unknown[]).map((item, at) => shared(old[at], item))
    return (isEach(items, old) ? old : items) as T
  }
  const old = before as Readonly<Record<string, unknown>>
  const members: [string, unknown][] = []
  let isEqual = true
  for (const [key, value] of Object.entries(after)) {
    const former = Object.hasOwn(old, key) ? old[key] : undefined
    const member: unknown = shared(former, value)
    isEqual &&= member === former
    members.push([key, member])
  }
  // A member with the value `undefined` counts as absent.
  isEqual &&= Object.keys(old).every(key => old[key] === undefined || Object.hasOwn(after, key))
  return (isEqual ? old : Object.fromEntries(members)) as T
}

/** Whether two lists have the same objects in the same order. */
function isEach(a: readonly unknown[], b: readonly unknown[]): boolean {
  return a.length === b.length && a.every((item, at) => item === b[at])
}
