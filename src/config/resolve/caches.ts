import { CACHE_MAX_RESULT, CACHE_STALE, CACHE_TTL } from '../defaults.ts'
import { toBytes, toMs } from '../units.ts'
import type { ServerEntry } from '../schema/file.ts'
import type { CacheRule, ToolConfig } from '../types.ts'

type ToolEntry = NonNullable<ServerEntry['tools']>[string]
type RuleEntry = Exclude<ToolEntry['cache'], false | undefined>

/** A rule as it stands in a file, with its defaults. */
export function resolveCacheRule(rule: RuleEntry): CacheRule {
  return {
    ttlMs: toMs(rule.ttl ?? CACHE_TTL.default),
    scope: rule.scope ?? 'client',
    staleWhileRevalidateMs: toMs(rule.staleWhileRevalidate ?? CACHE_STALE.default),
    staleIfErrorMs: toMs(rule.staleIfError ?? CACHE_STALE.default),
    ignoreArgs: rule.ignoreArgs ?? [],
    maxBytes: toBytes(rule.maxResult ?? CACHE_MAX_RESULT.default),
    tags: rule.tags ?? [],
  }
}

/** What a tool says of results that are kept. */
export function resolveToolCache(
  tool: Pick<ToolEntry, 'cache' | 'invalidates' | 'readOnly'>,
): Pick<ToolConfig, 'cache' | 'invalidates' | 'readOnly'> {
  return {
    cache: tool.cache && resolveCacheRule(tool.cache),
    invalidates: tool.invalidates ?? 'server',
    readOnly: tool.readOnly,
  }
}

/** Sentences about sharing what the same server is said to keep apart. */
export function cacheWarnings(name: string, entry: ServerEntry): string[] {
  const { cache, isolation } = entry
  if (isolation !== 'client' && isolation !== 'session' && isolation !== 'call') return []
  const shared = (rule: ToolEntry['cache'] | 'hints'): boolean =>
    typeof rule === 'object' && rule.scope === 'shared'
  const places = [
    ...(shared(cache) ? ['all its tools'] : []),
    ...Object.entries(entry.tools ?? {}).flatMap(([glob, tool]) => (shared(tool.cache) ? [`"${glob}"`] : [])),
  ]
  if (places.length === 0) return []
  return [
    `The server "${name}" has a conversation of its own for each ${isolation} ("isolation"), but results of ${places.join(', ')} are shared by all clients ("scope"). Make sure that they depend on nothing but the arguments.`,
  ]
}
