import { LIST_KINDS, type ListKind } from '../core/route.ts'
import type { Caching } from '../protocol/caching.ts'
import { LIST_METHODS } from './ingest.ts'
import type { EndpointMember } from './endpoint-catalog.ts'
import type { ServerSnapshot } from './snapshot.ts'

/**
 * Caching of a list merged from several servers, or of their discovery: as long, and as widely shared, as all of them
 * allow. A server that has never been listed may appear at any moment. `ttlMs`: time to live for servers that do not
 * give one.
 */
export function mergedCaching(
  of: ListKind | 'discover',
  members: readonly EndpointMember[],
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

/**
 * Unix milliseconds until which the server declares its lists fresh. A server that gives no time to live reports
 * changes instead.
 */
export function freshUntil({ fetchedAt, caching }: ServerSnapshot): number {
  let least = Infinity
  for (const kind of LIST_KINDS) {
    const ttlMs = caching[kind]?.ttlMs ?? 0
    if (ttlMs > 0) least = Math.min(least, ttlMs)
  }
  return fetchedAt + least
}

/** Whether two snapshots have the same time to live and scope. */
export function sameCaching(a: ServerSnapshot, b: ServerSnapshot): boolean {
  return (['discover', ...LIST_KINDS] as const).every(
    kind =>
      a.caching[kind]?.ttlMs === b.caching[kind]?.ttlMs && a.caching[kind]?.scope === b.caching[kind]?.scope,
  )
}
