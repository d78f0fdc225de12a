import { LIST_KINDS, type ListKind } from '../core/route.ts'
import type { Caching } from '../protocol/caching.ts'
import { LIST_METHODS } from './ingest.ts'
import type { Member } from './endpoint-catalog.ts'
import type { ServerSnapshot } from './snapshot.ts'

/**
 * How long a list made of those of several servers may be kept, or what was discovered of them, and for whom: as all of them agree to. One that has never been
 * listed may be there any moment. `ttlMs`: of those that do not say it.
 */
export function mergedCaching(
  of: ListKind | 'discover',
  members: readonly Member[],
  ttlMs: number,
  personal: boolean,
): Caching {
  let least = Infinity
  let shared = !personal
  for (const { snapshot } of members) {
    if (of !== 'discover' && snapshot && !(LIST_METHODS[of].capability in snapshot.capabilities)) continue
    const said = snapshot?.caching[of]
    least = Math.min(least, snapshot ? (said?.ttlMs ?? ttlMs) : 0)
    shared &&= said?.scope !== 'private'
  }
  return { ttlMs: least === Infinity ? ttlMs : least, scope: shared ? 'public' : 'private' }
}

/** Unix milliseconds after which the server itself takes one of its lists for old. One that gives it no time tells of changes instead. */
export function freshUntil({ fetchedAt, caching }: ServerSnapshot): number {
  let least = Infinity
  for (const kind of LIST_KINDS) {
    const ttlMs = caching[kind]?.ttlMs ?? 0
    if (ttlMs > 0) least = Math.min(least, ttlMs)
  }
  return fetchedAt + least
}

/** Whether two snapshots may be kept for the same time and by the same. */
export function sameCaching(a: ServerSnapshot, b: ServerSnapshot): boolean {
  return (['discover', ...LIST_KINDS] as const).every(
    kind =>
      a.caching[kind]?.ttlMs === b.caching[kind]?.ttlMs && a.caching[kind]?.scope === b.caching[kind]?.scope,
  )
}
