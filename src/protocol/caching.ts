import type { JsonObject } from '../core/exchange.ts'

/** How long a result of revision 2026-07-28 may be kept, and for whom (specification, server/utilities/caching). */
export interface Caching {
  readonly ttlMs: number
  readonly scope: 'public' | 'private'
}

/** What a result says of that; `undefined` when it says nothing. What makes no sense is no reason to keep or to share it. */
export function cachingOf({ ttlMs, cacheScope }: JsonObject): Caching | undefined {
  if (ttlMs === undefined && cacheScope === undefined) return undefined
  return {
    ttlMs: Number.isSafeInteger(ttlMs) ? Math.max(0, ttlMs as number) : 0,
    scope: cacheScope === 'public' ? 'public' : 'private',
  }
}

/** Of a whole that has both as parts. */
export function tighter(a: Caching | undefined, b: Caching | undefined): Caching | undefined {
  if (!a || !b) return a ?? b
  return {
    ttlMs: Math.min(a.ttlMs, b.ttlMs),
    scope: a.scope === 'public' ? b.scope : 'private',
  }
}

/** The members of a result that say it, as raw JSON. */
export function cachingMembers({ ttlMs, scope }: Caching): string {
  return `"ttlMs":${ttlMs},"cacheScope":"${scope}"`
}
