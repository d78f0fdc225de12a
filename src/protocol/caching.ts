import type { JsonObject } from '../core/exchange.ts'

/**
 * How long a result of revision 2026-07-28 may be cached, and for which clients (specification,
 * server/utilities/caching).
 */
export interface Caching {
  readonly ttlMs: number
  readonly scope: 'public' | 'private'
}

/** The caching hints of a result; `undefined` when it has none. Invalid hints allow neither caching nor sharing. */
export function cachingOf({ ttlMs, cacheScope }: JsonObject): Caching | undefined {
  if (ttlMs === undefined && cacheScope === undefined) return undefined
  return {
    ttlMs: Number.isSafeInteger(ttlMs) ? Math.max(0, ttlMs as number) : 0,
    scope: cacheScope === 'public' ? 'public' : 'private',
  }
}

/** The stricter of two hints, for a result that combines both parts. */
export function tighter(a: Caching | undefined, b: Caching | undefined): Caching | undefined {
  if (!a || !b) return a ?? b
  return {
    ttlMs: Math.min(a.ttlMs, b.ttlMs),
    scope: a.scope === 'public' ? b.scope : 'private',
  }
}

/** The members of a result that carry the hints, as raw JSON. */
export function cachingMembers({ ttlMs, scope }: Caching): string {
  return `"ttlMs":${ttlMs},"cacheScope":"${scope}"`
}
